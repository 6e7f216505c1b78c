"""The platform's address space: who may change it, and what is in the way, in words."""

import pytest

from tenants.domain.actor import Actor
from tenants.domain.roles import PlatformRole
from tenants.errors import ConflictError, ForbiddenError, InvalidError
from tenants.models import (
    AddressClaim,
    AddressPool,
    AuditEntry,
    PrefixGrant,
    Purpose,
    SubnetClaim,
    VlanGrant,
    VniGrant,
    Vrf,
    platform_scope,
)
from tenants.services import pools
from tenants.services.utilisation import Use, utilisation
from tenants.tests.factories import (
    AddressClaimFactory,
    AddressPoolFactory,
    ClusterFactory,
    NamespaceClaimFactory,
    PrefixGrantFactory,
    SubnetClaimFactory,
    VlanClaimFactory,
    VlanGrantFactory,
    VlanRangeFactory,
    VniClaimFactory,
    VniGrantFactory,
    VniRangeFactory,
    VrfFactory,
)

NED = Actor(name="ned", platform_role=PlatformRole.NETOPS)


@pytest.fixture
def vrf(db) -> Vrf:
    return VrfFactory()


def save_pool(vrf, name="vips", prefix="10.4.7.0/24", purpose=Purpose.ADDRESSES, **fields):
    return pools.save_pool(name, vrf, prefix, purpose, **{"actor": NED, **fields})


def events() -> list[tuple[str, str]]:
    with platform_scope("test"):
        return list(AuditEntry.objects.order_by("id").values_list("event", "object_name"))


def test_netops_of_the_platform_build_an_address_space(acme, cluster, vrf):
    red = pools.save_vrf("red", owner=acme, description="Their own", actor=NED)
    pool = save_pool(red)
    tags = pools.save_vlan_range("tags", cluster, (100, 199), actor=NED)
    vnis = pools.save_vni_range("vnis", cluster, (5000, 5999), actor=NED)
    prefix = pools.grant_prefix(acme, pool, prefix="10.4.7.0/25", actor=NED)
    vlans = pools.grant_vlans(acme, tags, tags=(100, 109), actor=NED)
    overlays = pools.grant_vnis(acme, vnis, actor=NED)
    names = pools.grant_namespaces(acme, cluster, "acme-*", actor=NED)

    assert [str(row) for row in (prefix, vlans, overlays, names)] == [
        "10.4.7.0/25",
        "VLAN 100-109 on trunk 1.1",
        "VNI 5000-5999",
        "acme-*",
    ]
    assert events() == [
        ("vrf.created", "red"),
        ("address-pool.created", "vips"),
        ("vlan-range.created", "tags"),
        ("vni-range.created", "vnis"),
        ("prefix-grant.created", "10.4.7.0/25"),
        ("vlan-grant.created", "VLAN 100-109 on trunk 1.1"),
        ("vni-grant.created", "VNI 5000-5999"),
        ("namespace-grant.created", "acme-*"),
    ]
    with platform_scope("test"):
        entry = AuditEntry.objects.get(event="prefix-grant.created")
    assert (entry.tenant_id, entry.is_platform_staff) == (acme.pk, True)
    assert entry.detail == {"prefix": "10.4.7.0/25", "purpose": "addresses", "vrf": "red"}


@pytest.mark.parametrize("role", [None, PlatformRole.AUDITOR])
def test_others_change_nothing(acme, cluster, vrf, role):
    actor = Actor(name="eve", platform_role=role)
    grant = PrefixGrantFactory(tenant=acme)
    attempts = [
        lambda: pools.save_vrf("red", actor=actor),
        lambda: save_pool(vrf, actor=actor),
        lambda: pools.save_vlan_range("tags", cluster, (1, 2), actor=actor),
        lambda: pools.save_vni_range("vnis", cluster, (1, 2), actor=actor),
        lambda: pools.delete(grant.pool, actor=actor),
        lambda: pools.reserve(cluster, vrf, "10.0.0.0/8", actor=actor, reason="mine"),
        lambda: pools.grant_prefix(acme, grant.pool, actor=actor),
        lambda: pools.grant_namespaces(acme, cluster, "acme", actor=actor),
        lambda: pools.withdraw(grant, actor=actor),
    ]

    for attempt in attempts:
        with pytest.raises(ForbiddenError, match="platform staff with one of: admin, netops"):
            attempt()
    assert events() == []


def test_tenants_netops_change_nothing(alice, vrf):
    with pytest.raises(ForbiddenError), alice.acting() as actor:
        save_pool(vrf, actor=actor)


@pytest.mark.parametrize("prefix", ["0.0.0.0/0", "::/0", "224.0.0.0/4", "127.0.0.0/8"])
def test_pool_of_what_no_tenant_can_have_is_refused_when_it_is_made(vrf, prefix):
    with pytest.raises(InvalidError) as refused:
        save_pool(vrf, prefix=prefix)
    old = AddressPoolFactory(name="old", vrf=vrf, prefix=prefix)
    save_pool(vrf, name="renamed", prefix=prefix, pool=old)

    assert list(refused.value.fields) == ["prefix"]
    old.refresh_from_db()
    assert old.name == "renamed"


def test_overlapping_pool_is_refused_with_the_other(vrf):
    save_pool(vrf)

    with pytest.raises(ConflictError) as refused:
        save_pool(vrf, "more", "10.4.0.0/16")

    assert refused.value.message == (
        "Address pool more (10.4.0.0/16) overlaps address pool vips (10.4.7.0/24)."
    )


def test_overlapping_ranges_are_refused_with_the_other(cluster):
    VlanRangeFactory(name="tags")
    VniRangeFactory(name="vnis")

    with pytest.raises(ConflictError, match=r"overlaps VLAN range tags \(100-199\)\."):
        pools.save_vlan_range("more", cluster, (150, 250), actor=NED)
    with pytest.raises(ConflictError, match=r"overlaps VNI range vnis \(5000-5999\)\."):
        pools.save_vni_range("more", cluster, (1, 5000), actor=NED)


def test_name_that_is_taken_is_refused(vrf):
    save_pool(vrf)

    with pytest.raises(ConflictError, match="The name vips is already taken"):
        save_pool(vrf, prefix="10.5.0.0/24")


@pytest.mark.parametrize("prefix", ["10.4.7.1/24", "nonsense", "::ffff:10.4.7.0/120", ""])
def test_what_is_no_prefix_is_refused(vrf, prefix):
    with pytest.raises(InvalidError) as refused:
        save_pool(vrf, prefix=prefix)

    assert list(refused.value.fields) == ["prefix"]


@pytest.mark.parametrize("ends", [(0, 5), (5, 4), (1, 4095)])
def test_what_is_no_range_is_refused(cluster, ends):
    with pytest.raises(InvalidError, match="from 1 to 4094"):
        pools.save_vlan_range("tags", cluster, ends, actor=NED)


def test_pool_in_use_cannot_shrink(acme, vrf):
    pool = save_pool(vrf)
    pools.grant_prefix(acme, pool, prefix="10.4.7.128/25", actor=NED)

    with pytest.raises(ConflictError) as refused:
        save_pool(vrf, prefix="10.4.7.0/25", pool=AddressPool.objects.get())

    assert refused.value.code == "in-use"
    assert refused.value.message == (
        "Address pool vips (10.4.7.0/25) would no longer cover what is used:"
        " prefix grant 10.4.7.128/25 of tenant acme. Change or delete that first."
    )


def test_ranges_in_use_cannot_shrink(acme, cluster):
    tags, vnis = VlanRangeFactory(name="tags"), VniRangeFactory(name="vnis")
    VlanGrantFactory(tenant=acme, vlan_range=tags)
    VniGrantFactory(tenant=acme, vni_range=vnis)

    with pytest.raises(
        ConflictError, match=r"VLAN grant VLAN 100-199 on trunk 1\.1 of tenant acme"
    ):
        pools.save_vlan_range("tags", cluster, (100, 150), row=tags, actor=NED)
    with pytest.raises(ConflictError, match="VNI grant VNI 5000-5999 of tenant acme"):
        pools.save_vni_range("vnis", cluster, (5000, 5001), row=vnis, actor=NED)


def test_what_is_granted_does_not_move(acme, cluster, vrf):
    pool = save_pool(vrf)
    pools.grant_prefix(acme, pool, actor=NED)
    tags = VlanRangeFactory()
    VlanGrantFactory(tenant=acme, vlan_range=tags)

    with pytest.raises(ConflictError, match="cannot move while it is granted: prefix grant"):
        save_pool(VrfFactory(name="red"), pool=pool)
    with pytest.raises(ConflictError, match="cannot move while it is granted: VLAN grant"):
        pools.save_vlan_range("tags", cluster, (100, 199), trunk="1.2", row=tags, actor=NED)


def test_what_is_used_cannot_be_deleted(acme, vrf):
    address = AddressClaimFactory(
        grant__tenant=acme,
        user="listener web",
        address="100.64.9.9",
        grant__pool=AddressPoolFactory(name="p", prefix="100.64.9.0/24"),
    )
    used = [
        (address.grant.pool, "prefix grant 100.64.9.0/24 of tenant acme"),
        (VlanGrantFactory(tenant=acme, vlan_range=VlanRangeFactory()).vlan_range, "VLAN grant"),
        (VniGrantFactory(tenant=acme, vni_range=VniRangeFactory()).vni_range, "VNI grant"),
    ]
    held = [
        (address.grant, "address claim 100.64.9.9 of tenant acme, for listener web"),
        (SubnetClaimFactory().grant, "subnet claim"),
        (VlanClaimFactory().grant, "VLAN claim"),
        (VniClaimFactory().grant, "VNI claim"),
        (NamespaceClaimFactory().grant, "namespace claim"),
    ]

    for row, says in used:
        with pytest.raises(ConflictError, match=f"is still used: {says}"):
            pools.delete(row, actor=NED)
    for row, says in held:
        with pytest.raises(ConflictError, match=f"is still used: {says}"):
            pools.withdraw(row, actor=NED)
    with pytest.raises(ConflictError, match="VRF default serves"):
        pools.delete(vrf, actor=NED)
    with pytest.raises(ConflictError, match="VRF red is still used: address pool vips"):
        pools.delete(save_pool(VrfFactory(name="red")).vrf, actor=NED)
    assert [event for event, _ in events()] == ["address-pool.created"]


def test_what_is_not_used_goes(acme, vrf):
    grant = pools.grant_prefix(acme, save_pool(vrf), actor=NED)

    pools.withdraw(grant, actor=NED)
    pools.delete(AddressPool.objects.get(), actor=NED)

    assert [event for event, _ in events()][2:] == ["prefix-grant.deleted", "address-pool.deleted"]
    assert AddressPool.objects.count() == 0


def test_vrf_of_a_tenant_is_granted_to_it_alone(acme, globex):
    pool = save_pool(pools.save_vrf("red", owner=globex, actor=NED))

    with pytest.raises(ConflictError, match="VRF red is another tenant's"):
        pools.grant_prefix(acme, pool, actor=NED)


def test_vrf_with_grants_of_others_gets_no_owner(acme, globex, vrf):
    red = pools.save_vrf("red", actor=NED)
    pools.grant_prefix(acme, save_pool(red), actor=NED)

    with pytest.raises(ConflictError, match="VRF red has grants of other tenants: prefix grant"):
        pools.save_vrf("red", owner=globex, vrf=red, actor=NED)


def test_same_grant_twice_is_refused(acme, vrf):
    pool = save_pool(vrf)
    pools.grant_prefix(acme, pool, actor=NED)

    with pytest.raises(ConflictError, match=r"acme has the grant of 10\.4\.7\.0/24 already"):
        pools.grant_prefix(acme, pool, actor=NED)


def test_grant_outside_its_pool_is_refused(acme, vrf):
    with pytest.raises(InvalidError, match="does not lie in the range"):
        pools.grant_prefix(acme, save_pool(vrf), prefix="10.5.0.0/24", actor=NED)


@pytest.mark.parametrize("pattern", ["*", "kube system", ""])
def test_pattern_that_fits_everything_is_refused(acme, cluster, pattern):
    with pytest.raises(InvalidError):
        pools.grant_namespaces(acme, cluster, pattern, actor=NED)


def test_pool_takes_in_what_was_adopted(acme, cluster, vrf):
    PrefixGrantFactory(tenant=acme, pool=None, prefix="10.4.7.9/32")
    VlanGrantFactory(tenant=acme, first=7, last=7)
    VniGrantFactory(tenant=acme, first=7, last=7)

    pool = save_pool(vrf)
    tags = pools.save_vlan_range("tags", cluster, (1, 10), actor=NED)
    vnis = pools.save_vni_range("vnis", cluster, (1, 10), actor=NED)

    with platform_scope("test"):
        assert PrefixGrant.objects.get().pool == pool
        assert VlanGrant.objects.get().vlan_range == tags
        assert VniGrant.objects.get().vni_range == vnis


def test_pool_of_subnets_over_a_neighbours_address_is_refused(acme, vrf):
    PrefixGrantFactory(tenant=acme, pool=None, prefix="10.4.7.9/32")

    with pytest.raises(ConflictError, match=r"holds grants of addresses: prefix grant 10\.4\.7\.9"):
        save_pool(vrf, purpose=Purpose.SUBNETS)
    assert AddressPool.objects.count() == 0


def test_pool_of_subnets_over_an_address_in_the_same_tenants_subnet_is_taken(acme, vrf):
    old = PrefixGrantFactory(tenant=acme, pool=None, prefix="10.4.7.0/25", purpose="subnets")
    SubnetClaimFactory(grant=old, prefix="10.4.7.0/25")
    PrefixGrantFactory(tenant=acme, pool=None, prefix="10.4.7.9/32")

    pool = save_pool(vrf, purpose=Purpose.SUBNETS)

    with platform_scope("test"):
        adopted = PrefixGrant.objects.values_list("prefix", "pool")
        assert sorted(adopted) == [("10.4.7.0/25", pool.pk), ("10.4.7.9/32", None)]


def test_reserved_prefix_keeps_addresses_and_subnets_away(acme, cluster, vrf):
    row = pools.reserve(cluster, vrf, "10.8.0.0/24", actor=NED, reason="routers")

    with platform_scope("test"):
        assert [str(found) for found in AddressClaim.objects.all()] == ["10.8.0.0/24"]
        assert [str(found) for found in SubnetClaim.objects.all()] == ["10.8.0.0/24"]
    pools.unreserve(row, actor=NED)
    with platform_scope("test"):
        assert not AddressClaim.objects.exists()
        assert not SubnetClaim.objects.exists()
    assert events() == [("address.reserved", "10.8.0.0/24"), ("address.released", "10.8.0.0/24")]


def test_address_in_a_tenants_subnet_can_be_reserved(cluster, vrf):
    front = SubnetClaimFactory()

    pools.reserve(cluster, vrf, front.prefix.replace("0/24", "1"), actor=NED, reason="router")

    with platform_scope("test"):
        assert SubnetClaim.objects.count() == 1


def test_what_a_tenant_has_cannot_be_reserved(acme, cluster, vrf):
    AddressClaimFactory(grant=PrefixGrantFactory(tenant=acme), user="listener web")

    with pytest.raises(ConflictError, match=r"of tenant acme, for listener web\."):
        pools.reserve(cluster, vrf, "100.64.0.0/10", actor=NED, reason="routers")


def test_utilisation_of_everything_is_one_query(acme, vrf, django_assert_num_queries):
    pool = save_pool(vrf)
    grant = pools.grant_prefix(acme, pool, actor=NED)
    for address in ("10.4.7.9", "10.4.7.10"):
        AddressClaimFactory(grant=grant, address=address)
    nets = AddressPoolFactory(name="nets", prefix="10.8.0.0/16", purpose="subnets")
    SubnetClaimFactory(grant=PrefixGrantFactory(tenant=acme, pool=nets), prefix="10.8.1.0/24")
    AddressPoolFactory(name="six", prefix="fd00::/64")
    tags = VlanGrantFactory(tenant=acme, vlan_range=VlanRangeFactory(name="tags"))
    VlanClaimFactory(grant=tags, tag=101)
    vnis = VniGrantFactory(tenant=acme, vni_range=VniRangeFactory(name="vnis"))
    VniClaimFactory(grant=vnis, vni=5001)

    with platform_scope("test"), django_assert_num_queries(5):  # The scope's settings, and one.
        found = {use.name: (use.kind, use.used, use.size) for use in utilisation()}

    assert found == {
        "vips": ("pool", 2, 256),
        "nets": ("pool", 256, 65536),
        "six": ("pool", 0, 2**64),
        "tags": ("vlan-range", 1, 100),
        "vnis": ("vni-range", 1, 1000),
    }
    assert Use("pool", 1, "nets", 256, 65536).percent == 0.390625


def test_what_several_clusters_use_of_a_pool_counts_once(acme, vrf):
    """Of IPv4 and IPv6: one prefix twice, one inside of another, one apart; in any order."""
    east, west = ClusterFactory(name="east"), ClusterFactory(name="west")
    taken = {
        "nets": ("10.8.0.0/22", ["10.8.1.128/25", "10.8.0.0/23", "10.8.1.0/24", "10.8.3.0/26"]),
        "six": ("fd00::/56", ["fd00::/58", "fd00:0:0:10::/64", "fd00:0:0:80::/64"]),
        "all": ("10.9.0.0/24", ["10.9.0.0/24", "10.9.0.0/25", "10.9.0.128/25"]),
    }
    for name, (prefix, subnets) in taken.items():
        pool = AddressPoolFactory(name=name, prefix=prefix, purpose="subnets")
        grant = PrefixGrantFactory(tenant=acme, pool=pool)
        for number, subnet in enumerate([*subnets, subnets[0]]):
            cluster = east if number == 0 else ClusterFactory(name=f"c{number}")
            SubnetClaimFactory(grant=grant, prefix=subnet, cluster=cluster)
    vips = PrefixGrantFactory(tenant=acme, pool=save_pool(vrf))
    for cluster in (east, west):
        AddressClaimFactory(grant=vips, address="10.4.7.9", cluster=cluster)

    found = {use.name: (use.used, use.percent) for use in utilisation()}

    assert found == {
        "nets": (512 + 64, 56.25),
        "six": (2**70 + 2**64, 25 + 100 / 256),
        "all": (256, 100),
        "vips": (1, 100 / 256),
    }
