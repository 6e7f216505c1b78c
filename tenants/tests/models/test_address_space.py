"""What the database refuses of claims and grants, with every service passed by."""

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from tenants.models import Vrf, platform_scope, tenant_scope
from tenants.services.conflicts import constraint_name
from tenants.tests.factories import (
    AddressClaimFactory,
    AddressPoolFactory,
    ClusterFactory,
    NamespaceClaimFactory,
    NamespaceGrantFactory,
    PrefixGrantFactory,
    ReservedFactory,
    SubnetClaimFactory,
    VlanClaimFactory,
    VlanGrantFactory,
    VlanRangeFactory,
    VniClaimFactory,
    VniGrantFactory,
    VniRangeFactory,
    VrfFactory,
)


def refused(act, *args, **fields) -> str:
    """Which constraint refuses it."""
    with pytest.raises(IntegrityError) as error, transaction.atomic(), platform_scope("test"):
        act(*args, **fields)
    return constraint_name(error.value)


def change(row, **fields) -> None:
    type(row).objects.filter(pk=row.pk).update(**fields)


@pytest.fixture
def addresses(acme):
    """Addresses that acme may take."""
    return PrefixGrantFactory(tenant=acme, pool=AddressPoolFactory(prefix="10.4.7.0/24"))


@pytest.fixture
def subnets(acme):
    """Room for subnets that acme may take."""
    pool = AddressPoolFactory(prefix="10.8.0.0/16", purpose="subnets")
    return PrefixGrantFactory(tenant=acme, pool=pool)


def test_tests_run_as_the_application_role(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("sluice_app",)


def test_default_vrf_is_there(db):
    assert Vrf.objects.get(name="default").owner is None


@pytest.mark.parametrize(
    "other",
    [
        {"role": "snat"},
        {"role": "virtual"},
        {"address": "10.4.7.9", "role": "snat"},
    ],
)
def test_address_has_one_owner_whatever_it_is_for(addresses, globex, other):
    AddressClaimFactory(grant=addresses, address="10.4.7.9")
    theirs = PrefixGrantFactory(tenant=globex, pool=addresses.pool)

    constraint = refused(AddressClaimFactory, **{"grant": theirs, "address": "10.4.7.9", **other})

    assert constraint == "address_claim_one_owner"


def test_address_of_another_cluster_or_vrf_is_another(addresses, acme):
    AddressClaimFactory(grant=addresses, address="10.4.7.9")
    red = PrefixGrantFactory(
        tenant=acme, pool=AddressPoolFactory(prefix="10.4.7.0/24", vrf=VrfFactory(name="red"))
    )

    AddressClaimFactory(grant=addresses, address="10.4.7.9", cluster=ClusterFactory(name="two"))
    AddressClaimFactory(grant=red, address="10.4.7.9")


def test_reserved_prefix_excludes_each_of_its_addresses(addresses, cluster):
    ReservedFactory(cluster=cluster, address="10.4.7.8/29")

    constraint = refused(AddressClaimFactory, grant=addresses, address="10.4.7.9")

    assert constraint == "address_claim_one_owner"


def test_subnets_of_a_vrf_do_not_overlap(subnets, globex):
    SubnetClaimFactory(grant=subnets, prefix="10.8.4.0/22")
    theirs = PrefixGrantFactory(tenant=globex, pool=subnets.pool)

    assert refused(SubnetClaimFactory, grant=theirs, prefix="10.8.5.0/24") == (
        "subnet_claim_one_owner"
    )


@pytest.mark.parametrize(
    ("make", "fields", "constraint"),
    [
        (VlanClaimFactory, {"tag": 7}, "vlan_claim_one_owner"),
        (VniClaimFactory, {"vni": 7}, "vni_claim_one_owner"),
        (NamespaceClaimFactory, {"name": "shop"}, "namespace_claim_one_owner"),
    ],
)
def test_tag_identifier_and_namespace_have_one_owner(db, make, fields, constraint):
    pattern = {"grant__pattern": "shop*"} if make is NamespaceClaimFactory else {}
    make(**fields, **pattern)

    assert refused(make, **fields, **pattern) == constraint


@pytest.mark.parametrize(
    ("make", "fields", "constraint"),
    [
        (AddressClaimFactory, {"address": "8.8.8.8"}, "address_claim_granted"),
        (AddressClaimFactory, {"address": "100.64.0.0/30"}, "address_claim_granted"),
        (AddressClaimFactory, {"role": "self-ip"}, "address_claim_granted"),
        (AddressClaimFactory, {"role": "gateway"}, "address_claim_granted"),
        (AddressClaimFactory, {"role": "other"}, "address_claim_"),
        (AddressClaimFactory, {"role": "reserved"}, "address_claim_granted"),
        (AddressClaimFactory, {"grant_prefix": None}, "address_claim_granted"),
        (AddressClaimFactory, {"grant_prefix": "0.0.0.0/0"}, "tenants_addressclaim_grant"),
        (AddressClaimFactory, {"grant_purpose": "subnets"}, "address_claim_purpose"),
        (AddressClaimFactory, {"tenant": None}, "address_claim_granted"),
        (SubnetClaimFactory, {"prefix": "10.0.0.0/8"}, "subnet_claim_granted"),
        (SubnetClaimFactory, {"grant_purpose": "addresses"}, "subnet_claim_purpose"),
        (SubnetClaimFactory, {"grant_prefix": None}, "subnet_claim_granted"),
        (SubnetClaimFactory, {"tenant": None}, "subnet_claim_granted"),
        (VlanClaimFactory, {"grant__last": 100, "tag": 101}, "vlan_claim_granted"),
        (VlanClaimFactory, {"trunk": "1.9"}, "tenants_vlanclaim_grant"),
        (VlanClaimFactory, {"grant_last": 5000}, "tenants_vlanclaim_grant"),
        (VniClaimFactory, {"grant__last": 100, "vni": 101}, "vni_claim_granted"),
        (NamespaceClaimFactory, {"name": "kube-system"}, "namespace_claim_granted"),
        (NamespaceClaimFactory, {"grant_pattern": "k*"}, "namespace_claim_granted"),
        (
            NamespaceClaimFactory,
            {"name": "kube-system", "grant_pattern": "k*"},
            "tenants_namespaceclaim_grant",
        ),
    ],
)
def test_what_was_not_granted_is_refused(db, make, fields, constraint):
    assert refused(make, **fields).startswith(constraint)


@pytest.mark.parametrize(
    "make",
    [
        AddressClaimFactory,
        SubnetClaimFactory,
        VlanClaimFactory,
        VniClaimFactory,
        NamespaceClaimFactory,
    ],
)
def test_foreign_grant_is_refused(acme, make):
    fields = {"grant__pattern": "shop"} if make is NamespaceClaimFactory else {}

    assert refused(make, tenant=acme, **fields).endswith("claim_grant")


def test_self_ip_lies_in_a_subnet_of_the_same_tenant(subnets, globex):
    front = SubnetClaimFactory(grant=subnets, prefix="10.8.1.0/24")
    fields = {
        "grant": None,
        "tenant": front.tenant,
        "vrf": front.vrf,
        "cluster": front.cluster,
        "grant_prefix": None,
        "subnet": front,
        "subnet_prefix": front.prefix,
        "role": "self-ip",
    }
    AddressClaimFactory(**fields, address="10.8.1.2")

    outside = refused(AddressClaimFactory, **fields, address="10.8.2.2")
    foreign = refused(AddressClaimFactory, **{**fields, "tenant": globex}, address="10.8.1.3")
    elsewhere = refused(
        AddressClaimFactory, **{**fields, "cluster": ClusterFactory(name="b")}, address="10.8.1.3"
    )

    assert outside == "address_claim_granted"
    assert foreign == elsewhere == "tenants_addressclaim_subnet"


def test_shrunk_and_deleted_grants_in_use_are_refused(addresses, subnets):
    AddressClaimFactory(grant=addresses, address="10.4.7.200")
    SubnetClaimFactory(grant=subnets, prefix="10.8.200.0/24")
    vlan = VlanClaimFactory(tag=200)
    vni = VniClaimFactory(vni=200)
    name = NamespaceClaimFactory(name="shop-a", grant__pattern="shop-*")

    assert refused(change, addresses, prefix="10.4.7.0/25") == "address_claim_granted"
    assert refused(change, subnets, prefix="10.8.0.0/17") == "subnet_claim_granted"
    assert refused(change, vlan.grant, last=199) == "vlan_claim_granted"
    assert refused(change, vni.grant, last=199) == "vni_claim_granted"
    assert refused(change, name.grant, pattern="shop-b*") == "namespace_claim_granted"
    for grant in (addresses, subnets, vlan.grant, vni.grant, name.grant):
        with platform_scope("test"):
            rows = type(grant).objects.filter(pk=grant.pk)
        assert refused(rows._raw_delete, "default").endswith("claim_grant")


def test_grant_that_still_covers_its_claims_shrinks(addresses):
    claim = AddressClaimFactory(grant=addresses, address="10.4.7.9")

    with platform_scope("test"):
        change(addresses, prefix="10.4.7.0/28")
        claim.refresh_from_db()

    assert claim.grant_prefix == "10.4.7.0/28"


def test_shrunk_and_deleted_pools_in_use_are_refused(addresses, db):
    vlans = VlanGrantFactory(vlan_range=VlanRangeFactory())
    vnis = VniGrantFactory(vni_range=VniRangeFactory())

    assert refused(change, addresses.pool, prefix="10.4.7.0/25") == "prefix_grant_in_pool"
    assert refused(change, vlans.vlan_range, last=150) == "vlan_grant_in_range"
    assert refused(change, vnis.vni_range, last=5500) == "vni_grant_in_range"
    for pool in (addresses.pool, vlans.vlan_range, vnis.vni_range):
        rows = type(pool).objects.filter(pk=pool.pk)
        assert refused(rows._raw_delete, "default").startswith("tenants_")


def test_pool_in_use_cannot_change_its_purpose(addresses):
    AddressClaimFactory(grant=addresses)

    assert refused(change, addresses.pool, purpose="subnets") == "address_claim_purpose"


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"prefix": "10.0.0.0/8"}, "prefix_grant_in_pool"),
        ({"pool_prefix": "0.0.0.0/0", "prefix": "10.0.0.0/8"}, "tenants_prefixgrant_pool"),
        ({"pool_prefix": None}, "prefix_grant_in_pool"),
        ({"purpose": "subnets"}, "tenants_prefixgrant_pool"),
        ({"pool": None, "pool_prefix": None, "prefix": "10.0.0.0/8"}, "prefix_grant_in_pool"),
    ],
)
def test_grant_lies_in_its_pool_or_is_one_address(db, fields, constraint):
    pool = AddressPoolFactory(prefix="10.4.7.0/24")

    assert refused(PrefixGrantFactory, **{"pool": pool, "vrf": pool.vrf, **fields}) == constraint


def test_vrf_of_another_tenant_cannot_be_granted(acme, globex):
    pool = AddressPoolFactory(vrf=VrfFactory(name="theirs", owner=globex))
    PrefixGrantFactory(tenant=globex, pool=pool)

    assert refused(PrefixGrantFactory, tenant=acme, pool=pool) == "prefix_grant_vrf"
    assert refused(PrefixGrantFactory, tenant=acme, pool=pool, vrf_owner=0) == (
        "tenants_prefixgrant_vrf"
    )


def test_vrf_with_grants_of_others_gets_no_owner(addresses, globex):
    assert refused(change, addresses.vrf, owner=globex) == "prefix_grant_vrf"


def test_pools_and_ranges_do_not_overlap(addresses, db):
    VlanRangeFactory()
    VniRangeFactory()

    assert refused(AddressPoolFactory, prefix="10.4.0.0/16") == "pool_no_overlap"
    assert refused(VlanRangeFactory, first=199, last=300) == "vlan_range_no_overlap"
    assert refused(VniRangeFactory, first=1, last=5000) == "vni_range_no_overlap"
    AddressPoolFactory(prefix="10.4.0.0/16", vrf=VrfFactory(name="red"))
    VlanRangeFactory(trunk="1.2")
    VniRangeFactory(cluster=ClusterFactory(name="second"))


@pytest.mark.parametrize("pattern", ["*", "*-shop", "a*b", "A*", "", "shop%", "-a"])
def test_pattern_says_how_names_begin(db, pattern):
    assert refused(NamespaceGrantFactory, pattern=pattern) == "namespace_grant_pattern"


def test_mapped_spelling_of_an_address_is_refused(db):
    mapped = "::ffff:10.4.7.0/120"

    assert refused(AddressPoolFactory, prefix=mapped) == "pool_spelling"
    assert refused(ReservedFactory, address=mapped) == "address_claim_spelling"


@pytest.mark.parametrize(
    "make", [PrefixGrantFactory, VlanGrantFactory, VniGrantFactory, NamespaceGrantFactory]
)
def test_tenant_reads_its_grants_and_changes_none(acme, make):
    grant = make(tenant=acme)
    rows = type(grant).objects

    with tenant_scope(acme.pk):
        assert rows.count() == 1
        assert rows.all()._raw_delete("default") == 0
    for act in (lambda: rows.update(created_at="2026-01-01T00:00Z"), lambda: _copy(grant)):
        with pytest.raises(ProgrammingError, match="row-level security"), tenant_scope(acme.pk):
            act()


def _copy(grant) -> None:
    grant.pk = None
    grant.save(force_insert=True)
