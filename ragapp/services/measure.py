"""One question of an evaluation: searched, answered by the real agent, and measured.

It searches with the eyes of those who may train, who alone see an evaluation's pages.
"""

import secrets
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from proxyconfig.facade import egress_endpoint
from ragapp.domain import run_record, scores, trace
from ragapp.domain.agent import Settings
from ragapp.domain.drive import World
from ragapp.domain.drive import run as drive
from ragapp.domain.ends import Answer
from ragapp.domain.engine import Engine, Message, Session
from ragapp.domain.judged import Judged, grade_of
from ragapp.domain.labels import labelled
from ragapp.domain.passage import Passage
from ragapp.domain.reader import EVERYTHING
from ragapp.domain.run_record import Json
from ragapp.domain.tuning import WEIGHTS
from ragapp.models import Chunk, Evaluation, Purpose
from ragapp.services import calibration, search, web_search
from ragapp.services.answer import settings_for
from ragapp.services.borrowed import Borrowed
from ragapp.services.tools import RunTools
from ragapp.services.web import WayOut
from tenants.errors import SluiceError, TransientError
from tenants.models.scoped import tenant_scope
from tenants.models.tenant import Tenant

DEPTH = 100
# Hits kept for the page that shows what went wrong.
SHOWN_HITS = 20
SWEPT_HITS = 50
TRIES = 3


@dataclass(slots=True)
class Measured:
    """What one question came to, as columns of its row."""

    hits: list[Json] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    usage: Json = field(default_factory=dict)
    end: str = ""
    answer: str = ""
    sentences: list[Json] = field(default_factory=list)
    citations: list[Json] = field(default_factory=list)
    entries: list[Json] = field(default_factory=list)
    error: str = ""
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    """A passage that was found, with the hash that judgements name it by."""

    passage: Passage
    content_hash: str

    @property
    def url(self) -> str:
        """Of its document."""
        return self.passage.url


class Measurer:
    """Measures questions as one evaluation says; used by one thread.

    Args:
        evaluation: With its corpus.
        engine: What answers; None where only retrieval is measured.
        cancel: Set from any thread; the model stops.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        tenant: Tenant,
        engine: Engine | None,
        cancel: threading.Event,
    ) -> None:
        self._evaluation = evaluation
        self._answering = evaluation.settings
        self._tenant = tenant
        self._engine = engine
        self._cancel = cancel
        with tenant_scope(tenant.pk):
            self._endpoint = egress_endpoint(tenant)
            self._service = web_search.service_of(tenant)

    def measured(self, judged: Judged) -> Measured:
        """What the question came to; what is wrong with it alone is its error.

        Raises:
            TransientError: The model was gone or overloaded each time.
        """
        measured = Measured(trace_id=uuid.uuid4().hex)
        for attempt in range(1, TRIES + 1):
            try:
                self._measure(judged, measured)
            except TransientError:
                if attempt == TRIES or self._cancel.wait(attempt * 1.0):
                    raise
            else:
                break
        return measured

    def _measure(self, judged: Judged, measured: Measured) -> None:
        if self._evaluation.purpose == Purpose.WEIGHT:
            measured.usage["by_weight"] = self._sweep(judged)
        found = self._hashed(
            search.search(
                *self._place,
                judged.text,
                k=DEPTH,
                weight=self._answering.dense_weight,
                reader=EVERYTHING,
                rerank=self._answering.rerank,
            )
        )
        measured.hits = _hits(judged, found)
        measured.metrics = scores.retrieval(judged, found)
        if self._engine is not None:
            self._answer(judged, measured, self._engine)

    def _sweep(self, judged: Judged) -> list[float]:
        """nDCG@10 at each of ``WEIGHTS``."""
        orders = search.by_weight(
            *self._place, judged.text, WEIGHTS, k=SWEPT_HITS, reader=EVERYTHING
        )
        hashed = self._hashed([*{hit.key: hit for order in orders for hit in order}.values()])
        by_key = {found.passage.key: found for found in hashed}
        return [
            scores.retrieval(judged, [by_key[hit.key] for hit in order]).get("ndcg_at_10", 0.0)
            for order in orders
        ]

    def _answer(self, judged: Judged, measured: Measured, engine: Engine) -> None:
        """What the agent makes of the question, with the evaluation's own settings."""
        slug = self._tenant.slug
        listener = _Entries()
        world = World(
            tools=RunTools(
                self._tenant.pk,
                (self._evaluation.corpus_id,),
                WayOut(slug, measured.trace_id, self._endpoint, self._service),
                weight=self._answering.dense_weight,
                reader=EVERYTHING,
                rerank=self._answering.rerank,
            ),
            engine=_Lane(engine, f"evaluation:{slug}"),
            listener=listener,
            clock=time.monotonic,
            cancel=self._cancel,
        )
        begun = time.monotonic()
        settings = self._settings(engine)
        delimiter = f"<<{secrets.token_hex(4)}>>"
        try:
            reached = drive(judged.text, settings=settings, world=world, delimiter=delimiter)
        except TransientError:
            raise
        except SluiceError as error:
            # A question that does not fit the model says nothing of the others.
            measured.error, measured.entries = error.message, listener.stored
            return
        self._take(judged, measured, reached, listener.stored, time.monotonic() - begun)

    def _settings(self, engine: Engine) -> Settings:
        """As people's questions would be answered; what calibrates is itself uncalibrated."""
        slug, answering = self._tenant.slug, self._answering
        if self._evaluation.purpose == Purpose.CALIBRATION or self._service is None:
            answering = replace(answering, web=False)
        if self._evaluation.purpose == Purpose.CALIBRATION:
            return settings_for(slug, answering)
        with tenant_scope(self._tenant.pk):
            known = calibration.in_use([self._evaluation.corpus_id], engine.name)
        return settings_for(slug, answering, known)

    def _take(
        self,
        judged: Judged,
        measured: Measured,
        reached: Answer,
        entries: list[Json],
        seconds: float,
    ) -> None:
        read = self._hashed(reached.passages)
        sentences = [asdict(s) for s in reached.cited.sentences] if reached.cited else []
        measured.end, measured.answer = reached.end.value, reached.text
        measured.sentences, measured.entries = sentences, entries
        measured.citations = run_record.citations(reached)
        measured.usage = run_record.usage(entries, seconds=seconds) | {
            "outgoing": sum(entry["kind"] == trace.Outbound.kind for entry in entries)
        }
        answered = scores.Answered(reached.end.value, reached.text, sentences, read)
        measured.metrics |= scores.answer(judged, answered)
        if self._evaluation.purpose == Purpose.CALIBRATION:
            measured.usage["labels"] = asdict(labelled(judged, reached))
        measured.metrics["seconds"] = round(seconds, 3)
        measured.metrics["tokens"] = measured.usage["tokens_in"] + measured.usage["tokens_out"]

    @property
    def _place(self) -> tuple[int, list[int]]:
        """Where is searched: the tenant and its one corpus."""
        return self._tenant.pk, [self._evaluation.corpus_id]

    def _hashed(self, passages: Sequence[Passage]) -> list[_Found]:
        """The passages with the hashes of their chunks."""
        ids = [passage.chunk_id for passage in passages if passage.chunk_id]
        with tenant_scope(self._tenant.pk):
            hashes = Chunk.objects.filter(id__in=ids).values_list("id", "content_hash")
            hash_by_id = dict(hashes)
        return [_Found(each, hash_by_id.get(each.chunk_id or 0, "")) for each in passages]


class _Entries:
    """The ``Listener`` of a run that nobody follows: it keeps the trace."""

    def __init__(self) -> None:
        self.stored: list[Json] = []

    def record(self, entry: trace.Entry) -> None:
        """Something happened."""
        self.stored.append(trace.to_json(entry))

    def text(self, piece: str) -> None:
        """The answer grew; it is read when it is whole."""

    def restart(self) -> None:
        """The answer begins anew."""


class _Lane(Borrowed):
    """An engine whose sessions wait in another lane than the tenant's people."""

    def __init__(self, engine: Engine, lane: str) -> None:
        super().__init__(engine)
        self._lane = lane

    def open(
        self,
        messages: Sequence[Message],
        *,
        lane: str = "",
        cancel: threading.Event | None = None,
    ) -> Session:
        """A session in the lane of evaluations, whichever was asked for."""
        return super().open(messages, lane=self._lane, cancel=cancel)


def _hits(judged: Judged, found: Sequence[_Found]) -> list[Json]:
    """What the page shows of a ranking: its first places, and each relevant one further down."""
    return [
        {
            "rank": rank,
            "grade": grade_of(judged, hit.url, hit.content_hash),
            "content_hash": hit.content_hash,
            **asdict(trace.Hit.of(hit.passage)),
        }
        for rank, hit in enumerate(found, start=1)
        if rank <= SHOWN_HITS or grade_of(judged, hit.url, hit.content_hash)
    ]
