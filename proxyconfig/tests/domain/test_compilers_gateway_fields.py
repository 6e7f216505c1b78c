"""Every field of an intent on a Gateway API cluster: compiled, refused or recorded."""

import re
from dataclasses import replace

import pytest

from proxyconfig.domain.codec import fields_of, is_record
from proxyconfig.domain.compilers.gateway import COVERAGE, Coverage, unsupported
from proxyconfig.domain.intent import (
    Action,
    BgpPeer,
    Grant,
    Intent,
    Mode,
    PortRange,
    Protocol,
    SelfIp,
    SnatPool,
    StaticRoute,
    Transport,
)
from proxyconfig.tests.domain.builders import NOW
from proxyconfig.tests.domain.gateway import EVERYTHING, compiled

PORT = PortRange.single(9)


def changed(collection, name, /, **values):
    """``EVERYTHING`` with fields of one object changed."""
    items = tuple(
        replace(item, **values) if getattr(item, "name", item) == name else item
        for item in getattr(EVERYTHING, collection)
    )
    return replace(EVERYTHING, **{collection: items})


def with_rule(order, /, **values):
    (rules,) = (one.rules for one in EVERYTHING.egress_policies if one.name == "web")
    edited = tuple(replace(one, **values) if one.order == order else one for one in rules)
    return changed("egress_policies", "web", rules=edited)


def with_backend(**values):
    backend = EVERYTHING.ingress_policies[0].backend
    return changed("ingress_policies", "api", backend=replace(backend, **values))


def with_address(**values):
    first, *others = EVERYTHING.virtual_addresses
    return replace(EVERYTHING, virtual_addresses=(replace(first, **values), *others))


def with_namespace(**values):
    first, *others = EVERYTHING.namespaces
    return replace(EVERYTHING, namespaces=(replace(first, **values), *others))


# Another value of each field, or an object of a collection that cannot be used at all.
CHANGES = {
    "tenant": replace(EVERYTHING, tenant="other"),
    "namespaces.name": with_namespace(name="acme-front"),
    "namespaces.cluster": with_namespace(cluster="east"),
    "virtualAddresses.address": with_address(address="203.0.113.9"),
    "virtualAddresses.cluster": with_address(cluster="east"),
    "virtualAddresses.vrf": with_address(vrf="blue"),
    "virtualAddresses.description": with_address(description="Another."),
    "segments": changed("segments", "acme-vlan", name="other", vlan=None, mtu=1500, vrf="blue"),
    "selfIps": replace(
        EVERYTHING, self_ips=(SelfIp(segment="acme-vlan", number=1, address="10.101.0.2"),)
    ),
    "snatPools": replace(
        EVERYTHING, snat_pools=(SnatPool(name="p", cluster="west", addresses=("203.0.113.7",)),)
    ),
    "staticRoutes": replace(
        EVERYTHING,
        static_routes=(
            StaticRoute(name="r", cluster="west", destination="10.9.0.0/16", next_hop="10.101.0.9"),
        ),
    ),
    "bgpPeers": replace(
        EVERYTHING,
        bgp_peers=(
            BgpPeer(name="b", cluster="west", address="10.0.0.1", asn=64512, local_asn=64513),
        ),
    ),
    "listeners.name": changed("listeners", "https", name="web"),
    "listeners.cluster": changed("listeners", "https", cluster="east"),
    "listeners.virtualAddress": changed("listeners", "https", virtual_address="2001:db8::a"),
    "listeners.port": changed("listeners", "https", port=8443),
    "listeners.protocol": changed("listeners", "https", protocol=Protocol.TCP),
    "listeners.tls": changed("listeners", "https", tls=None),
    "ingressPolicies.name": changed("ingress_policies", "api", name="rest"),
    "ingressPolicies.listener": changed("ingress_policies", "api", listener="six"),
    "ingressPolicies.backend.namespace": with_backend(namespace="acme-edge"),
    "ingressPolicies.backend.service": with_backend(service="rest"),
    "ingressPolicies.backend.port": with_backend(port=81),
    "ingressPolicies.hostnames": changed("ingress_policies", "api", hostnames=()),
    "ingressPolicies.pathPrefix": changed("ingress_policies", "api", path_prefix="/rest"),
    "ingressPolicies.sources": changed("ingress_policies", "api", sources=("192.0.2.1",)),
    "ingressPolicies.sourceLists": changed("ingress_policies", "api", source_lists=("bad",)),
    "ingressPolicies.order": changed("ingress_policies", "shop", order=1),
    "ingressPolicies.mode": changed("ingress_policies", "api", mode=Mode.STAGED),
    "ingressPolicies.description": changed("ingress_policies", "api", description="REST."),
    "egressPolicies.name": changed("egress_policies", "web", name="pay"),
    "egressPolicies.order": changed("egress_policies", "guard", order=1000),
    "egressPolicies.snatPool": changed("egress_policies", "web", snat_pool="p"),
    "egressPolicies.mode": changed("egress_policies", "web", mode=Mode.STAGED),
    "egressPolicies.owner": changed("egress_policies", "web", owner="other@example.org"),
    "egressPolicies.expiresAt": changed("egress_policies", "web", expires_at=NOW),
    "egressPolicies.description": changed("egress_policies", "web", description="Other."),
    "egressPolicies.rules.order": with_rule(10, order=30),
    "egressPolicies.rules.host": with_rule(10, host="example.org", cidr=None),
    "egressPolicies.rules.cidr": with_rule(10, cidr="8.8.8.0/24"),
    "egressPolicies.rules.addressList": with_rule(10, cidr=None, address_list="bad"),
    "egressPolicies.rules.ports": with_rule(10, ports=(PORT,)),
    "egressPolicies.rules.portLists": with_rule(10, port_lists=()),
    "egressPolicies.rules.protocol": with_rule(10, protocol=Transport.UDP),
    "egressPolicies.rules.action": with_rule(10, action=Action.DENY),
    "egressPolicies.rules.granted": with_rule(20, granted=None),
    "egressPolicies.rules.granted.by": with_rule(20, granted=Grant(by="other@example.org")),
    "egressPolicies.rules.granted.at": with_rule(20, granted=Grant(by="admin@example.org", at=NOW)),
    "addressLists.name": changed("address_lists", "bad", name="worse"),
    "addressLists.addresses": changed("address_lists", "bad", addresses=("93.184.217.0/24",)),
    "addressLists.description": changed("address_lists", "bad", description="Other."),
    "portLists.name": changed("port_lists", "web", name="other"),
    "portLists.ports": changed("port_lists", "web", ports=(PORT,)),
    "portLists.description": changed("port_lists", "web", description="Other."),
    "tlsReferences.name": changed("tls_references", "shop", name="other"),
    "tlsReferences.namespace": changed("tls_references", "shop", namespace="acme-edge"),
    "tlsReferences.secret": changed("tls_references", "shop", secret="other"),
}


def every_field(kind, above=""):
    """Paths of all fields, those below a collection that is judged as a whole left out."""
    for field in fields_of(kind):
        path = f"{above}{field.outer}"
        if path in COVERAGE or not is_record(field.shape.base):
            yield path
        if is_record(field.shape.base) and COVERAGE.get(path) in {None, Coverage.COMPILED}:
            yield from every_field(field.shape.base, f"{path}.")


def test_every_field_of_an_intent_is_compiled_refused_or_recorded():
    assert set(every_field(Intent)) == set(COVERAGE)
    assert set(CHANGES) == set(COVERAGE)


@pytest.mark.parametrize("field", [f for f in COVERAGE if COVERAGE[f] is Coverage.COMPILED])
def test_another_value_of_a_compiled_field_is_other_bytes(field):
    assert compiled(CHANGES[field]) != compiled(EVERYTHING)


@pytest.mark.parametrize("field", [f for f in COVERAGE if COVERAGE[f] is Coverage.REFUSED])
def test_a_refused_field_is_an_error_that_names_it(field):
    new = [one for one in unsupported(CHANGES[field]) if one not in unsupported(EVERYTHING)]
    paths = {re.sub(r"\[[^]]*\]", "", one.path) for one in new}

    assert all(one.blocks for one in new)
    assert paths == {f"spec.{field}"}


@pytest.mark.parametrize("field", [f for f in COVERAGE if COVERAGE[f] is Coverage.RECORDED])
def test_a_recorded_field_changes_nothing_and_is_not_refused(field):
    assert compiled(CHANGES[field]) == compiled(EVERYTHING)
    assert [one for one in unsupported(CHANGES[field]) if one.blocks] == []
