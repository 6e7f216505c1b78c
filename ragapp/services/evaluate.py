"""Runs an evaluation: each question is searched, answered by the real agent, and measured.

People's questions come first: one evaluation at a time in a process, one question at a time, in a
lane of its own, and it waits while somebody's run is queued or running. Each question is one
commit, so an evaluation that was killed goes on with the next one.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, replace
from statistics import quantiles
from typing import Any

from django.db import connection
from django.utils import timezone

from ragapp.domain import scores
from ragapp.domain.answering import stored
from ragapp.domain.labels import judged_run
from ragapp.domain.tuning import tune
from ragapp.models import Evaluation, EvaluationAnswer, Purpose, Run
from ragapp.services import (
    calibration,
    fit,
    ledger,
    limits,
    serving,
)
from ragapp.services.measure import Measured, Measurer
from tenants.domain.actor import Actor
from tenants.domain.states import OperationState
from tenants.errors import SluiceError
from tenants.models.operation import Operation
from tenants.models.scoped import platform_scope, tenant_scope
from tenants.services import operations

REPORT_SECONDS = 2.0
# Longest wait of one question for people's: under a constant load an evaluation still goes on.
PATIENCE_SECONDS = 30.0

Json = dict[str, Any]  # Any: as nested as JSON is.
# One evaluation at a time in this process: what finds it taken stays queued, and the sweep of
# operations wakes it again.
_turn = threading.Lock()


def evaluate(operation_id: int) -> None:
    """Run the evaluation, or what is left of it; a missing or claimed one is a normal end."""
    if not _turn.acquire(blocking=False):
        return
    try:
        operation = operations.claim(operation_id)
        if operation is not None:
            _guarded(operation)
    finally:
        _turn.release()


def _guarded(operation: Operation) -> None:
    """The evaluation with each of its ends written to the operation."""
    try:
        _Evaluation(operation).run()
    except operations.OperationCancelledError:
        operations.cancelled(operation)
    except operations.LeaseLostError:
        return
    except SluiceError as error:
        operations.fail(operation, f"{error.message} What was measured is kept; continue it.")
    except Exception as error:
        operations.fail(
            operation,
            f"A defect stopped the evaluation: {type(error).__name__}. What was measured is kept."
            " See the engine worker's log, then continue it.",
        )
        raise


class _Evaluation:
    """One attempt at one operation."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._tenant = operation.tenant
        self._tenant_id = operation.tenant_id
        self._cancel = threading.Event()
        self._begun_at = time.monotonic()
        self._done = 0
        self._done_before = 0

    def run(self) -> None:
        """Every question that is left, then the sums."""
        with tenant_scope(self._tenant_id):
            found = Evaluation.objects.select_related("corpus", "question_set").filter(
                pk=self._operation.target_id or 0
            )
            evaluation = found.first()
        if evaluation is None:
            operations.fail(self._operation, "The evaluation was deleted before it was run.")
            return
        self._evaluation, self._answering = evaluation, evaluation.settings
        self._read_model()
        self._report("begin")
        pool = ThreadPoolExecutor(1, thread_name_prefix=f"evaluation {evaluation.pk}")
        try:
            for row in self._left():
                self._give_way()
                self._keep(row, self._awaited(pool.submit(self._measurer.measured, row.judged)))
        finally:
            # Its own connection goes with the thread, or a test's database could not be dropped.
            pool.submit(_close_connection)
            pool.shutdown()
        self._end()

    def _read_model(self) -> None:
        """Which models measure; both stand in the evaluation's row."""
        self._engine = (
            serving.engine(self._answering.model) if self._evaluation.asks_model else None
        )
        self._measurer = Measurer(self._evaluation, self._tenant, self._engine, self._cancel)
        with tenant_scope(self._tenant_id):
            Evaluation.objects.filter(pk=self._evaluation.pk).update(
                model=self._engine.name if self._engine else "", embedder=serving.embedder().name
            )

    def _left(self) -> list[EvaluationAnswer]:
        """The questions to measure; those from before a crash or a cancel are counted."""
        with tenant_scope(self._tenant_id):
            rows = EvaluationAnswer.objects.filter(evaluation=self._evaluation)
            left = list(rows.filter(answered_at__isnull=True))
            self._done = self._done_before = rows.count() - len(left)
        return left

    def _give_way(self) -> None:
        """Wait while somebody's question is queued or running, for a while at most."""
        if self._engine:
            with tenant_scope(self._tenant_id):
                limits.admit_measurement(self._tenant)
        begun = time.monotonic()
        while self._engine and _people_wait() and time.monotonic() - begun < PATIENCE_SECONDS:
            self._report("give way to people's questions")
            time.sleep(REPORT_SECONDS / 4)

    def _awaited(self, measuring: "Future[Measured]") -> Measured:
        """What the question came to; reports while it waits, so that silence means death."""
        try:
            while True:
                self._report("measure")
                done, _ = wait([measuring], timeout=REPORT_SECONDS)
                if done:
                    return measuring.result()
        except SluiceError:
            self._cancel.set()
            raise

    def _keep(self, row: EvaluationAnswer, measured: Measured) -> None:
        """Store the question's figures, unless another worker has done so."""
        with tenant_scope(self._tenant_id):
            mine = EvaluationAnswer.objects.filter(pk=row.pk, answered_at__isnull=True)
            stored_now = mine.update(answered_at=timezone.now(), **asdict(measured))
            if stored_now and self._engine:
                ledger.record_measurement(
                    self._operation,
                    measured.entries,
                    corpus=self._evaluation.corpus.name,
                    trace_id=measured.trace_id,
                    now=timezone.now(),
                )
        self._done += 1
        self._report("measure")

    def _report(self, step: str) -> None:
        operations.progress(
            self._operation,
            done=self._done,
            total=self._evaluation.question_count,
            step=step,
            message=self._pace() if step == "measure" else "",
        )

    def _pace(self) -> str:
        """How fast, and how long it may take."""
        done = self._done - self._done_before
        if not done:
            return ""
        each = (time.monotonic() - self._begun_at) / done
        left = self._evaluation.question_count - self._done
        return f"{each:.1f} s a question, about {each * left:.0f} s left"

    def _end(self) -> None:
        """The sums over all questions."""
        self._report("sum up")
        with tenant_scope(self._tenant_id):
            rows = EvaluationAnswer.objects.filter(evaluation=self._evaluation)
            known = list(rows.values_list("metrics", "usage", "error"))
            metrics = scores.summed(metrics for metrics, _, _ in known)
            cost = _cost([usage for _, usage, _ in known])
            cost["errors"] = sum(1 for _, _, error in known if error)
            Evaluation.objects.filter(pk=self._evaluation.pk).update(
                metrics=metrics, cost=cost, ended_at=timezone.now(), **self._tuned(known)
            )
        headline = {
            metric.name: round(metrics[metric.name]["mean"], 4)
            for metric in scores.METRICS
            if metric.is_headline and metric.name in metrics
        }
        if self._evaluation.purpose == Purpose.CALIBRATION:
            headline |= self._calibrated([usage for _, usage, _ in known])
        operations.finish(self._operation, result=headline)

    def _calibrated(self, usages: Sequence[Mapping[str, Any]]) -> Json:
        """Fit and store what the grades are worth; from now on people's questions are graded so."""
        judged_runs = [judged_run(usage["labels"]) for usage in usages if "labels" in usage]
        fitted = fit.fit(judged_runs)
        with tenant_scope(self._tenant_id):
            rows = calibration.store(
                self._evaluation.corpus,
                self._engine.name if self._engine else "",
                fitted,
                actor=Actor(self._evaluation.created_by, trace_id=self._operation.trace_id),
                source=self._evaluation.calibration_source,
            )
        return {"calibration": rows[0].version}

    def _tuned(self, known: Sequence[tuple[Any, Any, Any]]) -> dict[str, Json]:
        """Of a sweep: the best weight becomes the setting to promote, the sweep is kept."""
        if self._evaluation.purpose != Purpose.WEIGHT:
            return {}
        base = stored(self._evaluation.base)
        tuned = tune([usage["by_weight"] for _, usage, _ in known], base=base.dense_weight)
        best = replace(self._answering, dense_weight=tuned.best)
        return {"answering": asdict(best), "sweep": asdict(tuned)}


def _close_connection() -> None:
    """Close the calling thread's own: the name means another one in each thread."""
    connection.close()


def _people_wait() -> bool:
    """Whether anybody's run, of any tenant, is queued or running."""
    open_states = [OperationState.QUEUED.value, OperationState.RUNNING.value]
    with platform_scope("evaluation gives way"):
        return Run.objects.filter(state__in=open_states).exists()


def _cost(usages: Sequence[Mapping[str, Any]]) -> Json:
    """Sums of tokens by purpose and of outgoing calls; seconds at the middle and at the end."""
    summed: Json = {}
    for usage in usages:
        for name, value in usage.items():
            if name not in ("seconds", "by_weight", "labels"):
                summed[name] = summed.get(name, 0) + value
    seconds = sorted(usage["seconds"] for usage in usages if "seconds" in usage)
    if seconds:
        summed |= {"seconds_p50": _quantile(seconds, 50), "seconds_p95": _quantile(seconds, 95)}
    return summed


def _quantile(values: Sequence[float], percent: int) -> float:
    if len(values) == 1:
        return values[0]
    return round(quantiles(values, n=100, method="inclusive")[percent - 1], 3)
