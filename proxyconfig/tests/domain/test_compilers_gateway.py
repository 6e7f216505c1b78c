"""The gateway flavour: golden cases, laws, and what it refuses by name."""

import ipaddress
import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyconfig.domain.compilers import COMPILERS
from proxyconfig.domain.compilers.gateway import (
    KNOWN_VERSIONS,
    UNSUPPORTED,
    ClusterDns,
    compile,
    object_name,
    unsupported,
)
from proxyconfig.domain.intent import (
    Action,
    Intent,
    Listener,
    Mode,
    Namespace,
    PortRange,
    Transport,
)
from proxyconfig.domain.manifest import from_yaml, to_yaml
from proxyconfig.domain.openings import exits
from proxyconfig.domain.plan import diff
from proxyconfig.domain.validation import validate
from proxyconfig.tests.domain.builders import egress, ingress, listed, rule
from proxyconfig.tests.domain.gateway import CASES, ENVIRONMENT, EVERYTHING, SERVED, compiled
from proxyconfig.tests.domain.strategies import WHOLE_INTENTS, intents, shuffled
from tenants.errors import PermanentError

LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def of_kind(kind, intent, environment=ENVIRONMENT):
    return [one for one in compiled(intent, environment) if one.kind == kind]


def complaints(intent):
    return [(one.path, one.code, one.severity) for one in unsupported(intent)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden(case, golden):
    intent = from_yaml((case / "intent.yaml").read_text())
    resources = compile(intent, environment=ENVIRONMENT)

    assert [one for one in (*validate(intent), *unsupported(intent)) if one.blocks] == []
    assert to_yaml(intent) == (case / "intent.yaml").read_text()
    golden(case / "resources.json", json.dumps([one.body for one in resources], indent=2) + "\n")


def test_golden_cases_write_every_kind():
    written = {
        (one.group, one.kind)
        for case in CASES
        for one in compile(from_yaml((case / "intent.yaml").read_text()), environment=ENVIRONMENT)
    }

    assert written == set(KNOWN_VERSIONS)


# Laws


@WHOLE_INTENTS
@given(data=st.data(), intent=intents())
def test_equal_wishes_compile_to_equal_bytes(data, intent):
    other = data.draw(shuffled(intent))

    assert compiled(intent) == compiled(other)


@WHOLE_INTENTS
@given(intent=intents())
def test_compiled_resources_are_distinct_and_planning_them_again_is_nothing(intent):
    resources = compiled(intent)

    assert diff(resources, resources).is_empty


@WHOLE_INTENTS
@given(intent=intents())
def test_identity_is_what_the_body_says_and_names_are_labels(intent):
    for one in compiled(intent):
        metadata = one.body["metadata"]
        group, _, version = one.body["apiVersion"].partition("/")
        labels = {"app.kubernetes.io/managed-by": "sluice", "sluice.dev/tenant": intent.tenant}

        assert (group, one.body["kind"]) == (one.group, one.kind)
        assert version in KNOWN_VERSIONS[group, one.kind]
        assert metadata == {"name": one.name, "namespace": one.namespace, "labels": labels}
        assert LABEL.fullmatch(one.name)
        assert one.namespace in {entry.name for entry in intent.on("west").namespaces}


@WHOLE_INTENTS
@given(intent=intents())
def test_staged_policies_write_nothing(intent):
    staged = replace(
        intent,
        ingress_policies=tuple(replace(p, mode=Mode.STAGED) for p in intent.ingress_policies),
        egress_policies=tuple(replace(p, mode=Mode.STAGED) for p in intent.egress_policies),
    )
    none = replace(intent, ingress_policies=(), egress_policies=())

    assert compiled(staged) == compiled(none)


@WHOLE_INTENTS
@given(data=st.data(), intent=intents())
def test_network_policies_allow_what_the_first_matching_rule_allows(data, intent):
    here = replace(
        intent,
        egress_policies=tuple(
            replace(policy, expires_at=None, snat_pool=None) for policy in intent.egress_policies
        ),
    )
    rules = exits(here)
    allowed = [
        entry
        for one in of_kind("NetworkPolicy", here)
        if one.name.startswith("sluice-egress-")
        for entry in one.body["spec"]["egress"]
    ]
    networks = [network for entry in rules for network in entry.addresses.networks()]
    edges = [edge for network in networks for edge in (network[0], network[-1])]
    ports = {port for entry in rules for span in entry.ports for port in (span.first, span.last)}
    if not edges:
        assert allowed == []
        return

    address = data.draw(st.sampled_from(edges))
    port = data.draw(st.sampled_from(sorted(ports)))
    transport = data.draw(st.sampled_from(Transport))

    first = next((e for e in rules if _matches(e, address, port, transport)), None)
    is_allowed = any(_lets(entry, address, port, transport) for entry in allowed)
    assert is_allowed == (first is not None and first.action is Action.ALLOW)


def _matches(entry, address, port, transport):
    return (
        entry.transport is transport
        and any(port in ports for ports in entry.ports)
        and any(address in network for network in entry.addresses.networks())
    )


def _lets(entry, address, port, transport):
    blocks = [peer["ipBlock"] for peer in entry["to"]]
    return any(
        address in ipaddress.ip_network(block["cidr"])
        and not any(address in ipaddress.ip_network(text) for text in block.get("except", ()))
        for block in blocks
    ) and any(
        ports["protocol"] == transport.value.upper()
        and ports["port"] <= port <= ports.get("endPort", ports["port"])
        for ports in entry["ports"]
    )


# What is refused

WHOLE = """\
apiVersion: sluice/v2
kind: TenantIntent
metadata: {name: acme}
spec:
  namespaces: [{name: acme-prod, cluster: west}]
  segments:
  - name: overlay
    cluster: west
    vxlan: {vni: 5}
    subnets: [{cidr: 10.1.0.0/24}]
  selfIps: [{segment: overlay, number: 1, address: 10.1.0.10}]
  virtualAddresses: [{address: 203.0.113.1, cluster: west, vrf: blue}]
  snatPools: [{name: pool, cluster: west, addresses: [203.0.113.2]}]
  staticRoutes: [{name: far, cluster: west, destination: 10.9.0.0/16, nextHop: 10.1.0.1}]
  bgpPeers: [{name: spine, cluster: west, address: 10.0.0.1, asn: 64512, localAsn: 64513}]
  listeners: [{name: web, cluster: west, virtualAddress: 203.0.113.1, port: 80}]
  ingressPolicies:
  - name: all
    listener: web
    backend: {namespace: acme-prod, service: web, port: 80}
    sources: [192.0.2.0/24]
    order: 1
  - name: docs
    listener: web
    backend: {namespace: acme-prod, service: web, port: 80}
    hostnames: [my_docs.example.org]
    pathPrefix: /a/../b
    sourceLists: [office]
  egressPolicies:
  - name: web
    rules: [{order: 1, host: example.org, ports: [443]}]
    snatPool: pool
    expiresAt: '2027-01-31T12:00:00Z'
  - name: next
    rules: [{order: 1, cidr: 93.184.216.0/24, ports: [443]}]
    mode: staged
  addressLists: [{name: office, addresses: [192.0.2.1]}]
"""


def test_what_gateway_api_cannot_say_is_refused_by_name():
    intent = from_yaml(WHOLE)

    assert [one for one in validate(intent) if one.blocks] == []
    assert complaints(intent) == [
        ("spec.virtualAddresses[west:203.0.113.1].vrf", "vrf-address", "error"),
        ("spec.selfIps[0]", "self-ip", "error"),
        ("spec.snatPools[pool]", "snat-pool", "error"),
        ("spec.staticRoutes[far]", "static-route", "error"),
        ("spec.bgpPeers[spine]", "bgp-peer", "error"),
        ("spec.ingressPolicies[all].sources", "source-list", "error"),
        ("spec.ingressPolicies[docs].sourceLists", "source-list", "error"),
        ("spec.ingressPolicies[docs].hostnames", "hostname-notation", "error"),
        ("spec.ingressPolicies[docs].pathPrefix", "path-notation", "error"),
        ("spec.ingressPolicies[docs].order", "policy-order", "error"),
        ("spec.egressPolicies[web].rules[1].host", "host-egress", "error"),
        ("spec.egressPolicies[web].snatPool", "snat-pool", "error"),
        ("spec.egressPolicies[web].expiresAt", "expiring-egress", "error"),
        ("spec.segments[overlay].vxlan", "not-acted-on", "warning"),
        ("spec.egressPolicies[next].mode", "not-acted-on", "warning"),
    ]
    limits = {"too-many-listeners", "too-many-hostnames"}
    codes = {one.code for one in unsupported(intent) if one.blocks}
    assert codes | limits == set(UNSUPPORTED)


def test_what_is_refused_opens_nothing():
    (only,) = compiled(from_yaml(WHOLE))

    assert (only.kind, only.name) == ("NetworkPolicy", "sluice-default-deny")
    assert "edge-system" not in str(only.content)


def test_limits_of_the_standard_are_refused():
    names = tuple(f"h{number}.example.org" for number in range(17))
    intent = ingress((), hostnames=names)
    (policy,) = intent.ingress_policies
    many = replace(
        intent,
        listeners=tuple(
            Listener(name=f"l{n}", cluster="west", virtual_address="203.0.113.1", port=n)
            for n in range(1, 66)
        ),
        ingress_policies=tuple(
            replace(policy, name=f"p{n}", listener=f"l{n}", hostnames=()) for n in range(1, 66)
        ),
    )

    assert complaints(intent) == [
        ("spec.ingressPolicies[p0].hostnames", "too-many-hostnames", "error")
    ]
    assert complaints(many) == [
        ("spec.virtualAddresses[west:203.0.113.1]", "too-many-listeners", "error")
    ]


# The order of policies


def ordered(*wishes, mode=Mode.ENFORCED):
    """Policies of one listener in this order, each from host names and a path prefix."""
    (first,) = ingress(()).ingress_policies
    policies = tuple(
        replace(first, name=f"p{n}", order=n, hostnames=hosts, path_prefix=path, mode=mode)
        for n, (hosts, path) in enumerate(wishes)
    )
    return replace(ingress(()), ingress_policies=policies)


@pytest.mark.parametrize(
    "wishes",
    [
        [((), "/api"), ((), "/")],
        [(("a.example",), "/"), (("*.example",), "/api"), ((), "/api/v1")],
        [(("*.a.example",), "/"), (("*.example",), "/")],
        [((), "/api"), ((), "/apix")],
        [(("a.example",), "/"), (("b.example",), "/")],
        [(("*.example",), "/"), (("example",), "/")],
        [(("a.example", "*.example"), "/x"), (("a.example",), "/")],
    ],
)
def test_an_order_that_the_standard_has_too_is_taken(wishes):
    assert complaints(ordered(*wishes)) == []


@pytest.mark.parametrize(
    "wishes",
    [
        [((), "/"), ((), "/api")],
        [((), "/api/v1"), (("a.example",), "/")],
        [(("*.example",), "/"), (("a.example",), "/")],
        [(("*.example",), "/"), (("*.a.example",), "/")],
        # Both alike: the standard takes the older object.
        [(("a.example", "b.example"), "/"), (("b.example", "c.example"), "/")],
        [((), "/api"), ((), "/api/")],
        # The second is preferred for one of its two names.
        [(("a.example", "*.example"), "/x"), (("a.example", "b.example"), "/")],
    ],
)
def test_an_order_that_contradicts_the_standard_is_refused(wishes):
    assert complaints(ordered(*wishes)) == [
        ("spec.ingressPolicies[p1].order", "policy-order", "error")
    ]


def test_the_order_of_staged_policies_is_not_judged():
    staged = ordered(((), "/"), ((), "/api"), mode=Mode.STAGED)

    assert {code for _, code, _ in complaints(staged)} == {"not-acted-on"}


# Names and places


def test_names_are_short_and_their_own():
    long = "a" * 63
    names = [
        object_name("web"),
        object_name(long),
        object_name(long[:-1] + "b"),
        object_name(long[:56]),
        object_name("egress", long),
    ]

    assert names[0] == "sluice-web"
    assert len(set(names)) == len(names)
    assert all(LABEL.fullmatch(name) for name in names)


def test_a_shortened_name_is_not_the_whole_name_of_another_object():
    shortened = object_name("a" * 63)

    assert object_name(shortened.removeprefix("sluice-")) != shortened


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("203.0.113.80", "sluice-203-0-113-80"),
        ("2001:db8::a", "sluice-2001-db8--a"),
        ("fd00::", "sluice-fd00--0"),
    ],
)
def test_a_gateway_is_named_after_its_address(address, name):
    assert object_name(address) == name


def test_gateways_stay_where_the_environment_says():
    there = replace(ENVIRONMENT, gateway_namespace="acme-prod")
    gone = replace(ENVIRONMENT, gateway_namespace="sold")
    more = replace(
        EVERYTHING, namespaces=(*EVERYTHING.namespaces, Namespace(name="aaa", cluster="west"))
    )

    def places(intent, environment=ENVIRONMENT):
        return {one.namespace for one in of_kind("Gateway", intent, environment)}

    assert places(EVERYTHING) == places(EVERYTHING, gone) == {"acme-edge"}
    assert places(more, there) == {"acme-prod"}


# What the cluster says


@pytest.mark.parametrize(
    ("versions", "written"),
    [(("v1", "v1beta1"), "v1"), (("v1beta1",), "v1beta1"), (("v2", "v1beta1"), "v1beta1")],
)
def test_the_newest_version_that_is_served_and_known_is_written(versions, written):
    served = tuple(("gateway.networking.k8s.io", "HTTPRoute", version) for version in versions)
    others = tuple(entry for entry in SERVED if entry[1] != "HTTPRoute")
    environment = replace(ENVIRONMENT, versions=(*others, *served))

    assert {one.body["apiVersion"] for one in of_kind("HTTPRoute", EVERYTHING, environment)} == {
        f"gateway.networking.k8s.io/{written}"
    }


def test_a_kind_that_is_not_served_is_an_error_only_where_it_is_needed():
    environment = replace(ENVIRONMENT, versions=(*SERVED[1:], ("x.example", "TCPRoute", "v1")))
    without = replace(
        EVERYTHING,
        ingress_policies=tuple(p for p in EVERYTHING.ingress_policies if p.name != "queue"),
    )

    with pytest.raises(PermanentError, match=r"must serve TCPRoute .* it serves none") as caught:
        compiled(EVERYTHING, environment)
    assert caught.value.code == "kind.not-served"
    assert compiled(without, environment) == compiled(without)


def test_a_proxy_of_unknown_place_is_an_error_and_never_open_to_all():
    nowhere = replace(ENVIRONMENT, proxy_namespaces=(), proxy_cidrs=())
    closed = replace(EVERYTHING, ingress_policies=())

    with pytest.raises(PermanentError) as caught:
        compiled(EVERYTHING, nowhere)
    assert caught.value.code == "proxy.place-unknown"
    assert compiled(closed, nowhere) == compiled(closed)


@pytest.mark.parametrize(
    ("dns", "rules"),
    [
        (None, []),
        (ClusterDns(namespace=""), []),
        (
            ClusterDns(namespace="", cidrs=("169.254.20.10",), ports=(5353,)),
            [
                {
                    "to": [{"ipBlock": {"cidr": "169.254.20.10/32"}}],
                    "ports": [
                        {"protocol": "TCP", "port": 5353},
                        {"protocol": "UDP", "port": 5353},
                    ],
                }
            ],
        ),
    ],
)
def test_name_servers_are_those_of_the_cluster(dns, rules):
    (deny,) = of_kind(
        "NetworkPolicy",
        Intent(tenant="acme", namespaces=(Namespace(name="n", cluster="west"),)),
        replace(ENVIRONMENT, dns=dns),
    )

    assert deny.body["spec"]["egress"][1:] == rules


def test_a_tenant_without_a_namespace_has_no_objects():
    assert compiled(Intent(tenant="acme")) == ()


# Rules outward


def outward(intent):
    """Blocks and ports of the egress rules of a tenant with one namespace."""
    placed = replace(intent, namespaces=(Namespace(name="n", cluster="west"),))
    return [
        ([peer["ipBlock"] for peer in entry["to"]], entry["ports"])
        for one in of_kind("NetworkPolicy", placed)
        if one.name != "sluice-default-deny"
        for entry in one.body["spec"]["egress"]
    ]


def test_a_denial_before_an_allowing_rule_is_taken_out_of_it_on_its_ports():
    intent = egress(
        rule(address_list="bad", action=Action.DENY, ports=(PortRange(100, 443),)),
        rule(cidr="93.184.0.0/16", ports=(PortRange(400, 500),)),
    )

    assert outward(replace(intent, address_lists=listed("bad", "93.184.216.0/24"))) == [
        (
            [{"cidr": "93.184.0.0/16", "except": ["93.184.216.0/24"]}],
            [{"protocol": "TCP", "port": 400, "endPort": 443}],
        ),
        ([{"cidr": "93.184.0.0/16"}], [{"protocol": "TCP", "port": 444, "endPort": 500}]),
    ]


def test_a_denial_after_an_allowing_rule_takes_nothing_out_of_it():
    intent = egress(rule(cidr="93.184.216.0/24"), rule(cidr="93.184.216.0/25", action=Action.DENY))

    assert outward(intent) == [([{"cidr": "93.184.216.0/24"}], [{"protocol": "TCP", "port": 443}])]


def test_everything_outward_leaves_private_networks_closed():
    (((block,), _),) = outward(egress(rule(cidr="0.0.0.0/0")))

    assert block["cidr"] == "0.0.0.0/0"
    assert {"10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16"} <= set(block["except"])


def test_registry_offers_the_gateway_flavour():
    compiler = COMPILERS["gateway"]
    environment = compiler.environment(gateway_class="edge", versions=SERVED)

    assert compiler.compile(Intent(tenant="acme"), environment=environment) == ()
    assert compiler.unsupported(Intent(tenant="acme")) == []
