"""Who has an address, a prefix or a tag: the owner first, and what it comes from."""

import pytest

from tenants.domain.actor import Actor
from tenants.domain.roles import PlatformRole
from tenants.errors import ForbiddenError, InvalidError
from tenants.models import Purpose
from tenants.services import lookup
from tenants.services.lookup import Holder
from tenants.tests.factories import (
    AddressClaimFactory,
    AddressPoolFactory,
    PrefixGrantFactory,
    ReservedFactory,
    SubnetClaimFactory,
    TenantFactory,
    VlanClaimFactory,
    VlanGrantFactory,
    VlanRangeFactory,
)

NED = Actor(name="ned", platform_role=PlatformRole.NETOPS)


def lines(holders) -> list[tuple[str, str, str]]:
    return [(holder.kind, holder.value, holder.tenant) for holder in holders]


@pytest.fixture
def front(acme):
    """A pool that acme and two others are granted, and acme's address of it."""
    pool = AddressPoolFactory(name="front", prefix="127.50.0.0/16")
    for slug in ("brim", "cole"):
        PrefixGrantFactory(tenant=TenantFactory(slug=slug), pool=pool)
    grant = PrefixGrantFactory(tenant=acme, pool=pool)
    AddressClaimFactory(grant=grant, address="127.50.0.20", user="listener web")
    return pool


def test_owner_of_an_address_comes_first_and_other_grants_apart(front):
    found = lookup.find(" 127.50.0.20 ", actor=NED)

    assert found.holders == [
        Holder(
            kind="address",
            value="127.50.0.20",
            vrf="default",
            tenant="acme",
            cluster="local",
            role="virtual",
            user="listener web",
        ),
        Holder(kind="grant", value="127.50.0.0/16", vrf="default", tenant="acme"),
        Holder(kind="pool", value="127.50.0.0/16", vrf="default", user="front"),
    ]
    assert [holder.tenant for holder in found.grants] == ["brim", "cole"]
    assert (found.grant_count, found.more_owners, found.more_grants) == (2, 0, 0)


def test_address_that_nobody_has_shows_its_pool_and_who_may_take_it(front):
    found = lookup.find("127.50.0.21", actor=NED)

    assert found.owners == []
    assert lines(found.sources) == [("pool", "127.50.0.0/16", "")]
    assert [holder.tenant for holder in found.grants] == ["acme", "brim", "cole"]


def test_prefix_shows_what_holds_it_and_then_what_is_in_it(acme):
    pool = AddressPoolFactory(name="nets", prefix="10.0.0.0/8", purpose=Purpose.SUBNETS.value)
    grant = PrefixGrantFactory(tenant=acme, pool=pool)
    for prefix in ("10.101.0.0/26", "10.102.0.0/16"):
        SubnetClaimFactory(grant=grant, prefix=prefix)
    ReservedFactory(address="10.101.0.128/28")

    assert lines(lookup.find("10.101.0.0/24", actor=NED).holders) == [
        ("subnet", "10.101.0.0/26", "acme"),
        ("reserved", "10.101.0.128/28", ""),
        ("grant", "10.0.0.0/8", "acme"),
        ("pool", "10.0.0.0/8", ""),
    ]
    assert lines(lookup.find("10.102.7.0/24", actor=NED).owners) == [
        ("subnet", "10.102.0.0/16", "acme")
    ]


def test_wide_prefix_counts_what_it_does_not_show(acme):
    grant = PrefixGrantFactory(
        tenant=acme, pool=AddressPoolFactory(name="front", prefix="127.50.0.0/16")
    )
    for number in range(53):
        AddressClaimFactory(grant=grant, address=f"127.50.1.{number}")

    found = lookup.find("127.50.0.0/16", actor=NED)

    assert (len(found.owners), found.more_owners) == (50, 3)


def test_tag_shows_its_range(acme):
    vlans = VlanRangeFactory(name="vlans", first=100, last=199)
    VlanClaimFactory(grant=VlanGrantFactory(tenant=acme, vlan_range=vlans, last=150), tag=101)

    assert lines(lookup.find("vlan 101", actor=NED).holders) == [
        ("VLAN", "VLAN 101 on trunk 1.1", "acme"),
        ("grant", "VLAN 100-150 on trunk 1.1", "acme"),
        ("range", "VLAN 100-199 on trunk 1.1", ""),
    ]
    assert lines(lookup.find("151", actor=NED).holders) == [
        ("range", "VLAN 100-199 on trunk 1.1", "")
    ]
    assert lookup.find("vni 101", actor=NED).holders == []


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("::ffff:127.10.1.1", "Write ::ffff:127.10.1.1 as 127.10.1.1."),
        ("10.101.0.7/24", "Write 10.101.0.7/24 as 10.101.0.0/24."),
        ("fe80::1%eth0", "'fe80::1%eth0' names an interface; leave out %eth0."),
        ("vlan x", "'vlan x' is neither an address, a prefix, a VLAN tag nor a VNI."),
    ],
)
def test_odd_question_is_refused_with_the_right_spelling(asked, says):
    with pytest.raises(InvalidError) as refused:
        lookup.find(asked, actor=NED)

    assert refused.value.message == says


def test_members_of_a_tenant_are_told_nothing(alice, front):
    for asked in ("127.50.0.20", "101"):
        with pytest.raises(ForbiddenError):
            lookup.find(asked, actor=alice.actor)
