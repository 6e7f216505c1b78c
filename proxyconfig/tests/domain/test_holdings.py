"""What an intent takes of the platform's."""

from dataclasses import replace

import pytest
from hypothesis import given

from proxyconfig.domain.holdings import claims
from proxyconfig.domain.intent import (
    Intent,
    Namespace,
    Segment,
    SelfIp,
    SnatPool,
    Subnet,
    VirtualAddress,
    VlanLink,
    VxlanLink,
)
from proxyconfig.tests.domain.strategies import WHOLE_INTENTS, intents, shuffled
from tenants.domain.claims import (
    DEFAULT_VRF,
    AddressClaim,
    AddressRole,
    NamespaceClaim,
    SubnetClaim,
    VlanClaim,
    VniClaim,
)

WHOLE = Intent(
    tenant="acme",
    namespaces=(Namespace(name="prod", cluster="local"), Namespace(name="prod", cluster="west")),
    segments=(
        Segment(
            name="prod",
            cluster="local",
            vlan=VlanLink(interface="1.1", tag=101),
            subnets=(Subnet(cidr="10.1.0.0/24", gateway="10.1.0.1"), Subnet(cidr="fd00:1::/64")),
        ),
        Segment(name="overlay", cluster="west", vxlan=VxlanLink(vni=7), vrf="blue"),
    ),
    self_ips=(SelfIp(segment="prod", number=1, address="fd00:1::5"),),
    virtual_addresses=(VirtualAddress(address="127.10.1.1", cluster="local", vrf="blue"),),
    snat_pools=(SnatPool(name="pool", cluster="west", addresses=("127.20.1.1", "127.20.1.2")),),
)


def address(text: str, role: AddressRole, **fields: str) -> AddressClaim:
    known = {"cluster": "local", "vrf": DEFAULT_VRF, "address": text, "role": role}
    return AddressClaim(**known | fields)


def test_claims_of_a_whole_intent():
    assert claims(WHOLE) == {
        NamespaceClaim(cluster="local", name="prod"),
        NamespaceClaim(cluster="west", name="prod"),
        VlanClaim(cluster="local", trunk="1.1", tag=101),
        VniClaim(cluster="west", vni=7),
        SubnetClaim(cluster="local", vrf=DEFAULT_VRF, prefix="10.1.0.0/24"),
        SubnetClaim(cluster="local", vrf=DEFAULT_VRF, prefix="fd00:1::/64"),
        address("10.1.0.1", AddressRole.GATEWAY, subnet="10.1.0.0/24"),
        address("fd00:1::5", AddressRole.SELF_IP, subnet="fd00:1::/64"),
        address("127.10.1.1", AddressRole.VIRTUAL, vrf="blue"),
        address("127.20.1.1", AddressRole.SNAT, cluster="west"),
        address("127.20.1.2", AddressRole.SNAT, cluster="west"),
    }


def test_each_claim_names_its_user():
    users = {str(claim): claim.user for claim in claims(WHOLE)}

    assert users["VLAN 101 on trunk 1.1 of cluster local"] == "segment prod"
    assert users["address 127.20.1.1 (VRF default) of cluster west"] == "SNAT pool pool"
    assert all(users.values())


def test_renaming_a_segment_takes_nothing_new():
    prod, overlay = WHOLE.segments
    renamed = replace(
        WHOLE,
        segments=(replace(prod, name="main"), overlay),
        self_ips=(replace(WHOLE.self_ips[0], segment="main"),),
    )

    assert claims(renamed) == claims(WHOLE)


@pytest.mark.parametrize("segment", ["gone", "overlay"])
def test_self_ip_without_a_subnet_of_its_own_is_not_raised_at(segment):
    odd = replace(WHOLE, self_ips=(SelfIp(segment=segment, number=1, address="10.9.9.9"),))

    assert claims(odd)


@WHOLE_INTENTS
@given(intent=intents())
def test_claims_of_the_clusters_are_those_of_the_whole(intent):
    parts = [claims(intent.on(cluster)) for cluster in intent.clusters]

    assert frozenset().union(*parts) == claims(intent)
    assert sum(map(len, parts)) == len(claims(intent))


@WHOLE_INTENTS
@given(intent=intents().flatmap(lambda one: shuffled(one).map(lambda other: (one, other))))
def test_claims_do_not_depend_on_order(intent):
    one, other = intent

    assert claims(one) == claims(other)


@WHOLE_INTENTS
@given(intent=intents())
def test_a_valid_intent_claims_each_address_once(intent):
    addresses = [
        (claim.cluster, claim.vrf, claim.address)
        for claim in claims(intent)
        if isinstance(claim, AddressClaim)
    ]

    assert len(addresses) == len(set(addresses))
    assert len(addresses) == (
        len(intent.self_ips)
        + len(intent.virtual_addresses)
        + sum(len(pool.addresses) for pool in intent.snat_pools)
        + sum(bool(subnet.gateway) for s in intent.segments for subnet in s.subnets)
    )
