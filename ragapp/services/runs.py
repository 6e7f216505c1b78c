"""Runs: a question is asked, a worker answers it, and whatever happens it comes to an end.

``ask`` makes the row and wakes the engine worker; ``answer`` claims it, drives the agent and
writes the end. A worker that dies is noticed by its missing heartbeat: the sweep queues the run
again, once, and then fails it in words. No transaction is open while a model or the network is
waited for.
"""

import secrets
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from proxyconfig.facade import egress_endpoint
from ragapp.domain import trace
from ragapp.domain.agent import Settings
from ragapp.domain.answering import Answering
from ragapp.domain.drive import RunCancelledError, World
from ragapp.domain.drive import run as drive
from ragapp.domain.ends import Answer
from ragapp.domain.grade import Calibrations
from ragapp.domain.passage import Passage, Source
from ragapp.domain.reader import ANYBODY, Reader, from_json, reader_of, to_json
from ragapp.models import Channel, Conversation, Corpus, Document, Run
from ragapp.models.rights import visible_runs
from ragapp.services import (
    calibration,
    conversations,
    ledger,
    limits,
    serving,
    stream,
    turns,
    web_search,
)
from ragapp.services.recorder import Recorder
from ragapp.services.tools import RunTools
from ragapp.services.web import WayOut
from tenants import audit, wake
from tenants.domain.actor import Actor
from tenants.domain.states import OperationState
from tenants.errors import ConflictError, InvalidError, NotVisibleError, SluiceError
from tenants.models.scoped import platform_scope, tenant_scope
from tenants.models.tenant import Tenant

MOST_CHARACTERS = 4000
MOST_ATTEMPTS = 2
# Heartbeats come every second; a loaded machine may be late by several.
SILENCE_LIMIT = timedelta(seconds=20)
RESEND_AFTER = timedelta(seconds=20)
_STOPPED = "Somebody stopped it. What was written until then is kept."

Json = dict[str, Any]  # Any: as nested as JSON is.


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


@dataclass(frozen=True, slots=True)
class _End:
    """How a run ended, as columns of its row."""

    state: OperationState
    answer: str
    end: str = ""
    end_message: str = ""
    error: str = ""
    citations: list[Json] = field(default_factory=list)
    sentences: list[Json] = field(default_factory=list)


def ask(
    tenant: Tenant,
    question: str,
    *,
    actor: Actor,
    channel: Channel | Entrance,
    corpus: Corpus | None = None,
    conversation: Conversation | None = None,
) -> Run:
    """Put a question; the engine worker answers it after the commit.

    Args:
        corpus: Where to look; in all of the tenant's corpora when None.
        conversation: What it follows up on, and where that looked; a new one when None.

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
    limited = Document.objects.exclude(readers=[])
    came_in = trace.Ingress(0, text, entrance.channel.value, entrance.source, entrance.rule)
    run = Run(
        tenant=tenant,
        trace_id=_trace_id(actor),
        channel=entrance.channel.value,
        asked_by=actor.name[:150],
        token_id=actor.token_id,
        principals=to_json(reader_of(actor)),
        is_limited=(limited.filter(corpus=looked) if looked else limited).exists(),
        corpus=looked,
        question=text,
        entries=[trace.to_json(came_in)],
    )
    limits.admit_question(tenant, actor=actor)
    run.conversation = conversations.joined(conversation, run, actor=actor)
    run.save(force_insert=True)
    wake.send(wake.ANSWER_RUN, run.pk)
    return run


def answer_next() -> None:
    """Answer the queued run whose turn it is, if any waits; see ``turns``."""
    while (run_id := turns.pick()) is not None:
        if answer(run_id):
            return


def answer(run_id: int) -> bool:
    """Answer a queued run, and tell whether it was; if not, that is a normal end too."""
    run = _claim(run_id)
    if run is None:
        return False
    cancel = threading.Event()
    with Recorder(run, cancel) as recorder:
        recorder.record(_came_in(run))
        try:
            ended = _answered(run, recorder, cancel)
        except RunCancelledError:
            ended = _End(OperationState.CANCELLED, recorder.written, end_message=_STOPPED)
        except SluiceError as error:
            ended = _End(OperationState.FAILED, recorder.written, error=error.message)
        except Exception as error:
            _finish(run, recorder, _defect(error, recorder))
            raise
        _finish(run, recorder, ended)
    return True


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
                locked.end_message = _STOPPED
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


def _claim(run_id: int) -> Run | None:
    """Take the lease of a queued run; None when another worker has it or it has ended."""
    now = timezone.now()
    with platform_scope("run claim"):
        claimed = Run.objects.filter(pk=run_id, state=OperationState.QUEUED.value).update(
            state=OperationState.RUNNING.value,
            lease_token=uuid.uuid4(),
            attempts=F("attempts") + 1,
            started_at=now,
            heartbeat_at=now,
        )
        if not claimed:
            return None
        run = Run.objects.select_related("tenant", "corpus").get(pk=run_id)
        if run.attempts > 1:
            # What the attempt before used is charged; this one, dead at once, has used nothing.
            run.entries = run.entries[:1]
            Run.objects.filter(pk=run_id).update(entries=run.entries)
        return run


def _answered(run: Run, recorder: Recorder, cancel: threading.Event) -> _End:
    """Drive the agent to its end."""
    tools = _tools(run)
    world = World(
        tools=tools,
        engine=serving.engine(run.corpus.answering.model if run.corpus else ""),
        listener=recorder,
        clock=time.monotonic,
        cancel=cancel,
    )
    settings = _settings(run, tools, world.engine.name)
    delimiter = f"<<{secrets.token_hex(4)}>>"
    reached = drive(run.question, settings=settings, world=world, delimiter=delimiter)
    return _End(
        OperationState.SUCCEEDED,
        answer=reached.text,
        end=reached.end.value,
        end_message=reached.reason,
        citations=citations(reached),
        sentences=[asdict(s) for s in reached.cited.sentences] if reached.cited else [],
    )


def settings_for(
    tenant: str, answering: Answering, calibrations: Calibrations | None = None
) -> Settings:
    """What bounds a run of the tenant of this slug that is answered so."""
    return Settings(
        tenant=tenant,
        passages=answering.passages,
        web=answering.web,
        instructions=answering.instructions,
        calibrations=calibrations or Calibrations(),
    )


def _settings(run: Run, tools: RunTools, model: str) -> Settings:
    """Those of the run's corpus, with its model's calibrations and what was said before."""
    answering = run.corpus.answering if run.corpus else Answering()
    with tenant_scope(run.tenant_id):
        calibrations = calibration.in_use(tools.corpus_ids, model)
        settings = settings_for(run.tenant.slug, answering, calibrations)
        web = settings.web and web_search.service_of(run.tenant) is not None
        return replace(
            settings, web=web, history=conversations.history(run, from_json(run.principals))
        )


def _tools(run: Run) -> RunTools:
    with tenant_scope(run.tenant_id):
        corpora = Corpus.objects.filter(pk=run.corpus_id) if run.corpus_id else Corpus.objects.all()
        corpus_ids = tuple(corpora.order_by("pk").values_list("pk", flat=True))
        endpoint = egress_endpoint(run.tenant)
        service = web_search.service_of(run.tenant)
    way = WayOut(run.tenant.slug, run.trace_id, endpoint, service)
    return RunTools(
        run.tenant_id,
        corpus_ids,
        way,
        reader=from_json(run.principals),
        rerank=run.corpus is not None and run.corpus.rerank,
    )


def _came_in(run: Run) -> trace.Entry:
    """The entry that ``ask`` left; an attempt begins its trace with it."""
    return trace.from_json(run.entries[0])


def citations(reached: Answer) -> list[Json]:
    """The passages that the model read; the text of a corpus's passage stays in the corpus.

    So a document that is deleted is deleted: an old run cannot show what it said.
    """
    used = {n for s in (reached.cited.sentences if reached.cited else ()) for n in s.passages}
    return [
        _citation(number, passage, is_cited=number in used)
        for number, passage in enumerate(reached.passages, start=1)
    ]


def _citation(number: int, passage: Passage, *, is_cited: bool) -> Json:
    return {
        "number": number,
        "is_cited": is_cited,
        "source": passage.source.value,
        "title": passage.title,
        "section": list(passage.section),
        "page": passage.page,
        "url": passage.url,
        "chunk_id": passage.chunk_id,
        "document_id": passage.document_id,
        "start": passage.start,
        "end": passage.end,
        "score": passage.score,
        "text": passage.text if passage.source is Source.WEB else "",
    }


def _defect(error: Exception, recorder: Recorder) -> _End:
    sentence = f"A defect stopped this run: {type(error).__name__}. See the engine worker's log."
    return _End(OperationState.FAILED, recorder.written, error=sentence)


def _finish(run: Run, recorder: Recorder, ended: _End) -> None:
    """Write the end, unless another worker has the run, and tell whoever follows it."""
    recorder.conclude(ended.answer)
    entries = recorder.entries
    now = timezone.now()
    with tenant_scope(run.tenant_id):
        held = Run.objects.filter(
            pk=run.pk, lease_token=run.lease_token, state=OperationState.RUNNING.value
        ).update(
            state=ended.state.value,
            answer=ended.answer,
            end=ended.end,
            end_message=ended.end_message,
            error=ended.error,
            citations=ended.citations,
            sentences=ended.sentences,
            entries=entries,
            restarts=recorder.restarts,
            route=_route(entries),
            usage=usage(entries, seconds=(now - (run.started_at or now)).total_seconds()),
            ended_at=now,
            heartbeat_at=now,
            lease_token=None,
        )
        if not held:
            return
        run.refresh_from_db()
        ledger.record_attempt(run, entries, attempt=run.attempts, state=ended.state, now=now)
    recorder.end(stream.end(run))


def _route(entries: Sequence[Mapping[str, Any]]) -> str:
    """The way that was taken last."""
    ways = [entry["way"] for entry in entries if entry["kind"] == trace.Route.kind]
    return str(ways[-1]) if ways else ""


def usage(entries: Sequence[Mapping[str, Any]], *, seconds: float) -> Json:
    """Tokens by purpose, as the model calls counted them, and seconds from claim to end."""
    spent: Json = {"seconds": round(seconds, 3), "tokens_in": 0, "tokens_out": 0}
    for entry in entries:
        if entry["kind"] == trace.ModelCall.kind:
            spent["tokens_in"] += entry["tokens_in"]
            spent["tokens_out"] += entry["tokens_out"]
            purpose = f"{entry['purpose']}_tokens"
            spent[purpose] = spent.get(purpose, 0) + entry["tokens_in"] + entry["tokens_out"]
    return spent


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
        return OperationState.CANCELLED, {"end_message": _STOPPED}
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
