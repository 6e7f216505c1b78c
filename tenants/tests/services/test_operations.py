from datetime import timedelta

import pytest
from django.utils import timezone

from tenants import wake
from tenants.domain.states import OperationState
from tenants.errors import ConflictError, ForbiddenError
from tenants.models import AuditEntry, Operation, OperationKind, tenant_scope
from tenants.services import operations
from tenants.services.operations import (
    DEADLINE,
    MOST_ATTEMPTS,
    RESEND_AFTER,
    SILENCE_LIMIT,
    DeadlineError,
    LeaseLostError,
    OperationCancelledError,
    Swept,
)

NOTHING = Swept(woken=0, requeued=0, failed=0, cancelled=0)


@pytest.fixture
def queued(alice) -> Operation:
    with alice.acting() as actor:
        return operations.start_operation(
            alice.tenant, OperationKind.TRAIN, "Train docs", actor=actor, target_id=7
        )


@pytest.fixture
def running(queued) -> Operation:
    claimed = operations.claim(queued.pk)
    assert claimed is not None
    return claimed


def row(operation: Operation) -> Operation:
    with tenant_scope(operation.tenant_id):
        return Operation.objects.get(pk=operation.pk)


def silence(operation: Operation, **values: object) -> None:
    with tenant_scope(operation.tenant_id):
        Operation.objects.filter(pk=operation.pk).update(**values)


def test_start_queues_audits_and_wakes_after_the_commit(alice, broker):
    with alice.acting() as actor, broker.taking() as sent:
        operation = operations.start_operation(
            alice.tenant, OperationKind.TRAIN, "Train docs", actor=actor, target_id=7, total=3
        )
        entry = AuditEntry.objects.get(event="operation.started")

    assert (operation.state, operation.total, operation.actor) == ("Queued", 3, "alice")
    assert entry.object_id == str(operation.pk)
    assert sent == [(wake.TRAIN_CORPUS, operation.pk)]


def test_start_refuses_a_second_one_on_the_same_target(alice, queued):
    with alice.acting() as actor, pytest.raises(ConflictError) as refusal:
        operations.start_operation(
            alice.tenant, OperationKind.TRAIN, "Again", actor=actor, target_id=7
        )

    assert "'Train docs' (Queued) is not done yet" in refusal.value.message
    assert refusal.value.data == {"operation": queued.pk}


def test_start_takes_the_target_again_after_the_end(alice, running):
    operations.finish(running)

    with alice.acting() as actor:
        again = operations.start_operation(
            alice.tenant, OperationKind.TRAIN, "Again", actor=actor, target_id=7
        )

    assert again.state == OperationState.QUEUED


def test_claim_gives_the_lease_to_one_worker(queued):
    first, second = operations.claim(queued.pk), operations.claim(queued.pk)

    assert first is not None
    assert (first.state, first.attempts, second) == ("Running", 1, None)


def test_claim_of_a_vanished_row_is_a_normal_end(db):
    assert operations.claim(12345) is None


def test_progress_keeps_steps_in_order(running):
    operations.progress(running, step="fetch", done=1, total=4)
    operations.progress(running, done=2, message="second page")
    operations.progress(running, step="embed", done=3)
    operations.finish(running, result={"chunks": 12})

    ended = row(running)
    steps = [(step["name"], step["state"], step["message"]) for step in ended.steps]
    assert steps == [("fetch", "Succeeded", "second page"), ("embed", "Succeeded", "")]
    assert (ended.state, ended.percent, ended.result) == ("Succeeded", 75, {"chunks": 12})


def test_fail_closes_the_running_step_and_says_why(running):
    operations.progress(running, step="fetch")
    operations.fail(running, "The site did not answer.")

    ended = row(running)
    assert (ended.state, ended.error) == ("Failed", "The site did not answer.")
    assert ended.steps[0]["state"] == "Failed"
    assert ended.ended_at is not None


def test_progress_raises_once_a_cancel_was_asked_for(alice, running):
    with alice.acting() as actor:
        operations.request_cancel(running, actor=actor)

    with pytest.raises(OperationCancelledError):
        operations.progress(running, done=1)
    operations.cancelled(running)

    assert (row(running).state, row(running).done) == ("Cancelled", 1)


def test_progress_raises_past_the_deadline(running):
    silence(running, deadline_at=timezone.now() - timedelta(seconds=1))

    with pytest.raises(DeadlineError):
        operations.progress(running, done=1)


def test_cancel_of_a_queued_one_ends_it_at_once(alice, queued):
    with alice.acting() as actor:
        operations.request_cancel(queued, actor=actor)

    assert row(queued).state == OperationState.CANCELLED
    assert operations.claim(queued.pk) is None


def test_cancel_of_an_ended_one_is_refused(alice, running):
    operations.finish(running)

    with alice.acting() as actor, pytest.raises(ConflictError, match="already ended"):
        operations.request_cancel(running, actor=actor)


def test_cancel_needs_the_right_to_start_such_work(bob, queued):
    with bob.acting() as actor, pytest.raises(ForbiddenError, match="train"):
        operations.request_cancel(queued, actor=actor)


def test_worker_that_lost_its_lease_can_end_nothing(running):
    silence(running, heartbeat_at=timezone.now() - 2 * SILENCE_LIMIT)
    operations.sweep_stale(timezone.now())
    second = operations.claim(running.pk)

    with pytest.raises(LeaseLostError):
        operations.progress(running, done=9)
    with pytest.raises(LeaseLostError):
        operations.finish(running)
    operations.finish(second)

    assert (row(running).state, row(running).done) == ("Succeeded", 0)


def test_sweep_leaves_a_beating_operation_alone(running):
    assert operations.sweep_stale(timezone.now()) == NOTHING
    assert row(running).state == OperationState.RUNNING


def test_sweep_queues_a_silent_one_again_and_wakes_a_worker(running, broker):
    silence(running, heartbeat_at=timezone.now() - 2 * SILENCE_LIMIT)

    with broker.taking() as sent:
        swept = operations.sweep_stale(timezone.now())

    assert (swept.requeued, row(running).state) == (1, "Queued")
    assert sent == [(wake.TRAIN_CORPUS, running.pk)]


def test_sweep_fails_one_that_keeps_losing_its_worker(running):
    silence(
        running, heartbeat_at=timezone.now() - 2 * SILENCE_LIMIT, attempts=MOST_ATTEMPTS, done=1
    )

    swept = operations.sweep_stale(timezone.now())

    assert swept.failed == 1
    assert "went silent for 60 seconds, 3 times" in row(running).error


def test_sweep_fails_one_past_its_deadline(running):
    late = timezone.now() + DEADLINE + 2 * SILENCE_LIMIT

    assert operations.sweep_stale(late).failed == 1
    assert "deadline" in row(running).error


def test_sweep_cancels_a_silent_one_that_shall_stop(alice, running):
    with alice.acting() as actor:
        operations.request_cancel(running, actor=actor)
    silence(running, heartbeat_at=timezone.now() - 2 * SILENCE_LIMIT)

    assert operations.sweep_stale(timezone.now()).cancelled == 1
    assert row(running).state == OperationState.CANCELLED


def test_sweep_sends_a_lost_message_again_but_not_each_second(queued, broker):
    later = timezone.now() + RESEND_AFTER + timedelta(seconds=1)

    with broker.taking() as sent:
        first = operations.sweep_stale(later)
        second = operations.sweep_stale(later + timedelta(seconds=1))

    assert (first.woken, second.woken) == (1, 0)
    assert sent == [(wake.TRAIN_CORPUS, queued.pk)]
