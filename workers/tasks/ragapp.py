"""Tasks of the agent: training on the ingest queue, answers and evaluations on the engine queue.

Each acknowledges early: a run or a training that loses its worker is found by the sweep.
"""

import logging
import threading
from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutdown
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
    vectors,
)
from tenants.errors import SluiceError

logger = logging.getLogger(__name__)

ENGINE_QUEUE = "engine"


@shared_task(name="ragapp.train_corpus")
def train_corpus(operation_id: int) -> None:
    """Train a corpus, or what is left of it."""
    training.train(operation_id)


@shared_task(name="ragapp.answer_run")
def answer_run(run_id: int) -> None:
    """Answer one question: the one whose turn it is, which need not be the one that woke this."""
    answer.answer_next()


@shared_task(name="ragapp.embed_question", ignore_result=True)
def embed_question(place: str, question: str) -> None:
    """Give the web tier the vector of a question; one that came too late has expired."""
    vectors.answer(place, question)


@shared_task(name="ragapp.evaluate_corpus")
def evaluate_corpus(operation_id: int) -> None:
    """Measure a way to answer, or what is left of it."""
    evaluate.evaluate(operation_id)


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
