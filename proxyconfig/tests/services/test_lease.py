"""The lease: one worker at a time, and a heartbeat that outlasts a slow proxy."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from proxyconfig.models import Placement
from proxyconfig.services import lease
from proxyconfig.services.lease import Keeper, LeaseLostError
from proxyconfig.tests.factories import PlacementFactory
from proxyconfig.tests.targets.local_processes import wait_until
from tenants.models import platform_scope

QUICK = timedelta(seconds=0.06)


@pytest.fixture
def placement(db):
    return PlacementFactory()


def claimed(placement):
    with platform_scope("test"):
        return lease.claim(placement.pk)


def let_it_run_out():
    """As time does."""
    with platform_scope("test"):
        Placement.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def until():
    with platform_scope("test"):
        return Placement.objects.values_list("lease_until", flat=True).get()


def test_claim_is_taken_once_until_it_runs_out(placement):
    assert claimed(placement) is not None
    assert claimed(placement) is None
    let_it_run_out()
    assert claimed(placement) is not None


def test_holder_of_an_old_lease_can_neither_renew_nor_write(placement):
    old = claimed(placement)
    let_it_run_out()
    claimed(placement)

    with platform_scope("test"):
        with pytest.raises(LeaseLostError):
            lease.renew(old)
        with pytest.raises(LeaseLostError):
            lease.write(old, {"attempts": 99})
        assert Placement.objects.get().attempts == 0


@pytest.mark.django_db(transaction=True)
def test_keeper_renews_while_the_holder_waits(placement):
    mine = replace(claimed(placement), term=QUICK)
    let_it_run_out()

    with Keeper(mine) as keeper:
        wait_until(lambda: until() > timezone.now())
        keeper.check()

    assert not [thread for thread in threading.enumerate() if thread.name == "lease-keeper"]


@pytest.mark.django_db(transaction=True)
def test_keeper_notices_that_another_worker_took_over(placement):
    mine = replace(claimed(placement), term=QUICK)
    let_it_run_out()
    claimed(placement)

    def is_noticed():
        try:
            keeper.check()
        except LeaseLostError:
            return True
        return False

    with Keeper(mine) as keeper:
        wait_until(is_noticed)


@pytest.mark.django_db
def test_quick_work_costs_the_keeper_no_statement(placement, django_assert_num_queries):
    mine = claimed(placement)
    begun = until()

    with django_assert_num_queries(0), Keeper(mine) as keeper:
        keeper.check()

    assert until() == begun
