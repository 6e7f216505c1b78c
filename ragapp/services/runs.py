"""Runs: a question is asked, and whatever happens it comes to an end.

``ask`` makes the row and wakes the engine worker, which answers it (``answer.py``). A worker that
dies is noticed by its missing heartbeat: the sweep queues the run again, once, and then fails it
in words.
"""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from ragapp.domain import trace
from ragapp.domain.followup import Exchange
from ragapp.domain.reader import ANYBODY, Reader, reader_of, to_json
from ragapp.models import Channel, Conversation, Corpus, Run
from ragapp.models.rights import visible_runs
from ragapp.services import conversations, ledger, limits, rights
from tenants import audit, wake
from tenants.domain.actor import Actor
from tenants.domain.states import OperationState
from tenants.errors import ConflictError, InvalidError, NotVisibleError
from tenants.models.scoped import platform_scope
from tenants.models.tenant import Tenant

MOST_CHARACTERS = 4000
MOST_ATTEMPTS = 2
# Heartbeats come every second; a loaded machine may be late by several.
SILENCE_LIMIT = timedelta(seconds=20)
RESEND_AFTER = timedelta(seconds=20)
STOPPED = "Somebody stopped it. What was written until then is kept."


@dataclass(frozen=True, slots=True)
class Entrance:
    """Which way a question came in: the first line of its trace."""

    channel: Channel
    source: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did, as counts of runs."""

    woken: int
    requeued: int
    failed: int


def ask(
    tenant: Tenant,
    question: str,
    *,
    actor: Actor,
    channel: Channel | Entrance,
    corpus: Corpus | None = None,
    conversation: Conversation | None = None,
    earlier: Sequence[Exchange] = (),
) -> Run:
    """Put a question; the engine worker answers it after the commit.

    Args:
        corpus: Where to look; in all of the tenant's corpora when None.
        conversation: What it follows up on, and where that looked; a new one when None.
        earlier: What was said before, oldest first, where the client keeps the thread itself.

    Raises:
        InvalidError: the question is empty or too long.
        QuotaError: a limit of the tenant or of its API token is spent.
    """
    entrance = channel if isinstance(channel, Entrance) else Entrance(channel)
    text = " ".join(question.replace("\0", " ").split())
    if not text or len(text) > MOST_CHARACTERS:
        raise InvalidError(
            f"A question has 1 to {MOST_CHARACTERS} characters; this one has {len(text)}.",
            fields={"question": [f"Write 1 to {MOST_CHARACTERS} characters."]},
        )
    looked = corpus or (conversation.corpus if conversation else None)
    came_in = trace.Ingress(
        0,
        text,
        entrance.channel.value,
        entrance.source,
        entrance.rule,
        looked.name if looked else "",
    )
    run = Run(
        tenant=tenant,
        trace_id=_trace_id(actor),
        channel=entrance.channel.value,
        asked_by=actor.name[:150],
        token_id=actor.token_id,
        principals=to_json(reader_of(actor)),
        corpus=looked,
        question=text,
        earlier=[asdict(exchange) for exchange in earlier],
        entries=[trace.to_json(came_in)],
    )
    limits.admit_question(tenant, actor=actor)
    run.conversation = conversations.joined(conversation, run, actor=actor)
    run.is_limited = rights.may_be_limited(run)
    run.save(force_insert=True)
    wake.send(wake.ANSWER_RUN, run.pk)
    return run


def request_stop(run: Run, *, actor: Actor) -> Run:
    """Stop a run: a queued one at once, a running one within about a second; its text is kept.

    Raises:
        ConflictError: it has ended already.
    """
    with transaction.atomic():
        locked = Run.objects.select_for_update(of=["self"]).get(pk=run.pk)
        if locked.has_ended:
            raise ConflictError(
                f"This run has already ended ({locked.state}); there is nothing to stop.",
                code="run-ended",
            )
        if locked.cancel_requested_at is None:
            now = timezone.now()
            locked.cancel_requested_at = now
            if locked.state == OperationState.QUEUED:
                locked.state, locked.ended_at = OperationState.CANCELLED.value, now
                locked.end_message = STOPPED
                # The attempt that it waited for used nothing.
                coming = locked.attempts + 1
                ledger.record_attempt(
                    locked, [], attempt=coming, state=OperationState.CANCELLED, now=now
                )
            locked.save(update_fields=["cancel_requested_at", "state", "ended_at", "end_message"])
            audit.record(actor, "run.stop-requested", locked)
    return locked


def visible_run(trace_id: str, *, reader: Reader = ANYBODY) -> Run:
    """The scope's run with this trace id.

    Raises:
        NotVisibleError: there is none that the reader may see.
    """
    runs = Run.objects.select_related("tenant", "corpus", "conversation").filter(
        visible_runs(reader)
    )
    run = runs.filter(trace_id=trace_id).first()
    if run is None:
        raise NotVisibleError(f"No run with the trace id {trace_id} is here. See the list of runs.")
    return run


def sweep_stale(now: datetime) -> Swept:
    """Queue again or fail what lost its worker, and wake the engine for what waits."""
    with platform_scope("run sweep"):
        silent = Run.objects.filter(
            state=OperationState.RUNNING.value, heartbeat_at__lt=now - SILENCE_LIMIT
        )
        silent = silent.select_related("corpus").order_by("pk")
        states = [_give_up(run, now) for run in silent[:500]]
        woken = _wake_waiting(now)
    return Swept(
        woken=woken,
        requeued=states.count(OperationState.QUEUED),
        failed=states.count(OperationState.FAILED),
    )


def _trace_id(actor: Actor) -> str:
    """The request's trace id, which thus links click, run and connections; a new one without."""
    taken = not actor.trace_id or Run.objects.filter(trace_id=actor.trace_id).exists()
    return uuid.uuid4().hex if taken else actor.trace_id


def _give_up(run: Run, now: datetime) -> OperationState:
    """The state that a run without a worker goes to; unchanged if the worker came back."""
    state, changes = _verdict(run)
    if state is not OperationState.QUEUED:
        changes["ended_at"] = now
    silent = Run.objects.filter(
        pk=run.pk,
        state=OperationState.RUNNING.value,
        lease_token=run.lease_token,
        heartbeat_at=run.heartbeat_at,
    )
    if not silent.update(state=state.value, lease_token=None, heartbeat_at=now, **changes):
        return OperationState.RUNNING
    ledger.record_attempt(run, run.entries, attempt=run.attempts, state=state, now=now)
    if state is OperationState.QUEUED:
        wake.send(wake.ANSWER_RUN, run.pk)
    return state


def _verdict(run: Run) -> tuple[OperationState, dict[str, object]]:
    if run.cancel_requested_at is not None:
        return OperationState.CANCELLED, {"end_message": STOPPED}
    if run.attempts < MOST_ATTEMPTS:
        return OperationState.QUEUED, {}
    error = (
        f"The engine worker died {run.attempts} times while it answered this. What was written"
        " until then is kept. See the worker's log, and ask again."
    )
    return OperationState.FAILED, {"error": error}


def _wake_waiting(now: datetime) -> int:
    """Send the message again for runs that wait long: the first may have been lost."""
    waiting = Run.objects.filter(
        Q(heartbeat_at__lt=now - RESEND_AFTER)
        | Q(heartbeat_at__isnull=True, created_at__lt=now - RESEND_AFTER),
        state=OperationState.QUEUED.value,
    )
    run_ids = list(waiting.order_by("pk").values_list("pk", flat=True)[:500])
    Run.objects.filter(pk__in=run_ids, state=OperationState.QUEUED.value).update(heartbeat_at=now)
    for run_id in run_ids:
        wake.send(wake.ANSWER_RUN, run_id)
    return len(run_ids)
