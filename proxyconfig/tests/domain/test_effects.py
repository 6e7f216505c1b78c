"""What a change opens and closes, in sentences."""

from dataclasses import replace

import pytest
from hypothesis import given

from proxyconfig.domain.effects import LONGEST, MOST_SENTENCES, effects, summary
from proxyconfig.domain.intent import (
    Action,
    BgpPeer,
    EgressPolicy,
    IngressPolicy,
    Intent,
    Listener,
    Mode,
    Namespace,
    PortRange,
    Segment,
    SelfIp,
    SnatPool,
    StaticRoute,
    Subnet,
    Transport,
    VirtualAddress,
    VlanLink,
    VxlanLink,
)
from proxyconfig.tests.domain.builders import EIGHTS, EMPTY, GRANT, egress, ingress, listed, rule
from proxyconfig.tests.domain.strategies import WHOLE_INTENTS, intents, pairs, shuffled

DOOR = "127.10.1.1:80"
EVERY_PORT = (PortRange(1, 65535),)


@pytest.mark.parametrize(
    ("before", "after", "sentences"),
    [
        (EMPTY, ingress(()), [f"Any client can reach {DOOR}"]),
        (EMPTY, ingress(("0.0.0.0/1",), ("128.0.0.0/1",)), [f"Any client can reach {DOOR}"]),
        (EMPTY, ingress((), mode=Mode.STAGED), []),
        (
            EMPTY,
            ingress(("10.0.0.0/8",), port=8080),
            ["10.0.0.0/8 can reach 127.10.1.1:8080"],
        ),
        (
            EMPTY,
            ingress((), address="2001:db8::1"),
            ["Any client can reach [2001:db8::1]:80"],
        ),
        (
            ingress(()),
            ingress(("10.0.0.0/8",)),
            [f"Clients outside 10.0.0.0/8 can no longer reach {DOOR}"],
        ),
        (
            ingress(("10.0.0.0/8", "11.0.0.0/8")),
            ingress(("10.0.0.0/8", "12.0.0.0/8")),
            [f"12.0.0.0/8 can reach {DOOR}", f"11.0.0.0/8 can no longer reach {DOOR}"],
        ),
        (ingress(()), EMPTY, [f"{DOOR} no longer accepts connections"]),
        (
            ingress(()),
            ingress((), path_prefix="/api"),
            [f"Requests to {DOOR} are routed differently"],
        ),
        (ingress(()), ingress((), description="the same"), []),
    ],
)
def test_what_a_change_lets_in(before, after, sentences):
    assert effects(before, after) == tuple(sentences)


@pytest.mark.parametrize(
    ("before", "after", "sentences"),
    [
        (EMPTY, egress(rule(host="docs.example.org")), ["can reach docs.example.org:443"]),
        (EMPTY, egress(rule(host="*.example.org")), ["can reach *.example.org:443"]),
        (
            EMPTY,
            egress(
                rule(host="ntp.example.org", ports=(PortRange(123, 123),), protocol=Transport.UDP)
            ),
            ["can reach ntp.example.org:123/udp"],
        ),
        (
            EMPTY,
            egress(rule(cidr="8.8.8.0/24", ports=(PortRange(80, 81), PortRange(443, 443)))),
            ["can reach 8.8.8.0/24 on ports 80-81, 443"],
        ),
        (
            EMPTY,
            egress(rule(cidr="0.0.0.0/0", ports=EVERY_PORT)),
            ["can reach any public IPv4 address on every TCP port"],
        ),
        (EMPTY, egress(rule(cidr="10.0.0.0/8")), []),
        (
            EMPTY,
            egress(rule(cidr="10.0.0.0/8", granted=GRANT)),
            ["can reach 10.0.0.0/8 on port 443"],
        ),
        (
            egress(rule(cidr="10.0.0.0/8")),
            egress(rule(cidr="10.0.0.0/8", granted=GRANT)),
            ["can reach 10.0.0.0/8 on port 443"],
        ),
        (
            egress(rule(host="docs.example.org")),
            EMPTY,
            ["can no longer reach docs.example.org:443"],
        ),
        (
            egress(rule(host="docs.example.org")),
            egress(rule(host="*.example.org")),
            ["can reach *.example.org:443"],
        ),
        (
            egress(rule(host="*.example.org")),
            egress(rule(host="docs.example.org")),
            ["can no longer reach *.example.org:443"],
        ),
        (
            egress(rule(host="*.example.org")),
            egress(rule(host="ads.example.org", action=Action.DENY), rule(host="*.example.org")),
            ["can no longer reach ads.example.org:443"],
        ),
        (
            egress(rule(host="ads.example.org", action=Action.DENY), rule(host="*.example.org")),
            egress(rule(host="*.example.org")),
            ["can reach ads.example.org:443"],
        ),
        (
            egress(rule(cidr="8.0.0.0/8")),
            egress(rule(cidr="8.8.0.0/16", action=Action.DENY), rule(cidr="8.0.0.0/8")),
            ["can no longer reach 8.8.0.0/16 on port 443"],
        ),
        (
            egress(rule(cidr="8.0.0.0/8")),
            egress(rule(cidr="8.0.0.0/8"), rule(cidr="8.8.0.0/16", action=Action.DENY)),
            [],
        ),
        (
            egress(rule(cidr="8.0.0.0/8")),
            egress(rule(cidr="8.0.0.0/8"), mode=Mode.STAGED),
            ["can no longer reach 8.0.0.0/8 on port 443"],
        ),
    ],
)
def test_what_a_change_lets_out(before, after, sentences):
    assert effects(before, after) == tuple(f"Workloads {text}" for text in sentences)


NETWORK = Intent(
    tenant="acme",
    namespaces=(Namespace(name="prod", cluster="local"),),
    segments=(
        Segment(
            name="prod",
            cluster="local",
            vlan=VlanLink(interface="1.1", tag=101),
            subnets=(Subnet(cidr="10.1.0.0/24", gateway="10.1.0.1"),),
        ),
        Segment(name="overlay", cluster="local", vxlan=VxlanLink(vni=7)),
    ),
    self_ips=(SelfIp(segment="prod", number=1, address="10.1.0.5"),),
    virtual_addresses=(VirtualAddress(address="127.10.1.1", cluster="local"),),
    snat_pools=(SnatPool(name="pool", cluster="local", addresses=("127.20.1.1",)),),
    static_routes=(
        StaticRoute(name="r", cluster="local", destination="192.0.2.0/24", next_hop="10.1.0.1"),
    ),
    bgp_peers=(BgpPeer(name="p", cluster="local", address="10.1.0.2", asn=65000, local_asn=64512),),
)
HELD = [
    "VLAN 101 on trunk 1.1 of cluster local",
    "VNI 7 of cluster local",
    "Subnet 10.1.0.0/24 (VRF default) of cluster local",
    "Gateway 10.1.0.1 (VRF default) of cluster local",
    "Self-IP 10.1.0.5 (VRF default) of cluster local",
    "Virtual address 127.10.1.1 (VRF default) of cluster local",
    "SNAT address 127.20.1.1 (VRF default) of cluster local",
    "Namespace prod of cluster local",
    "BGP peer 10.1.0.2 (AS 65000) of cluster local",
    "Route to 192.0.2.0/24 through 10.1.0.1 on cluster local",
]


def _ends(words: tuple[str, str, str]) -> list[str]:
    attached, added, routed = words
    ends = [attached] * 2 + [added] * 6 + [routed] * 2
    return [f"{text} is {end}" for text, end in zip(HELD, ends, strict=True)]


def test_what_a_change_takes_and_releases():
    assert sorted(effects(EMPTY, NETWORK)) == sorted(_ends(("attached", "added", "added")))
    assert sorted(effects(NETWORK, EMPTY)) == sorted(_ends(("detached", "released", "removed")))


def test_most_important_first_and_bounded():
    many = tuple(
        EgressPolicy(name=f"p{n}", rules=(rule(host=f"h{n}.example.org"),)) for n in range(30)
    )
    after = replace(
        NETWORK,
        listeners=ingress(()).listeners,
        ingress_policies=ingress(()).ingress_policies,
        egress_policies=many,
    )

    sentences = effects(EMPTY, after)

    assert sentences[:2] == (
        f"Any client can reach {DOOR}",
        "Workloads can reach h0.example.org:443",
    )
    assert len(sentences) == MOST_SENTENCES
    assert sentences[-1] == "30 more effects"


def test_cluster_is_named_where_there_are_several():
    listeners = tuple(
        Listener(name=cluster, cluster=cluster, virtual_address="127.10.1.1", port=80)
        for cluster in ("local", "west")
    )
    (policy,) = ingress(()).ingress_policies
    policies = tuple(
        replace(policy, name=listener.name, listener=listener.name) for listener in listeners
    )
    after = Intent(tenant="acme", listeners=listeners, ingress_policies=policies)

    assert effects(EMPTY, after) == (
        f"Any client can reach {DOOR} on cluster local",
        f"Any client can reach {DOOR} on cluster west",
    )


def test_the_same_change_reads_the_same_however_it_was_written():
    one = ingress(EIGHTS)
    other = replace(
        ingress((), source_lists=("all",)), address_lists=listed("all", *reversed(EIGHTS))
    )

    assert effects(EMPTY, one) == effects(EMPTY, other)
    assert effects(one, other) == ()


@WHOLE_INTENTS
@given(pair=pairs())
def test_sentences_are_bounded_and_said_once(pair):
    before, after = pair
    there = effects(before, after)

    assert len(there) <= MOST_SENTENCES
    assert all(len(sentence) <= LONGEST for sentence in there)
    assert len(set(there)) == len(there)


@WHOLE_INTENTS
@given(both=intents().flatmap(lambda one: shuffled(one).map(lambda other: (one, other))))
def test_nothing_changes_between_equal_wishes(both):
    assert effects(*both) == ()
    assert summary(*both) == "No changes"


def test_summary_counts_policies_and_networks():
    (policy,) = ingress(()).ingress_policies
    before = replace(NETWORK, egress_policies=egress(rule(host="example.org")).egress_policies)
    after = replace(
        before,
        ingress_policies=(policy, IngressPolicy(name="q", listener="l", backend=policy.backend)),
        segments=(replace(NETWORK.segments[0], mtu=9000), NETWORK.segments[1]),
        virtual_addresses=(),
        egress_policies=(),
    )

    assert summary(before, after) == (
        "2 policies added, 1 segment changed, 1 policy deleted, 1 virtual address deleted"
    )
    assert summary(before, before) == "No changes"
