"""Answers a run: a worker claims it, drives the agent against the world, and writes its end.

No transaction is open while a model or the network is waited for. Each write names the lease, so a
worker that was given up for dead changes nothing; ``runs.py`` is what asks, stops and sweeps.
"""

import secrets
import threading
import time
import uuid
from dataclasses import asdict, dataclass, field, replace

from django.db.models import F
from django.utils import timezone

from proxyconfig.facade import egress_endpoint
from ragapp.domain import run_record, trace
from ragapp.domain.agent import Settings
from ragapp.domain.answering import Answering
from ragapp.domain.drive import RunCancelledError, World
from ragapp.domain.drive import run as drive
from ragapp.domain.grade import Calibrations
from ragapp.domain.reader import from_json
from ragapp.domain.run_record import Json
from ragapp.models import Corpus, Run
from ragapp.services import (
    calibration,
    conversations,
    ledger,
    rights,
    serving,
    stream,
    turns,
    web_search,
)
from ragapp.services.recorder import Recorder
from ragapp.services.runs import STOPPED
from ragapp.services.tools import RunTools
from ragapp.services.web import WayOut
from tenants.domain.states import OperationState
from tenants.errors import NotVisibleError, SluiceError
from tenants.models.scoped import platform_scope, tenant_scope

# More often than one attempt can begin anew. A worker that was killed may have streamed beginnings
# that its row does not know of, and those of the next attempt have to be later.
RESTARTS_PER_ATTEMPT = 100


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


def answer_next() -> bool:
    """Answer the queued run whose turn it is, see ``turns``; False where none waits."""
    while (run_id := turns.pick()) is not None:
        if answer(run_id):
            return True
    return False


def answer(run_id: int) -> bool:
    """Answer a queued run, and tell whether it was; if not, that is a normal end too."""
    run = claim(run_id)
    if run is None:
        return False
    cancel = threading.Event()
    with Recorder(run, cancel) as recorder:
        recorder.record(_came_in(run))
        try:
            ended = _answered(run, recorder, cancel)
        except RunCancelledError:
            ended = _End(OperationState.CANCELLED, recorder.written, end_message=STOPPED)
        except SluiceError as error:
            ended = _End(OperationState.FAILED, recorder.written, error=error.message)
        except Exception as error:
            _finish(run, recorder, _defect(error, recorder))
            raise
        _finish(run, recorder, ended)
    return True


def claim(run_id: int) -> Run | None:
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
            run.restarts += RESTARTS_PER_ATTEMPT
            Run.objects.filter(pk=run_id).update(entries=run.entries, restarts=run.restarts)
        rights.limit_again(run)
        return run


def _answered(run: Run, recorder: Recorder, cancel: threading.Event) -> _End:
    """Drive the agent to its end."""
    tools = tools_for(run)
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
        citations=run_record.citations(reached),
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


def tools_for(run: Run) -> RunTools:
    """What the run may search and fetch, with the rights of whoever asked.

    Raises:
        NotVisibleError: its corpus was deleted meanwhile.
    """
    with tenant_scope(run.tenant_id):
        corpus_ids = _corpus_ids(run)
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


def _corpus_ids(run: Run) -> tuple[int, ...]:
    """Where the run may look: in its corpus, or in all where it was asked so.

    The row forgets a corpus that is deleted; how the question came in does not.
    """
    name = run.entries[0].get("corpus", "")
    corpora = Corpus.objects.order_by("pk")
    if name or run.corpus_id:
        corpora = corpora.filter(pk=run.corpus_id or 0)
    found = tuple(corpora.values_list("pk", flat=True))
    if name and not found:
        raise NotVisibleError(
            f"The corpus {name} was deleted before this was answered. Ask again in another one."
        )
    return found


def _came_in(run: Run) -> trace.Entry:
    """The entry that ``ask`` left; an attempt begins its trace with it."""
    return trace.from_json(run.entries[0])


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
            route=run_record.route(entries),
            usage=run_record.usage(
                entries, seconds=(now - (run.started_at or now)).total_seconds()
            ),
            ended_at=now,
            heartbeat_at=now,
            lease_token=None,
        )
        if not held:
            return
        run.refresh_from_db()
        rights.limit_again(run)
        ledger.record_attempt(run, entries, attempt=run.attempts, state=ended.state, now=now)
    recorder.end(stream.end(run))
