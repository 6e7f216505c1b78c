"""The vector of a question, from whichever process has the model.

Workers load the embedder and ask it. The web tier never does: its pages would stand still while
torch is imported. It asks the engine worker through the broker and waits, a few milliseconds where
nothing else is going on; only the question goes there and only numbers come back.
"""

import logging
import uuid
from contextlib import closing
from typing import Any

import redis
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

from ragapp.services import index, serving
from tenants.errors import TransientError

logger = logging.getLogger(__name__)

EMBED_QUESTION = "ragapp.embed_question"
WAIT_SECONDS = 5.0
# An answer that nobody fetches any more.
KEEP_SECONDS = 30
_PREFIX = "sluice:vector:"


def of_question(question: str) -> str:
    """The embedding in pgvector's input form.

    Raises:
        TransientError: no engine worker answered in time, or the broker is away.
    """
    if serving.has_embedder():
        return index.as_text(serving.embedder().embed_queries([question])[0])
    try:
        vector = _asked(question)
    except (redis.RedisError, OperationalError) as error:
        logger.warning("The broker took no question for the embedder: %s.", error)
        vector = None
    if vector is None:
        raise TransientError(
            "The engine worker gave the question no vector in time. See that it runs; try again.",
            code="engine-silent",
            retry_after_seconds=WAIT_SECONDS,
        )
    return vector


def answer(place: str, question: str) -> None:
    """In the engine worker: leave the vector where the question's asker waits."""
    vector = index.as_text(serving.embedder().embed_queries([question])[0])
    with closing(_client()) as client, client.pipeline() as pipe:
        pipe.rpush(f"{_PREFIX}{place}", vector)
        pipe.expire(f"{_PREFIX}{place}", KEEP_SECONDS)
        pipe.execute()


def _asked(question: str) -> str | None:
    place = uuid.uuid4().hex
    with closing(_client()) as client:
        current_app.send_task(
            EMBED_QUESTION, args=[place, question], expires=WAIT_SECONDS, retry=False
        )
        # Any: what Redis gives depends on the client's kind.
        reply: Any = client.blpop([f"{_PREFIX}{place}"], timeout=WAIT_SECONDS)
    return None if reply is None else reply[1].decode()


def _client() -> "redis.Redis":
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=WAIT_SECONDS + 2, socket_connect_timeout=2.0
    )
