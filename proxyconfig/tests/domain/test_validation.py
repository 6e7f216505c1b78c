"""Checks across fields, each by one intent that breaks it."""

from dataclasses import replace

import pytest
from hypothesis import given

from proxyconfig.domain.intent import (
    Action,
    AddressList,
    Backend,
    BgpPeer,
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Intent,
    Listener,
    PortList,
    PortRange,
    Protocol,
    Segment,
    SelfIp,
    SnatPool,
    StaticRoute,
    Subnet,
    TlsReference,
    VlanLink,
    VxlanLink,
)
from proxyconfig.domain.validation import blocking, validate
from proxyconfig.tests.domain.strategies import WHOLE_INTENTS, intents

WEB = (PortRange.single(443),)
BACKEND = Backend(namespace="acme-prod", service="rag", port=8080)
VLAN = VlanLink(cluster="local", interface="1.1", tag=101)
BASE = Intent(
    tenant="acme",
    namespaces=("acme-prod",),
    segments=(
        Segment(
            name="prod",
            vlan=VLAN,
            subnets=(Subnet(cidr="10.101.0.0/24", gateway="10.101.0.1"),),
        ),
    ),
    self_ips=(SelfIp(segment="prod", number=1, address="10.101.0.11"),),
    snat_pools=(SnatPool(name="pool", addresses=("127.20.1.1",)),),
    listeners=(Listener(name="rag", virtual_address="127.10.1.1", port=8080),),
    ingress_policies=(IngressPolicy(name="people", listener="rag", backend=BACKEND),),
    egress_policies=(
        EgressPolicy(name="web", rules=(EgressRule(order=1, host="example.org", ports=WEB),)),
    ),
)


def egress(**fields: object) -> tuple[EgressPolicy, ...]:
    rule = {"order": 1, "ports": WEB} | fields
    return (EgressPolicy(name="web", rules=(EgressRule(**rule),)),)


def segment(name: str, **fields: object) -> Segment:
    return Segment(name=name, **fields)


def test_a_sound_intent_has_no_complaints():
    assert validate(BASE) == []


@WHOLE_INTENTS
@given(intent=intents())
def test_generated_intents_are_sound(intent):
    assert blocking(validate(intent)) == []


@pytest.mark.parametrize(
    ("change", "path", "code"),
    [
        (
            {"namespaces": ("acme-prod", "acme-prod")},
            "spec.namespaces[acme-prod]",
            "name-doubled",
        ),
        (
            {"segments": (*BASE.segments, segment("two", vlan=VLAN))},
            "spec.segments[two]",
            "link-taken",
        ),
        (
            {
                "segments": (
                    *BASE.segments,
                    segment("two", vlan=replace(VLAN, tag=2), vxlan=VxlanLink(cluster="c", vni=1)),
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
            "spec.segments[two].subnets",
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
            "self-ip-is-gateway",
        ),
        (
            {"self_ips": (*BASE.self_ips, SelfIp(segment="prod", number=1, address="10.101.0.12"))},
            "spec.selfIps[1]",
            "self-ip-taken",
        ),
        (
            {"snat_pools": (SnatPool(name="pool", addresses=()),)},
            "spec.snatPools[pool].addresses",
            "empty",
        ),
        (
            {"snat_pools": (SnatPool(name="pool", addresses=("10.101.0.11",)),)},
            "spec.snatPools[pool].addresses",
            "address-taken",
        ),
        (
            {
                "static_routes": (
                    StaticRoute(name="r", destination="0.0.0.0/0", next_hop="10.1.1.1"),
                )
            },
            "spec.staticRoutes[r].nextHop",
            "next-hop-outside",
        ),
        (
            {"static_routes": (StaticRoute(name="r", destination="::/0", next_hop="10.101.0.1"),)},
            "spec.staticRoutes[r].nextHop",
            "family",
        ),
        (
            {
                "bgp_peers": (
                    BgpPeer(
                        name="p", address="10.0.0.1", asn=1, local_asn=2, advertise_lists=("no",)
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
            "spec.listeners[two]",
            "listener-taken",
        ),
        (
            {"listeners": (replace(BASE.listeners[0], virtual_address="127.20.1.1"),)},
            "spec.listeners[rag].virtualAddress",
            "address-taken",
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
            "spec.ingressPolicies[people]",
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
            {"egress_policies": egress(host="localhost", granted=True)},
            "spec.egressPolicies[web].rules[1].granted",
            "grant-without-cidr",
        ),
        (
            {"egress_policies": egress(cidr="0.0.0.0/0", granted=True)},
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
            {"snat_pools": (*BASE.snat_pools, SnatPool(name="two", addresses=("127.20.1.2",)))},
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


def test_subnets_may_overlap_in_different_vrfs():
    two = segment("two", subnets=(Subnet(cidr="10.101.0.0/24"),), vrf="blue")

    assert validate(replace(BASE, segments=(*BASE.segments, two))) == []


def test_a_denial_of_private_space_needs_no_grant():
    assert (
        validate(replace(BASE, egress_policies=egress(cidr="10.0.0.0/8", action=Action.DENY))) == []
    )


def test_a_narrow_private_grant_is_sound():
    change = {"egress_policies": egress(cidr="127.30.0.10/32", granted=True)}

    assert validate(replace(BASE, **change)) == []


def test_warnings_do_not_block():
    problems = validate(replace(BASE, egress_policies=egress(cidr="10.0.0.0/8")))

    assert [problem.code for problem in problems] == ["grant-missing"]
    assert blocking(problems) == []
