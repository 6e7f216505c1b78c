"""Which placements are due, and the lease that guards them."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from proxyconfig.models import Placement
from proxyconfig.services import placements
from proxyconfig.services.placements import LeaseLostError, due_placements
from proxyconfig.tests.factories import PlacementFactory
from tenants.models import platform_scope
from tenants.tests.factories import ClusterFactory, TenantFactory

NOW = timezone.now()
SOON = NOW + timedelta(minutes=1)
AGO = NOW - timedelta(minutes=1)


def placed(generation=0, observed=0, **fields):
    """A placement of a tenant of its own; not due unless a field says so."""
    tenant = TenantFactory(generation=generation)
    values = {"next_check_at": SOON, "next_attempt_at": AGO, "observed_generation": observed}
    return PlacementFactory(tenant=tenant, **{**values, **fields}).pk


def claimed(pk):
    with platform_scope("test"):
        return placements.claim(pk)


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
    assert sorted(due_placements(NOW + placements.RESEND_AFTER, 10)) == sorted(due)


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
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + placements._DUE, {"now": NOW, "until": SOON, "limit": 50})
            steps = "\n".join(row[0] for row in cursor.fetchall())

    assert "placement_due_check" in steps
    assert "placement_due_attempt" in steps
    assert len(due_placements(NOW, 50)) == 50


def test_claim_is_taken_once_until_it_runs_out():
    pk = placed()

    assert claimed(pk) is not None
    assert claimed(pk) is None
    with platform_scope("test"):
        Placement.objects.update(lease_until=AGO)
    assert claimed(pk) is not None


def test_holder_of_an_old_lease_can_neither_renew_nor_write():
    pk = placed()
    old = claimed(pk)
    with platform_scope("test"):
        Placement.objects.update(lease_until=AGO)
    claimed(pk)

    with pytest.raises(LeaseLostError):
        placements.renew(old)
    with pytest.raises(LeaseLostError):
        placements.write(old, {"attempts": 99})
    with platform_scope("test"):
        assert Placement.objects.get(pk=pk).attempts == 0
