"""The real broker, read from its own side: which messages were sent."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from django.conf import settings

QUEUES = ("default", "ingest", "engine")
Message = tuple[str, int]


class Broker:
    """Redis, with the queues that workers listen on."""

    def __init__(self, capture) -> None:
        self._capture = capture
        self._redis = redis.Redis.from_url(settings.REDIS_URL)

    @contextmanager
    def taking(self) -> Iterator[list[Message]]:
        """Collect the (task, row id) of each message that the block's commit sends, in order."""
        self._redis.delete(*QUEUES)
        sent: list[Message] = []
        with self._capture(execute=True):
            yield sent
        for queue in QUEUES:
            while (raw := self._redis.rpop(queue)) is not None:
                sent.append(read(raw))

    def close(self) -> None:
        self._redis.close()


def read(raw: bytes) -> Message:
    """The task's name and its argument."""
    message = json.loads(raw)
    arguments = json.loads(base64.b64decode(message["body"]))[0]
    return message["headers"]["task"], arguments[0]


@pytest.fixture
def broker(services, db, django_capture_on_commit_callbacks) -> Iterator[Broker]:
    reader = Broker(django_capture_on_commit_callbacks)
    yield reader
    reader.close()
