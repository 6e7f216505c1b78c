"""Where a tenant is at home."""

from tenants.services.clusters import home_of
from tenants.tests.factories import (
    ClusterFactory,
    NamespaceGrantFactory,
    VlanClaimFactory,
    VlanGrantFactory,
)


def test_only_cluster_is_everybodys_home(alice, cluster):
    with alice.acting():
        assert home_of(alice.tenant) == "local"


def test_home_is_where_most_is(alice, charlie, cluster):
    east, west = ClusterFactory(name="east"), ClusterFactory(name="west")
    with alice.acting():
        nowhere = home_of(alice.tenant)
    VlanClaimFactory(grant=VlanGrantFactory(tenant=alice.tenant, cluster=west))
    NamespaceGrantFactory(tenant=alice.tenant, cluster=east)
    for number in range(5):
        NamespaceGrantFactory(tenant=charlie.tenant, cluster=east, pattern=f"globex-{number}")

    assert nowhere == ""
    with alice.acting():
        assert home_of(alice.tenant) == "west"
