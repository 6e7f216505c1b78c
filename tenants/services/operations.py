"""Operations: long work with one worker at a time, a heartbeat, a deadline, steps and a cancel.

A request starts one, a message wakes a worker, and the worker claims it: the claim is a lease, and
each later write names that lease, so a worker that was given up for dead can end nothing. A sweep
queues again what lost its worker. ``claim``, ``progress`` and the three ends open scopes of their
own, so that progress is seen while the work goes on: call them outside any other transaction.

Work that has a lease of its own, as an apply has with its placement, uses ``report`` instead: one
write for all that was gathered, in the transaction that ends that lease.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from tenants import audit, locks, wake
from tenants.access import require
from tenants.domain.actor import Actor
from tenants.domain.roles import Action
from tenants.domain.states import OperationState
from tenants.domain.steps import Progress, closed, merged, with_step
from tenants.errors import ConflictError, PermanentError
from tenants.locks import Level
from tenants.models.operation import Operation, OperationKind
from tenants.models.scoped import platform_scope, tenant_scope
from tenants.models.tenant import Tenant

# Which message wakes a worker for which kind. A kind without one has another guarantee: an apply is
# found again by the sweep of placements, so its silence means a dead cluster, not a dead worker.
TASK_BY_KIND: dict[str, str] = {
    OperationKind.TRAIN: wake.TRAIN_CORPUS,
    OperationKind.EVALUATE: wake.EVALUATE_CORPUS,
}
# Who may start work of a kind may cancel it; the other kinds are the NetOps'.
ACTION_BY_KIND: dict[str, Action] = {
    OperationKind.TRAIN: Action.TRAIN,
    OperationKind.EVALUATE: Action.TRAIN,
    OperationKind.APPLY: Action.EDIT_POLICY,
}

# A worker reports each document and each batch; a minute of silence means that it died.
SILENCE_LIMIT = timedelta(seconds=60)
# A queued operation's message may be lost; another costs nothing, since only one can claim.
RESEND_AFTER = timedelta(seconds=15)
DEADLINE = timedelta(hours=2)
MOST_ATTEMPTS = 3
_MOST_WOKEN = 500


class OperationCancelledError(ConflictError):
    """Somebody asked for the cancel; the worker stops and calls ``cancelled``."""

    default_code = "operation-cancelled"


class LeaseLostError(ConflictError):
    """This worker no longer holds the operation: it stops and writes nothing more."""

    default_code = "lease-lost"


class DeadlineError(PermanentError):
    """The operation ran past its deadline; the worker stops and calls ``fail``."""

    default_code = "deadline-passed"


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did, as counts of operations."""

    woken: int
    requeued: int
    failed: int
    cancelled: int


def start_operation(
    tenant: Tenant,
    kind: OperationKind,
    title: str,
    *,
    actor: Actor,
    target_id: int | None = None,
    total: int = 0,
    unit: str = "",
) -> Operation:
    """Queue a piece of work and, after the commit, wake a worker for it.

    Raises:
        ConflictError: work of this kind on this target is already queued or running.
    """
    operation = Operation(
        tenant=tenant,
        kind=kind,
        title=title[:200],
        target_id=target_id,
        total=total,
        unit=unit,
        actor=actor.name,
        trace_id=actor.trace_id,
    )
    try:
        with transaction.atomic():
            operation.save(force_insert=True)
    except IntegrityError as error:
        raise _already_open(kind, target_id) from error
    audit.record(actor, "operation.started", operation, detail={"kind": kind})
    _wake(operation)
    return operation


def claim(operation_id: int) -> Operation | None:
    """Take the lease of a queued operation; None when another worker has it or it has ended."""
    now = timezone.now()
    with platform_scope("operation claim"):
        claimed = Operation.objects.filter(
            pk=operation_id, state=OperationState.QUEUED.value
        ).update(
            state=OperationState.RUNNING.value,
            lease_token=uuid.uuid4(),
            started_at=now,
            heartbeat_at=now,
            deadline_at=now + DEADLINE,
            attempts=F("attempts") + 1,
            done=0,
            steps=[],
            error="",
        )
        if not claimed:
            return None
        return Operation.objects.select_related("tenant").get(pk=operation_id)


def progress(
    operation: Operation,
    *,
    done: int | None = None,
    total: int | None = None,
    step: str = "",
    message: str = "",
) -> None:
    """Report how far the work has come; this is the heartbeat too.

    Args:
        step: a step's name; another one than before ends the step before.
        message: what the current step is at, replacing the message before.

    Raises:
        OperationCancelledError: somebody asked for the cancel; the report itself is stored.
        DeadlineError: the deadline has passed.
        LeaseLostError: another worker has it, or it has ended.
    """
    now = timezone.now()
    steps = with_step(operation.steps, step, message, now)
    with tenant_scope(operation.tenant_id):
        held = _held(operation).update(
            heartbeat_at=now,
            steps=steps,
            done=operation.done if done is None else done,
            total=operation.total if total is None else total,
        )
        if not held:
            raise _lost(operation)
        operation.refresh_from_db()
    if operation.cancel_requested_at is not None:
        raise OperationCancelledError(f"The cancel of {operation.title!r} was asked for.")
    if operation.deadline_at is not None and operation.deadline_at <= now:
        raise DeadlineError(
            f"{operation.title!r} ran past its deadline of {DEADLINE}. "
            "Make it smaller, for example with fewer sources, and start it again."
        )


def finish(operation: Operation, *, result: Mapping[str, object] | None = None) -> None:
    """End it as succeeded.

    Raises:
        LeaseLostError: another worker has it, or it has ended.
    """
    _end(operation, OperationState.SUCCEEDED, result=result)


def fail(operation: Operation, error: str) -> None:
    """End it as failed; ``error`` says why and what to do next.

    Raises:
        LeaseLostError: another worker has it, or it has ended.
    """
    _end(operation, OperationState.FAILED, error=error)


def cancelled(operation: Operation) -> None:
    """End it as cancelled, once the worker has stopped.

    Raises:
        LeaseLostError: another worker has it, or it has ended.
    """
    _end(operation, OperationState.CANCELLED)


def report(
    operation: Operation,
    gathered: Progress,
    *,
    since: Progress,
    end: OperationState | None = None,
    error: str = "",
) -> bool:
    """Write what was gathered; a queued operation begins, and ends where ``end`` says so.

    In the caller's scope and transaction, on a row that it has locked. Steps that other workers
    reported stay. Without ``end``, it ends as cancelled when somebody asked for that, and as failed
    past its deadline: the caller's work is another matter and goes on.

    Args:
        since: what this worker reported before, so that nothing counts twice.

    Returns:
        False when it has ended, so that there is nothing more to report.
    """
    now = timezone.now()
    if operation.state == OperationState.QUEUED:
        operation.state, operation.attempts = OperationState.RUNNING.value, operation.attempts + 1
        operation.started_at, operation.deadline_at = now, now + DEADLINE
    operation.heartbeat_at = now
    operation.steps = merged(operation.steps, gathered.steps)
    operation.done = min(operation.total, operation.done + gathered.done - since.done)
    if end is None:
        end, error = _asked_end(operation, now)
    if end is not None:
        operation.state, operation.error, operation.ended_at = end.value, error, now
        operation.steps = closed(operation.steps, end, now)
        operation.lease_token = None
    if end is OperationState.SUCCEEDED:
        operation.done = operation.total
    operation.save(update_fields=_REPORTED)
    return end is None


def request_cancel(operation: Operation, *, actor: Actor) -> Operation:
    """Somebody wants it stopped: as ``ask_to_stop``, if their role allows work of this kind.

    Raises:
        ForbiddenError: it does not.
        ConflictError: it has already ended.
    """
    require(actor, _needed(operation))
    return ask_to_stop(operation, actor=actor)


def may_cancel(operation: Operation, actor: Actor) -> bool:
    """True where ``request_cancel`` takes the actor's word."""
    return not operation.has_ended and actor.may(_needed(operation))


def _needed(operation: Operation) -> Action:
    return ACTION_BY_KIND.get(operation.kind, Action.MANAGE_TENANT)


def ask_to_stop(operation: Operation, *, actor: Actor) -> Operation:
    """Cancel a queued operation at once; ask the worker of a running one to stop.

    Raises:
        ConflictError: it has already ended.
    """
    with transaction.atomic():
        (locked,) = locks.rows(Level.OPERATION, Operation.objects.filter(pk=operation.pk))
        if locked.has_ended:
            raise ConflictError(
                f"{locked.title!r} has already ended ({locked.state}); there is nothing to cancel.",
                code="operation-ended",
            )
        if locked.cancel_requested_at is None:
            now = timezone.now()
            locked.cancel_requested_at = now
            if locked.state == OperationState.QUEUED:
                locked.state, locked.ended_at = OperationState.CANCELLED.value, now
            locked.save(update_fields=["cancel_requested_at", "state", "ended_at"])
            audit.record(actor, "operation.cancel-requested", locked)
    return locked


def sweep_stale(now: datetime) -> Swept:
    """Queue again, fail or cancel what lost its worker, and wake workers for what waits."""
    with platform_scope("operation sweep"):
        silent_since = Q(heartbeat_at__lt=now - SILENCE_LIMIT, kind__in=list(TASK_BY_KIND))
        stale = silent_since | Q(deadline_at__lt=now - SILENCE_LIMIT)
        silent = Q(stale, state=OperationState.RUNNING.value)
        waiting = Operation.objects.filter(_waiting(now)).order_by("pk")[:_MOST_WOKEN]
        stale_keys = Operation.objects.filter(silent).values_list("pk", flat=True)
        keys = [*stale_keys, *waiting.values_list("pk", flat=True)]
        # All at once, by key: of two sweeps none waits for a row while it holds a later one.
        rows = Operation.objects.filter(silent | _waiting(now), pk__in=keys)
        found = locks.rows(Level.OPERATION, rows, skip_locked=True)
        running = [row for row in found if row.state == OperationState.RUNNING]
        queued = [row for row in found if row.state == OperationState.QUEUED]
        ends = [_give_up(operation, now) for operation in running]
        _wake_again(queued, now)
    return Swept(
        woken=len(queued),
        requeued=ends.count(OperationState.QUEUED),
        failed=ends.count(OperationState.FAILED),
        cancelled=ends.count(OperationState.CANCELLED),
    )


def _wake(operation: Operation) -> None:
    if task := TASK_BY_KIND.get(operation.kind):
        wake.send(task, operation.pk)


# What ``report`` writes.
_REPORTED = (
    "state",
    "attempts",
    "started_at",
    "deadline_at",
    "heartbeat_at",
    "steps",
    "done",
    "error",
    "ended_at",
    "lease_token",
)


def _asked_end(operation: Operation, now: datetime) -> tuple[OperationState | None, str]:
    """How an operation ends that nobody has finished, if it ends."""
    if operation.cancel_requested_at is not None:
        return OperationState.CANCELLED, ""
    if operation.deadline_at is not None and operation.deadline_at <= now:
        return OperationState.FAILED, f"It ran past its deadline of {DEADLINE}."
    return None, ""


def _already_open(kind: OperationKind, target_id: int | None) -> ConflictError:
    still = Operation.objects.filter(kind=kind, target_id=target_id, ended_at__isnull=True).first()
    name = f"{still.title!r} ({still.state})" if still else "The same work"
    return ConflictError(
        f"{name} is not done yet. Wait for its end, or cancel it, and start again.",
        code="operation-open",
        data={"operation": still.pk if still else None},
    )


def _held(operation: Operation) -> QuerySet[Operation]:
    return Operation.objects.filter(
        pk=operation.pk,
        lease_token=operation.lease_token,
        state=OperationState.RUNNING.value,
    )


def _lost(operation: Operation) -> LeaseLostError:
    return LeaseLostError(
        f"{operation.title!r} is no longer this worker's: it was silent for too long and was "
        "given to another, or it has ended."
    )


def _end(
    operation: Operation,
    state: OperationState,
    *,
    result: Mapping[str, object] | None = None,
    error: str = "",
) -> None:
    now = timezone.now()
    with tenant_scope(operation.tenant_id):
        held = _held(operation).update(
            state=state.value,
            steps=closed(operation.steps, state, now),
            result=dict(result or {}),
            error=error,
            ended_at=now,
            heartbeat_at=now,
            lease_token=None,
        )
        if not held:
            raise _lost(operation)
        operation.refresh_from_db()


def _give_up(operation: Operation, now: datetime) -> OperationState:
    """The state that an operation without a worker goes to; unchanged if the worker came back."""
    state, error = _verdict(operation, now)
    changes: dict[str, object] = {"state": state.value, "error": error, "lease_token": None}
    if state is OperationState.QUEUED:
        changes["heartbeat_at"] = now
    else:
        changes |= {"ended_at": now, "steps": closed(operation.steps, state, now)}
    silent = _held(operation).filter(heartbeat_at=operation.heartbeat_at)
    if not silent.update(**changes):
        return OperationState.RUNNING
    if state is OperationState.QUEUED:
        _wake(operation)
    return state


def _verdict(operation: Operation, now: datetime) -> tuple[OperationState, str]:
    asked, error = _asked_end(operation, now)
    if asked is not None:
        return asked, error
    if operation.attempts >= MOST_ATTEMPTS:
        return (
            OperationState.FAILED,
            f"Its worker went silent for {SILENCE_LIMIT.seconds} seconds, "
            f"{operation.attempts} times in all. See the worker's log, then start it again.",
        )
    return OperationState.QUEUED, ""


def _waiting(now: datetime) -> Q:
    return Q(
        Q(heartbeat_at__lt=now - RESEND_AFTER)
        | Q(heartbeat_at__isnull=True, created_at__lt=now - RESEND_AFTER),
        state=OperationState.QUEUED.value,
        kind__in=list(TASK_BY_KIND),
    )


def _wake_again(queued: list[Operation], now: datetime) -> None:
    Operation.objects.filter(pk__in=[operation.pk for operation in queued]).update(heartbeat_at=now)
    for operation in queued:
        _wake(operation)
