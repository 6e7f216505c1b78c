"""What takes nothing, and would draw away what others have: VRFs, routes, announcements, peers."""

from dataclasses import replace

import pytest

from proxyconfig.domain import edits
from proxyconfig.domain.intent import AddressList, BgpPeer, Segment, StaticRoute, Subnet, VlanLink
from proxyconfig.domain.objects import key_of
from proxyconfig.services import plans
from proxyconfig.tests.holding import publish
from tenants.errors import ConflictError, InvalidError
from tenants.services import pools
from tenants.tests.factories import VrfFactory

pytestmark = pytest.mark.django_db


def front(cidr: str, tag: int, vrf: str | None = None) -> Segment:
    subnets = (Subnet(cidr=cidr),) if cidr else ()
    return Segment(
        name="front",
        cluster="local",
        vlan=VlanLink(tag=tag, interface="1.1"),
        subnets=subnets,
        vrf=vrf,
    )


@pytest.fixture
def networks(acme, globex, cluster):
    """Both tenants have a subnet in the shared VRF."""
    publish(acme, front("10.8.1.0/24", 101))
    publish(globex, front("10.8.2.0/24", 102))


def adding(*items):
    def edit(intent):
        for item in items:
            intent = edits.create(item)(intent)
        return intent

    return edit


def propose(who, *items, edit=None):
    with who.acting() as actor:
        return plans.propose(who.tenant, edit or adding(*items), actor=actor, reason="because")


def route(destination: str, hop: str = "10.8.1.9", name: str = "out") -> StaticRoute:
    return StaticRoute(name=name, cluster="local", destination=destination, next_hop=hop)


@pytest.mark.parametrize("name", ["red", "nonesuch"])
def test_segment_takes_no_vrf_that_is_not_the_tenants(alice, globex, networks, name):
    VrfFactory(name="red", owner=globex)

    with pytest.raises(InvalidError, match=f"VRF {name} is not one that tenant acme can use"):
        propose(alice, replace(front("", 101, name), name="back", vlan=None))


def test_vrf_that_is_the_tenants_is_taken_and_stays_while_it_is_named(ada, alice, networks):
    red = VrfFactory(name="red", owner=alice.tenant)
    publish(alice.tenant, replace(front("", 0, "red"), name="back", vlan=None))

    with ada.acting() as actor, pytest.raises(ConflictError, match="segments back of tenant acme"):
        pools.delete(red, actor=actor)
    with ada.acting() as actor, pytest.raises(InvalidError, match="keeps its name"):
        pools.save_vrf("crimson", actor=actor, owner=alice.tenant, vrf=red)


@pytest.mark.parametrize("destination", ["10.8.2.0/24", "10.8.2.7/32", "10.8.2.128/25"])
def test_no_route_leads_to_what_another_tenant_has(alice, networks, destination):
    with pytest.raises(InvalidError, match="another tenant's in VRF default") as refused:
        propose(alice, route(destination))

    assert "globex" not in refused.value.message
    propose(alice, route("192.0.2.0/24"))


def test_one_owner_for_each_destination_of_a_shared_vrf(alice, charlie, networks):
    propose(alice, route("0.0.0.0/0"))

    with pytest.raises(InvalidError, match=r"0\.0\.0\.0/0 is another tenant's"):
        propose(charlie, route("0.0.0.0/0", "10.8.2.9"))
    propose(charlie, route("192.0.2.0/24", "10.8.2.9"))


def test_only_what_was_granted_is_announced(alice, networks):
    peer = BgpPeer(
        name="tor",
        cluster="local",
        address="10.8.1.200",
        asn=65001,
        local_asn=65000,
        advertise_lists=("mine",),
    )
    for foreign in ("8.8.8.0/24", "10.8.2.0/24"):
        with pytest.raises(InvalidError, match="not granted to tenant acme"):
            propose(alice, AddressList(name="mine", addresses=(foreign, "10.8.1.0/24")), peer)

    propose(alice, AddressList(name="mine", addresses=("10.8.1.0/25",)), peer)
    wider = AddressList(name="mine", addresses=("8.8.8.0/24", "10.8.1.0/25"))
    with pytest.raises(InvalidError, match=r"8\.8\.8\.0/24 is not granted"):
        propose(alice, edit=edits.change(key_of(wider), wider))


def test_peer_is_no_address_of_another_tenant(alice, networks):
    peer = BgpPeer(name="tor", cluster="local", address="10.8.2.5", asn=65001, local_asn=65000)

    with pytest.raises(InvalidError, match=r"10\.8\.2\.5 belongs to another tenant"):
        propose(alice, peer)
