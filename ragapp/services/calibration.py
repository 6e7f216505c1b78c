"""Calibrations kept and used: judged questions are asked, the grades fitted, the outcome stored.

A calibration belongs to one corpus and one model; each new one is a version of its own, and the
newest is what runs use. Nothing of a run that calibrates leaves the cluster: the web is not tried.
"""

import secrets
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

from django.db import transaction

from proxyconfig.facade import egress_endpoint
from ragapp.domain import trace
from ragapp.domain.agent import Settings
from ragapp.domain.drive import World
from ragapp.domain.drive import run as drive
from ragapp.domain.ends import Answer
from ragapp.domain.engine import Engine
from ragapp.domain.grade import Calibrations, Question
from ragapp.domain.judged import Judged
from ragapp.domain.labels import JudgedRun, labelled
from ragapp.domain.reader import EVERYTHING
from ragapp.models import Calibration, Corpus
from ragapp.services import fit
from ragapp.services.fit import Fitted
from ragapp.services.tools import RunTools
from ragapp.services.web import WayOut
from tenants import audit
from tenants.domain.actor import Actor
from tenants.models.scoped import tenant_scope

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Asking:
    """How judged questions are asked.

    Attributes:
        settings: As questions on the corpus are answered; calibrations in it are not used.
        cancel: Set it from any thread to stop.
    """

    engine: Engine
    settings: Settings
    cancel: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Unheard:
    """A listener for runs that nobody reads."""

    def record(self, entry: trace.Entry) -> None:
        """Keep nothing: the grades come with the answer."""

    def text(self, piece: str) -> None:
        """Show nothing."""

    def restart(self) -> None:
        """Forget nothing."""


def in_use(corpus_ids: Sequence[int], model: str) -> Calibrations:
    """The newest calibrations of the one corpus that is searched; none where there are several."""
    if len(corpus_ids) != 1:
        return Calibrations()
    rows = newest(corpus_ids[0], model)
    return Calibrations({Question(row.question): row.fit for row in rows})


def newest(corpus_id: int, model: str) -> list[Calibration]:
    """One row for each question, of the last version; empty where there is none."""
    known = Calibration.objects.filter(corpus_id=corpus_id, model=model)
    last = known.order_by("-version").values_list("version", flat=True).first()
    return list(known.filter(version=last)) if last else []


def calibrate(
    corpus: Corpus,
    judged: Sequence[Judged],
    *,
    asking: Asking,
    actor: Actor,
    source: str,
    precision: float | None = None,
    progress: Progress = lambda done, total: None,
) -> list[Calibration]:
    """Ask each judged question, fit, and store a new version; outside any transaction.

    Args:
        source: Where the questions came from, for people.
        precision: Share of the answers given that shall be right; None as ``fit.fit`` has it.
        progress: Called with how many questions were asked, of how many.

    Raises:
        InvalidError: too few questions, or all of one kind.
        RunCancelledError: ``asking.cancel`` was set.
    """
    runs: list[JudgedRun] = []
    for number, question in enumerate(judged, start=1):
        runs.append(labelled(question, answered(corpus, question.text, asking)))
        progress(number, len(judged))
    fitted = fit.fit(runs, precision=precision)
    with tenant_scope(corpus.tenant_id):
        return store(corpus, asking.engine.name, fitted, actor=actor, source=source)


def answered(corpus: Corpus, question: str, asking: Asking) -> Answer:
    """One question answered from the corpus, uncalibrated and without the web."""
    with tenant_scope(corpus.tenant_id):
        way = WayOut(corpus.tenant.slug, uuid.uuid4().hex, egress_endpoint(corpus.tenant))
    world = World(
        tools=RunTools(corpus.tenant_id, (corpus.pk,), way, reader=EVERYTHING),
        engine=asking.engine,
        listener=Unheard(),
        clock=time.monotonic,
        cancel=asking.cancel,
    )
    plain = replace(asking.settings, web=False, calibrations=Calibrations())
    return drive(question, settings=plain, world=world, delimiter=f"<<{secrets.token_hex(4)}>>")


def store(
    corpus: Corpus,
    model: str,
    fitted: dict[Question, Fitted],
    *,
    actor: Actor,
    source: str,
) -> list[Calibration]:
    """A new version, which runs use from now on; inside the tenant's scope."""
    with transaction.atomic():
        # Two at once would take the same version: the corpus's row is their turn.
        Corpus.objects.select_for_update().get(pk=corpus.pk)
        known = Calibration.objects.filter(corpus=corpus, model=model)
        last = known.order_by("-version").values_list("version", flat=True).first() or 0
        rows = [
            _row(corpus, model, question, one, version=last + 1, actor=actor, source=source)
            for question, one in fitted.items()
        ]
        Calibration.objects.bulk_create(rows)
        audit.record(actor, "corpus.calibrated", corpus, reason=source)
    return rows


def _row(
    corpus: Corpus,
    model: str,
    question: Question,
    one: Fitted,
    *,
    version: int,
    actor: Actor,
    source: str,
) -> Calibration:
    calibration = one.calibration
    return Calibration(
        tenant_id=corpus.tenant_id,
        corpus=corpus,
        model=model,
        question=question.value,
        version=version,
        weights=dict(calibration.weight_by_feature),
        intercept=calibration.intercept,
        low=calibration.low,
        high=calibration.high,
        samples=one.count,
        positives=one.positive,
        brier=one.brier,
        ece=one.ece,
        auc=one.auc,
        bins=[asdict(entry) for entry in one.bins],
        source=source[:300],
        created_by=actor.name[:150],
    )
