"""What a change opens and closes, in sentences."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given

from proxyconfig.domain.effects import LONGEST, MOST_SENTENCES, effects, summary
from proxyconfig.domain.intent import (
    Action,
    Backend,
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
            [f"{DOOR} no longer answers requests for h0.example, only for h0.example/api"],
        ),
        (
            ingress((), hostnames=()),
            ingress((), hostnames=("a.example.org", "b.example.org")),
            [
                f"{DOOR} no longer answers requests for any host, only for a.example.org,"
                " b.example.org"
            ],
        ),
        (
            ingress((), hostnames=("a.example.org", "b.example.org")),
            ingress((), hostnames=("a.example.org", "c.example.org")),
            [
                f"{DOOR} answers requests for c.example.org",
                f"{DOOR} no longer answers requests for b.example.org",
            ],
        ),
        (
            ingress((), path_prefix="/api"),
            ingress((), hostnames=()),
            [f"{DOOR} also answers requests for any host"],
        ),
        (
            ingress((), hostnames=(), path_prefix="/api"),
            ingress((), hostnames=("*.example.org",), path_prefix="/api"),
            [f"{DOOR} no longer answers requests for /api of any host, only for *.example.org/api"],
        ),
        (
            ingress(()),
            ingress((), backend=Backend(namespace="n", service="other", port=80)),
            [f"{DOOR} routes requests differently"],
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


SOON, LATE = datetime(2026, 12, 1, 10, tzinfo=UTC), datetime(2027, 1, 31, 23, 59, tzinfo=UTC)
SOON_TEXT, LATE_TEXT = "2026-12-01 10:00 UTC", "2027-01-31 23:59 UTC"


def docs(until: datetime | None = None, **fields) -> Intent:
    return egress(rule(host="docs.example.org"), expires_at=until, **fields)


@pytest.mark.parametrize(
    ("before", "after", "sentences"),
    [
        (EMPTY, docs(SOON), [f"can reach docs.example.org:443 until {SOON_TEXT}"]),
        (docs(SOON), EMPTY, ["can no longer reach docs.example.org:443"]),
        (
            docs(SOON),
            docs(LATE),
            [f"can reach docs.example.org:443 until {LATE_TEXT} instead of {SOON_TEXT}"],
        ),
        (
            docs(LATE),
            docs(SOON),
            [f"can reach docs.example.org:443 only until {SOON_TEXT} instead of {LATE_TEXT}"],
        ),
        (
            docs(SOON),
            docs(None),
            [f"can reach docs.example.org:443 after {SOON_TEXT}: no longer expires"],
        ),
        (docs(None), docs(SOON), [f"can reach docs.example.org:443 only until {SOON_TEXT}"]),
        (
            egress(rule(cidr="8.8.0.0/16"), expires_at=SOON),
            egress(rule(cidr="8.0.0.0/8"), expires_at=LATE),
            [
                f"can reach 8.8.0.0/16 on port 443 until {LATE_TEXT} instead of {SOON_TEXT}",
                "can reach 8.0.0.0/13, 8.9.0.0/16, 8.10.0.0/15 and 5 more networks on port 443"
                f" until {LATE_TEXT}",
            ],
        ),
    ],
)
def test_until_when_a_change_lets_out(before, after, sentences):
    assert sorted(effects(before, after)) == sorted(f"Workloads {text}" for text in sentences)


def test_denial_that_expires_opens_from_then_on():
    open_net = egress(rule(cidr="8.0.0.0/8")).egress_policies[0]
    denial = EgressPolicy(
        name="a", rules=(rule(cidr="8.8.0.0/16", action=Action.DENY),), expires_at=SOON
    )
    before = Intent(tenant="acme", egress_policies=(open_net,))
    after = Intent(tenant="acme", egress_policies=(denial, open_net))
    longer = replace(after, egress_policies=(replace(denial, expires_at=None), open_net))

    assert effects(before, after) == (
        f"Workloads can no longer reach 8.8.0.0/16 on port 443 until {SOON_TEXT}",
    )
    assert effects(after, longer) == (
        f"Workloads can no longer reach 8.8.0.0/16 on port 443 from {SOON_TEXT} on",
    )


def pools(intent: Intent, **addresses: str) -> Intent:
    found = (
        SnatPool(name=name, cluster="local", addresses=(text,)) for name, text in addresses.items()
    )
    return replace(intent, snat_pools=tuple(found))


def test_another_source_address_is_said_and_another_name_of_its_pool_is_not():
    by_hand = docs(snat_pool="a")
    both = {"a": "127.20.1.1", "b": "127.20.1.2"}
    before = pools(by_hand, **both)
    moved = pools(docs(snat_pool="b"), **both)
    renamed = pools(docs(snat_pool="c"), c="127.20.1.1", b="127.20.1.2")

    assert effects(before, moved) == (
        "Workloads reach docs.example.org:443 from 127.20.1.2 instead of 127.20.1.1",
    )
    assert effects(before, renamed) == ()


def test_source_address_of_a_part_of_what_is_allowed():
    wide = egress(rule(cidr="8.0.0.0/8"), rule(host="*.example.org"), snat_pool="a")
    narrow = EgressPolicy(
        name="a",
        rules=(rule(cidr="8.8.0.0/16"), rule(2, host="docs.example.org")),
        order=1,
        snat_pool="b",
    )
    both = {"a": "127.20.1.1", "b": "127.20.1.2"}
    before = pools(wide, **both)
    after = replace(before, egress_policies=(narrow, *wide.egress_policies))

    assert effects(before, after) == (
        "Workloads reach 8.8.0.0/16 on port 443 from 127.20.1.2 instead of 127.20.1.1",
        "Workloads reach docs.example.org:443 from 127.20.1.2 instead of 127.20.1.1",
    )


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
