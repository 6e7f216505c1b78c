"""Checks across fields, each by one intent that breaks it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given

from proxyconfig.domain.codec import Unreadable, fields_of, from_plain, is_record, limit_complaint
from proxyconfig.domain.intent import (
    Action,
    AddressList,
    Backend,
    BgpPeer,
    EgressPolicy,
    EgressRule,
    Grant,
    IngressPolicy,
    Intent,
    Listener,
    Namespace,
    PortList,
    PortRange,
    Protocol,
    Segment,
    SelfIp,
    SnatPool,
    StaticRoute,
    Subnet,
    TlsReference,
    VirtualAddress,
    VlanLink,
    VxlanLink,
)
from proxyconfig.domain.template import Template
from proxyconfig.domain.validation import blocking, validate
from proxyconfig.tests.domain.strategies import WHOLE_INTENTS, intents

WEB = (PortRange.single(443),)
GRANT = Grant(by="admin@example.org", at=datetime(2026, 11, 24, 12, tzinfo=UTC))
BACKEND = Backend(namespace="acme-prod", service="rag", port=8080)
VLAN = VlanLink(interface="1.1", tag=101)
BASE = Intent(
    tenant="acme",
    namespaces=(Namespace(name="acme-prod", cluster="local"),),
    segments=(
        Segment(
            name="prod",
            cluster="local",
            vlan=VLAN,
            subnets=(Subnet(cidr="10.101.0.0/24", gateway="10.101.0.1"),),
        ),
    ),
    self_ips=(SelfIp(segment="prod", number=1, address="10.101.0.11"),),
    snat_pools=(SnatPool(name="pool", cluster="local", addresses=("127.20.1.1",)),),
    virtual_addresses=(VirtualAddress(address="127.10.1.1", cluster="local"),),
    listeners=(Listener(name="rag", cluster="local", virtual_address="127.10.1.1", port=8080),),
    ingress_policies=(IngressPolicy(name="people", listener="rag", backend=BACKEND),),
    egress_policies=(
        EgressPolicy(name="web", rules=(EgressRule(order=1, host="example.org", ports=WEB),)),
    ),
)


def egress(**fields: object) -> tuple[EgressPolicy, ...]:
    rule = {"order": 1, "ports": WEB} | fields
    return (EgressPolicy(name="web", rules=(EgressRule(**rule),)),)


def segment(name: str, **fields: object) -> Segment:
    return Segment(name=name, cluster="local", **fields)


def test_a_sound_intent_has_no_complaints():
    assert validate(BASE) == []


ROLES = ("gateway", "self-IP", "virtual", "SNAT")


@WHOLE_INTENTS
@given(intent=intents())
def test_generated_intents_are_sound(intent):
    assert blocking(validate(intent)) == []


@pytest.mark.parametrize(
    ("change", "path", "code"),
    [
        (
            {"namespaces": BASE.namespaces * 2},
            "spec.namespaces[local:acme-prod]",
            "name-doubled",
        ),
        (
            {"segments": (*BASE.segments, segment("two", vlan=VLAN))},
            "spec.segments[two].vlan.tag",
            "link-taken",
        ),
        (
            {
                "segments": (
                    *BASE.segments,
                    segment("two", vlan=replace(VLAN, tag=2), vxlan=VxlanLink(vni=1)),
                )
            },
            "spec.segments[two]",
            "two-links",
        ),
        (
            {"segments": (*BASE.segments, segment("two", vlan=replace(VLAN, tag=4094)))},
            "spec.segments[two].vlan.tag",
            "reserved-tag",
        ),
        (
            {
                "segments": (
                    *BASE.segments,
                    segment("two", subnets=(Subnet(cidr="10.101.0.128/25"),)),
                )
            },
            "spec.segments[two].subnets[0].cidr",
            "subnets-overlap",
        ),
        (
            {
                "segments": (
                    *BASE.segments,
                    segment("two", subnets=(Subnet(cidr="10.9.0.0/24", gateway="10.8.0.1"),)),
                )
            },
            "spec.segments[two].subnets[0].gateway",
            "gateway-outside",
        ),
        (
            {
                "segments": (
                    *BASE.segments,
                    segment("two", subnets=(Subnet(cidr="10.9.0.0/24", gateway="10.9.0.255"),)),
                )
            },
            "spec.segments[two].subnets[0].gateway",
            "gateway-outside",
        ),
        (
            {"self_ips": (SelfIp(segment="nope", number=1, address="10.101.0.11"),)},
            "spec.selfIps[0].segment",
            "unknown-segment",
        ),
        (
            {"self_ips": (SelfIp(segment="prod", number=1, address="10.1.0.11"),)},
            "spec.selfIps[0].address",
            "self-ip-outside",
        ),
        (
            {"self_ips": (SelfIp(segment="prod", number=1, address="10.101.0.1"),)},
            "spec.selfIps[0].address",
            "address-taken",
        ),
        (
            {"self_ips": (*BASE.self_ips, SelfIp(segment="prod", number=1, address="10.101.0.12"))},
            "spec.selfIps[1]",
            "self-ip-taken",
        ),
        (
            {"snat_pools": (SnatPool(name="pool", cluster="local", addresses=()),)},
            "spec.snatPools[pool].addresses",
            "empty",
        ),
        (
            {"snat_pools": (SnatPool(name="pool", cluster="local", addresses=("10.101.0.11",)),)},
            "spec.snatPools[pool].addresses[0]",
            "address-taken",
        ),
        (
            {
                "static_routes": (
                    StaticRoute(
                        name="r", cluster="local", destination="0.0.0.0/0", next_hop="10.1.1.1"
                    ),
                )
            },
            "spec.staticRoutes[r].nextHop",
            "next-hop-outside",
        ),
        (
            {
                "static_routes": (
                    StaticRoute(
                        name="r", cluster="local", destination="::/0", next_hop="10.101.0.1"
                    ),
                )
            },
            "spec.staticRoutes[r].nextHop",
            "family",
        ),
        (
            {
                "bgp_peers": (
                    BgpPeer(
                        name="p",
                        cluster="local",
                        address="10.0.0.1",
                        asn=1,
                        local_asn=2,
                        advertise_lists=("no",),
                    ),
                )
            },
            "spec.bgpPeers[p].advertiseLists",
            "unknown-list",
        ),
        (
            {
                "listeners": (
                    *BASE.listeners,
                    replace(BASE.listeners[0], name="two", protocol=Protocol.TCP),
                )
            },
            "spec.listeners[two].port",
            "listener-taken",
        ),
        (
            {"listeners": (replace(BASE.listeners[0], virtual_address="127.20.1.1"),)},
            "spec.listeners[rag].virtualAddress",
            "unknown-address",
        ),
        (
            {"listeners": (replace(BASE.listeners[0], tls="cert"),)},
            "spec.listeners[rag].tls",
            "unknown-tls",
        ),
        (
            {"ingress_policies": (replace(BASE.ingress_policies[0], listener="no"),)},
            "spec.ingressPolicies[people].listener",
            "unknown-listener",
        ),
        (
            {
                "ingress_policies": (
                    replace(
                        BASE.ingress_policies[0], backend=replace(BACKEND, namespace="globex-prod")
                    ),
                )
            },
            "spec.ingressPolicies[people].backend.namespace",
            "foreign-namespace",
        ),
        (
            {"ingress_policies": (replace(BASE.ingress_policies[0], source_lists=("no",)),)},
            "spec.ingressPolicies[people].sourceLists",
            "unknown-list",
        ),
        (
            {
                "ingress_policies": (
                    *BASE.ingress_policies,
                    replace(BASE.ingress_policies[0], name="again"),
                )
            },
            "spec.ingressPolicies[again]",
            "policy-doubled",
        ),
        (
            {
                "listeners": (replace(BASE.listeners[0], protocol=Protocol.TCP),),
                "ingress_policies": (replace(BASE.ingress_policies[0], path_prefix="/x"),),
            },
            "spec.ingressPolicies[people].pathPrefix",
            "http-only",
        ),
        (
            {"tls_references": (TlsReference(name="t", namespace="globex", secret="s"),)},
            "spec.tlsReferences[t].namespace",
            "foreign-namespace",
        ),
        (
            {"address_lists": (AddressList(name="l", addresses=()),)},
            "spec.addressLists[l].addresses",
            "empty",
        ),
        ({"port_lists": (PortList(name="l", ports=()),)}, "spec.portLists[l].ports", "empty"),
        (
            {"egress_policies": (EgressPolicy(name="web", rules=()),)},
            "spec.egressPolicies[web].rules",
            "empty",
        ),
        (
            {
                "egress_policies": (
                    replace(BASE.egress_policies[0], rules=BASE.egress_policies[0].rules * 2),
                )
            },
            "spec.egressPolicies[web].rules",
            "order-doubled",
        ),
        ({"egress_policies": egress()}, "spec.egressPolicies[web].rules[1]", "destination"),
        (
            {"egress_policies": egress(host="example.org", cidr="192.0.2.0/24")},
            "spec.egressPolicies[web].rules[1]",
            "destination",
        ),
        (
            {"egress_policies": egress(host="example.org", ports=())},
            "spec.egressPolicies[web].rules[1].ports",
            "no-port",
        ),
        (
            {"egress_policies": egress(address_list="no")},
            "spec.egressPolicies[web].rules[1].addressList",
            "unknown-list",
        ),
        (
            {"egress_policies": egress(host="example.org", port_lists=("no",))},
            "spec.egressPolicies[web].rules[1].portLists",
            "unknown-list",
        ),
        (
            {"egress_policies": egress(host="localhost", granted=GRANT)},
            "spec.egressPolicies[web].rules[1].granted",
            "grant-without-cidr",
        ),
        (
            {"egress_policies": egress(cidr="0.0.0.0/0", granted=GRANT)},
            "spec.egressPolicies[web].rules[1].cidr",
            "grant-too-wide",
        ),
        (
            {"egress_policies": egress(cidr="10.0.0.0/8")},
            "spec.egressPolicies[web].rules[1].granted",
            "grant-missing",
        ),
        (
            {"egress_policies": (replace(BASE.egress_policies[0], snat_pool="no"),)},
            "spec.egressPolicies[web].snatPool",
            "unknown-pool",
        ),
        (
            {
                "snat_pools": (
                    *BASE.snat_pools,
                    SnatPool(name="two", cluster="local", addresses=("127.20.1.2",)),
                )
            },
            "spec.egressPolicies[web].snatPool",
            "pool-open",
        ),
        ({"tenant": "Acme"}, "spec.tenant", "out-of-limits"),
        (
            {"listeners": (replace(BASE.listeners[0], port=0),)},
            "spec.listeners[rag].port",
            "out-of-limits",
        ),
    ],
)
def test_each_break_is_found_at_its_place(change, path, code):
    problems = validate(replace(BASE, **change))

    assert (path, code) in [(problem.path, problem.code) for problem in problems]


def _limits(kind, seen):
    """Every field's limits, of the dataclasses below ``kind`` too."""
    for field in fields_of(kind):
        if is_record(field.shape.base) and field.shape.base not in seen:
            yield from _limits(field.shape.base, {*seen, kind})
        yield f"{kind.__name__}.{field.name}", field.shape.limits


@pytest.mark.parametrize("kind", [Intent, Template])
def test_no_pattern_is_shown_to_people(kind):
    patterned = {name: limits for name, limits in _limits(kind, set()) if limits.pattern}

    assert all(limits.says for limits in patterned.values()), patterned
    assert {limit_complaint(limits, "\u00e9 ") for limits in patterned.values()} == {
        limits.says for limits in patterned.values()
    }


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "expected text, found nothing"),
        (1.1, "expected text, found the number 1.1 (write it in quotes)"),
        (True, "expected text, found true (write it in quotes)"),
        ([], "expected text, found a list"),
    ],
)
def test_value_of_another_type_is_said_without_pythons_words(value, says):
    problems = []

    with pytest.raises(Unreadable):
        from_plain(VlanLink, {"interface": value, "tag": 1}, path="", problems=problems)

    assert [problem.message for problem in problems] == [says]


def test_path_prefix_says_how_it_begins():
    (problem,) = validate(
        replace(BASE, ingress_policies=(replace(BASE.ingress_policies[0], path_prefix="api"),))
    )

    assert problem.message.startswith("begin it with /, such as /api, ")


def test_subnets_may_overlap_in_different_vrfs():
    two = segment("two", subnets=(Subnet(cidr="10.101.0.0/24"),), vrf="blue")

    assert validate(replace(BASE, segments=(*BASE.segments, two))) == []


def test_a_denial_of_private_space_needs_no_grant():
    assert (
        validate(replace(BASE, egress_policies=egress(cidr="10.0.0.0/8", action=Action.DENY))) == []
    )


def test_a_narrow_private_grant_is_sound():
    change = {"egress_policies": egress(cidr="127.30.0.10/32", granted=GRANT)}

    assert validate(replace(BASE, **change)) == []


def test_warnings_do_not_block():
    problems = validate(replace(BASE, egress_policies=egress(cidr="10.0.0.0/8")))

    assert [problem.code for problem in problems] == ["grant-missing"]
    assert blocking(problems) == []


WEST = Namespace(name="acme-west", cluster="west")


@pytest.mark.parametrize(
    ("change", "path", "code"),
    [
        (
            {"virtual_addresses": (VirtualAddress(address="127.10.1.1", cluster="west"),)},
            "spec.listeners[rag].virtualAddress",
            "unknown-address",
        ),
        (
            {"namespaces": (replace(BASE.namespaces[0], cluster="west"),)},
            "spec.ingressPolicies[people].backend.namespace",
            "foreign-namespace",
        ),
        (
            {
                "namespaces": (*BASE.namespaces, WEST),
                "tls_references": (TlsReference(name="t", namespace="acme-west", secret="s"),),
                "listeners": (replace(BASE.listeners[0], tls="t"),),
            },
            "spec.listeners[rag].tls",
            "foreign-namespace",
        ),
        (
            {
                "static_routes": (
                    StaticRoute(
                        name="r", cluster="west", destination="0.0.0.0/0", next_hop="10.101.0.1"
                    ),
                )
            },
            "spec.staticRoutes[r].nextHop",
            "next-hop-outside",
        ),
        (
            {
                "virtual_addresses": (
                    *BASE.virtual_addresses,
                    replace(BASE.virtual_addresses[0], vrf="blue"),
                )
            },
            "spec.virtualAddresses[local:127.10.1.1]",
            "name-doubled",
        ),
        (
            {
                "virtual_addresses": (
                    *BASE.virtual_addresses,
                    VirtualAddress(address="10.101.0.11", cluster="local"),
                )
            },
            "spec.virtualAddresses[local:10.101.0.11].address",
            "address-taken",
        ),
        (
            {
                "segments": (
                    *BASE.segments,
                    segment("six", subnets=(Subnet(cidr="fe80::/64", gateway="fe80::1"),)),
                )
            },
            "spec.segments[six].subnets[0].cidr",
            "subnet-unusable",
        ),
        (
            {
                "segments": (
                    *BASE.segments,
                    segment("six", subnets=(Subnet(cidr="fe80::/64", gateway="fe80::1"),)),
                )
            },
            "spec.segments[six].subnets[0].gateway",
            "address-unusable",
        ),
        (
            {"segments": (*BASE.segments, segment("all", subnets=(Subnet(cidr="::/0"),)))},
            "spec.segments[all].subnets[0].cidr",
            "subnet-unusable",
        ),
        (
            {
                "segments": (
                    *BASE.segments,
                    segment("o", vxlan=VxlanLink(vni=1, remote_vteps=("10.9.9.9", "ff02::1"))),
                )
            },
            "spec.segments[o].vxlan.remoteVteps[1]",
            "address-unusable",
        ),
        (
            {
                "bgp_peers": (
                    BgpPeer(name="p", cluster="local", address="fe80::1", asn=1, local_asn=2),
                )
            },
            "spec.bgpPeers[p].address",
            "address-unusable",
        ),
        (
            {"virtual_addresses": (VirtualAddress(address="fe80::1", cluster="local"),)},
            "spec.virtualAddresses[local:fe80::1].address",
            "address-unusable",
        ),
        (
            {"virtual_addresses": (VirtualAddress(address="::ffff:1.2.3.4", cluster="local"),)},
            "spec.virtualAddresses[0].address",
            "out-of-limits",
        ),
        (
            {
                "egress_policies": egress(address_list="mixed"),
                "address_lists": (AddressList(name="mixed", addresses=("8.8.8.8", "10.0.0.0/8")),),
            },
            "spec.egressPolicies[web].rules[1].addressList",
            "grant-missing",
        ),
    ],
)
def test_clusters_and_unusable_addresses(change, path, code):
    problems = validate(replace(BASE, **change))

    assert (path, code) in [(problem.path, problem.code) for problem in problems]


def test_each_cluster_has_names_tags_subnets_doors_and_pools_of_its_own():
    here = replace(BASE, self_ips=())
    there = replace(
        here,
        namespaces=(replace(here.namespaces[0], cluster="west"),),
        segments=(replace(here.segments[0], name="west", cluster="west"),),
        virtual_addresses=(replace(here.virtual_addresses[0], cluster="west"),),
        snat_pools=(replace(here.snat_pools[0], name="west", cluster="west"),),
        listeners=(replace(here.listeners[0], name="west", cluster="west"),),
        ingress_policies=(replace(here.ingress_policies[0], name="west", listener="west"),),
    )

    both = replace(
        here,
        **{
            name: getattr(here, name) + getattr(there, name)
            for name in (
                "namespaces",
                "segments",
                "virtual_addresses",
                "snat_pools",
                "listeners",
                "ingress_policies",
            )
        },
    )

    assert validate(both) == []


def test_one_self_ip_address_in_two_vrfs_is_sound():
    two = replace(BASE.segments[0], name="two", vlan=None, vrf="blue")
    self_ips = (*BASE.self_ips, replace(BASE.self_ips[0], segment="two"))

    assert validate(replace(BASE, segments=(*BASE.segments, two), self_ips=self_ips)) == []


def test_a_broad_network_is_not_called_private():
    assert validate(replace(BASE, egress_policies=egress(cidr="0.0.0.0/0"))) == []
