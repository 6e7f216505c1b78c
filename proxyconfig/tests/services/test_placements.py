"""Where a tenant is placed, and which placements are due."""

from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from proxyconfig.domain.intent import Intent
from proxyconfig.domain.target import UNKNOWN_CADENCE
from proxyconfig.models import Placement
from proxyconfig.services import placements
from proxyconfig.services.placements import due_placements
from proxyconfig.targets.local import LocalTarget
from proxyconfig.tests.factories import PlacementFactory
from proxyconfig.tests.services.wishes import both, network
from tenants.models import platform_scope, tenant_scope
from tenants.tests.factories import ClusterFactory, TenantFactory

NOW = timezone.now()
SOON = NOW + timedelta(minutes=1)
AGO = NOW - timedelta(minutes=1)


def placed(generation=0, observed=0, **fields):
    """A placement of a tenant of its own; not due unless a field says so."""
    tenant = TenantFactory(generation=generation)
    values = {"next_check_at": SOON, "next_attempt_at": AGO, "observed_generation": observed}
    return PlacementFactory(tenant=tenant, **{**values, **fields}).pk


pytestmark = pytest.mark.django_db


def test_those_behind_come_before_those_due_for_a_check():
    placed()
    check = placed(next_check_at=AGO)
    behind = placed(generation=1)

    assert due_placements(NOW, 10) == [behind, check]


def test_found_ones_are_put_off_until_their_message_counts_as_lost():
    due = [placed(next_check_at=AGO), placed(generation=1)]

    assert sorted(due_placements(NOW, 10)) == sorted(due)
    assert due_placements(NOW, 10) == []
    assert sorted(due_placements(NOW + LocalTarget.cadence.resend_after, 10)) == sorted(due)


def test_each_flavour_is_put_off_by_its_own_cadence():
    far = ClusterFactory(name="far", flavour="spk")
    local, unknown = placed(next_check_at=AGO), placed(next_check_at=AGO, cluster=far)

    due_placements(NOW, 10)

    with platform_scope("test"):
        rows = dict(Placement.objects.values_list("pk", "next_check_at"))
    assert rows == {
        local: NOW + LocalTarget.cadence.resend_after,
        unknown: NOW + UNKNOWN_CADENCE.resend_after,
    }


def test_one_that_backs_off_is_left_alone_until_its_time():
    placed(generation=1, next_attempt_at=SOON)

    assert due_placements(NOW, 10) == []


@pytest.mark.parametrize(("until", "is_found"), [(SOON, False), (AGO, True)])
def test_leased_ones_are_left_to_their_worker(until, is_found):
    pk = placed(generation=1, next_check_at=AGO, lease_until=until)

    assert due_placements(NOW, 10) == ([pk] if is_found else [])


def test_limit_takes_those_that_have_waited_longest():
    waiting = [placed(next_check_at=AGO - timedelta(seconds=number)) for number in range(4)]

    assert due_placements(NOW, 2) == [waiting[3], waiting[2]]
    assert due_placements(NOW, 2) == [waiting[1], waiting[0]]


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_sweep_of_two_thousand_tenants_reads_by_index():
    cluster = ClusterFactory()
    tenants = TenantFactory._meta.model
    with platform_scope("test"):
        rows = tenants.objects.bulk_create(
            [tenants(slug=f"many-{number}", name="x", generation=1) for number in range(2000)]
        )
        Placement.objects.bulk_create(
            [
                Placement(
                    tenant=row,
                    cluster=cluster,
                    observed_generation=1,
                    next_check_at=AGO if number < 500 else SOON,
                    next_attempt_at=SOON,
                )
                for number, row in enumerate(rows)
            ]
        )
    # The planner's choice is that of these rows, whatever autovacuum has seen of the table or not.
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE tenants_tenant, tenants_cluster, proxyconfig_placement")
    with platform_scope("test"), connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + placements._DUE, placements._due_parameters(NOW, 50))
        steps = "\n".join(row[0] for row in cursor.fetchall())

    assert "placement_due_check" in steps
    assert "placement_due_attempt" in steps
    assert len(due_placements(NOW, 50)) == 50


def placed_on(tenant, intent):
    """The clusters of every placement after ``place``, and those that it gave back."""
    with tenant_scope(tenant.pk):
        given = placements.place(tenant, intent)
        rows = Placement.objects.values_list("cluster__name", flat=True)
        return sorted(rows), [cluster.name for cluster in given]


def test_tenant_is_placed_on_each_cluster_that_its_intent_names():
    tenant, a, b = TenantFactory(), ClusterFactory(name="a"), ClusterFactory(name="b")
    ClusterFactory(name="c")

    first = placed_on(tenant, both(network(tenant, a), network(tenant, b, address="127.110.2.1")))
    second = placed_on(tenant, network(tenant, b))

    assert first == (["a", "b"], ["a", "b"])
    assert second == (["a", "b"], ["b"])
    assert placements.is_ending(a, network(tenant, b))
    assert not placements.is_ending(b, network(tenant, b))


def test_tenant_that_names_no_cluster_goes_to_the_only_one():
    tenant, a = TenantFactory(), ClusterFactory(name="a")
    nothing = Intent(tenant=tenant.slug)
    assert not placements.is_ending(a, nothing)

    assert placed_on(tenant, nothing) == (["a"], ["a"])

    ClusterFactory(name="b")
    assert placed_on(TenantFactory(), nothing) == ([], [])
    assert placements.is_ending(a, nothing)
