"""Workers that die, overlap or come late: the world converges, and nobody writes out of turn."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from proxyconfig.models import Placement
from proxyconfig.services import placements
from proxyconfig.services.reconcile import reconcile
from proxyconfig.tests.conftest import ADDRESS
from proxyconfig.tests.services.local_proxy import SERVERS, get
from proxyconfig.tests.services.wishes import network, wish, with_egress, with_ingress
from proxyconfig.tests.targets.local_processes import PATIENCE_SECONDS
from tenants.domain.states import SyncState
from tenants.models import Tenant, platform_scope

pytestmark = pytest.mark.django_db

# A first reconcile: upkeep, plan, two applies, plan again, probe.
CALLS = 6


class KilledError(BaseException):
    """The worker is gone: nothing of its own runs any more, as after SIGKILL."""


@pytest.fixture
def wished(acme, cluster, interrupted):
    """Acme wishes for ingress and egress; nothing is applied yet."""
    held = network(acme, cluster)
    wish(acme, with_ingress(held))
    wish(acme, with_egress(with_ingress(held)))
    return placement()


def placement() -> Placement:
    with platform_scope("test"):
        return Placement.objects.get()


def let_the_lease_run_out() -> None:
    """As time does."""
    with platform_scope("test"):
        Placement.objects.update(
            lease_until=timezone.now() - timedelta(seconds=1), next_check_at=timezone.now()
        )


def sweep() -> list[int]:
    """One sweep after the dead worker's lease has run out, and what its messages lead to."""
    let_the_lease_run_out()
    due = placements.due_placements(timezone.now(), 10)
    for placement_id in due:
        reconcile(placement_id)
    return due


@pytest.mark.parametrize("at", range(1, CALLS + 1))
def test_worker_killed_at_any_call_is_made_up_for_by_the_next_sweep(
    wished, interrupted, local_proxy, at
):
    def die(number: int, name: str) -> None:
        if number == at:
            raise KilledError

    interrupted.before = die
    with pytest.raises(KilledError):
        reconcile(wished.pk)
    assert placement().lease_token is not None
    interrupted.before = lambda number, name: None

    assert sweep() == [wished.pk]

    assert get(ADDRESS)["x-sluice-tenant"] == "acme"
    assert local_proxy.tenants() == ["acme"]
    after = placement()
    assert (after.observed_generation, after.sync_state) == (2, SyncState.IN_SYNC)


@pytest.mark.parametrize("at", range(1, CALLS))
def test_worker_killed_while_healing_is_made_up_for(wished, interrupted, local_proxy, at):
    reconcile(wished.pk)
    local_proxy.change_by_hand("DELETE", f"{SERVERS}/sluice-acme.http-127-110-1-1-8080")
    interrupted.calls.clear()

    def die(number: int, name: str) -> None:
        if number == at:
            raise KilledError

    interrupted.before = die
    with pytest.raises(KilledError):
        reconcile(wished.pk)
    interrupted.before = lambda number, name: None
    sweep()

    after = placement()
    assert get(ADDRESS)["x-sluice-tenant"] == "acme"
    assert (after.sync_state, after.drift_count) == (SyncState.IN_SYNC, 1)
    assert after.drift_healed_at is not None


def test_broken_code_leaves_a_condition_and_a_later_attempt(wished, interrupted):
    def break_down(number: int, name: str) -> None:
        raise RuntimeError("boom")

    interrupted.before = break_down
    with pytest.raises(RuntimeError):
        reconcile(wished.pk)

    after = placement()
    assert after.lease_token is None
    assert after.attempts == 1
    assert [entry["reason"] for entry in after.conditions] == ["Failed"]


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_proxy_is_spoken_to(wished, interrupted):
    open_ones = []
    interrupted.before = lambda number, name: open_ones.append(connection.in_atomic_block)

    reconcile(wished.pk)

    assert open_ones == [False] * CALLS


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_at_once_one_works(wished, interrupted):
    arrived, go_on = threading.Event(), threading.Event()

    def wait(number: int, name: str) -> None:
        if number == 1:
            arrived.set()
            assert go_on.wait(PATIENCE_SECONDS)

    def work() -> None:
        try:
            reconcile(wished.pk)
        finally:
            connection.close()

    interrupted.before = wait
    worker = threading.Thread(target=work)
    worker.start()
    assert arrived.wait(PATIENCE_SECONDS)
    reconcile(wished.pk)
    calls_of_the_second = interrupted.calls[1:]
    go_on.set()
    worker.join(PATIENCE_SECONDS)

    assert calls_of_the_second == []
    assert placement().observed_generation == 2


def test_worker_whose_lease_ran_out_writes_nothing(wished, interrupted):
    seen = []

    def another_takes_over(number: int, name: str) -> None:
        if number != 2:
            return
        let_the_lease_run_out()
        reconcile(wished.pk)
        seen.append(placement())

    interrupted.before = another_takes_over
    reconcile(wished.pk)

    (left_by_the_other,) = seen
    after = placement()
    for column in ("observed_generation", "conditions", "checked_at", "next_check_at", "attempts"):
        assert getattr(after, column) == getattr(left_by_the_other, column), column


def test_placement_that_vanishes_under_the_work_is_a_normal_end(wished, interrupted):
    def vanish(number: int, name: str) -> None:
        if number == 2:
            with platform_scope("test"):
                Placement.objects.all().delete()

    interrupted.before = vanish

    reconcile(wished.pk)


def test_generation_that_moves_meanwhile_stays_to_be_done(wished, interrupted):
    def move_on(number: int, name: str) -> None:
        if number == 2:
            with platform_scope("test"):
                Tenant.objects.get().raise_generation()

    interrupted.before = move_on
    reconcile(wished.pk)

    after = placement()
    assert after.observed_generation == 2
    assert placements.due_placements(timezone.now(), 10) == [wished.pk]


def test_failure_does_not_hold_up_a_wish_that_came_meanwhile(wished, interrupted):
    def move_on_and_fail(number: int, name: str) -> None:
        with platform_scope("test"):
            Tenant.objects.get().raise_generation()
        raise RuntimeError("boom")

    interrupted.before = move_on_and_fail
    with pytest.raises(RuntimeError):
        reconcile(wished.pk)

    after = placement()
    assert after.attempts == 0
    assert placements.due_placements(timezone.now(), 10) == [wished.pk]


def test_hand_that_is_quicker_than_the_check_is_named_too(wished, interrupted, local_proxy):
    def remove_what_was_just_applied(number: int, name: str) -> None:
        if number == CALLS - 1:
            local_proxy.change_by_hand("DELETE", f"{SERVERS}/sluice-acme.http-127-110-1-1-8080")

    interrupted.before = remove_what_was_just_applied
    reconcile(wished.pk)
    seen = placement()
    reconcile(wished.pk)
    healed = placement()

    assert (seen.sync_state, seen.drift_count) == (SyncState.DRIFTED, 1)
    assert (healed.sync_state, healed.drift_count) == (SyncState.IN_SYNC, 1)
    assert healed.drift_healed_at >= seen.drifted_at
