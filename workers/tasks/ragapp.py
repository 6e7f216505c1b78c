"""Tasks of the agent: training on the ingest queue, answers and evaluations on the engine queue.

Each acknowledges early: a run or a training that loses its worker is found by the sweep.
"""

import logging
import threading
from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutdown, worker_shutting_down
from django.conf import settings
from django.utils import timezone

from ragapp.services import (
    answer,
    embedding,
    evaluate,
    retention,
    runs,
    schedule,
    serving,
    training,
    turns,
    vectors,
)
from tenants.errors import SluiceError

logger = logging.getLogger(__name__)

ENGINE_QUEUE = "engine"
# An evaluation takes hours, and people's questions come first.
EVALUATIONS_AT_ONCE = 2

_answering = threading.BoundedSemaphore(settings.ANSWERS_AT_ONCE)
_evaluating = threading.BoundedSemaphore(EVALUATIONS_AT_ONCE)
_is_closing = threading.Event()


@shared_task(name="ragapp.train_corpus")
def train_corpus(operation_id: int) -> None:
    """Train a corpus, or what is left of it."""
    training.train(operation_id)


@shared_task(name="ragapp.answer_run")
def answer_run(run_id: int) -> None:
    """Answer the question whose turn it is, which need not be the one that woke this.

    A message that finds all places taken is done with: who has a place goes on to what waits.
    """
    is_wanted = True
    while is_wanted and not _is_closing.is_set() and _answering.acquire(blocking=False):
        try:
            while not _is_closing.is_set() and answer.answer_next():
                pass
        finally:
            _answering.release()
        # A message may have come between the last look and the release.
        is_wanted = turns.is_anybody_waiting()


@shared_task(name="ragapp.embed_question", ignore_result=True)
def embed_question(place: str, question: str) -> None:
    """Give the web tier the vector of a question; one that came too late has expired."""
    vectors.answer(place, question)


@shared_task(name="ragapp.evaluate_corpus")
def evaluate_corpus(operation_id: int) -> None:
    """Measure a way to answer, or what is left of it; the sweep sends again what finds no place."""
    if _evaluating.acquire(blocking=False):
        try:
            evaluate.evaluate(operation_id)
        finally:
            _evaluating.release()


@shared_task(name="ragapp.embed_texts")
def embed_texts(job_id: str) -> None:
    """Give a few texts their vectors, while somebody waits."""
    embedding.embed(job_id)


@shared_task(name="ragapp.sweep", soft_time_limit=50)
def sweep() -> None:
    """Find what lost its worker or its message: runs, and documents that were being read."""
    now = timezone.now()
    runs.sweep_stale(now)
    training.release_abandoned(now)


@shared_task(name="ragapp.train_scheduled", soft_time_limit=50)
def train_scheduled() -> int:
    """Start the trainings whose time has come."""
    return schedule.start_due(timezone.now())


@shared_task(name="ragapp.sweep_retention", soft_time_limit=240, time_limit=270)
def sweep_retention() -> None:
    """Delete what is older than the settings say."""
    retention.sweep(timezone.now())


@worker_ready.connect
def warm_up(sender: Any, **_: object) -> None:  # Any: Celery's consumer has no types.
    """Load the models of the engine worker before its first question.

    Only there: its pool is threads, so nothing is forked after the models have been loaded.
    """
    if ENGINE_QUEUE in sender.app.amqp.queues.consume_from:
        threading.Thread(target=_warm_up, name="warm up", daemon=True).start()


@worker_shutting_down.connect
def take_no_more(**_: object) -> None:
    """End with the answers under way."""
    _is_closing.set()


@worker_shutdown.connect
def close(**_: object) -> None:
    """Stop the model's thread."""
    serving.close()


def _warm_up() -> None:
    try:
        serving.warm_up()
    except SluiceError as error:
        # Each question then says the same in its own run; the worker stays, for a mended folder.
        logger.error("The engine is not ready: %s", error.message)
