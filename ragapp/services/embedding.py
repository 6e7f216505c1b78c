"""Vectors on request: the engine worker embeds, the web tier waits for the reply with a deadline.

Text and vectors pass through Redis, where they live for seconds. What was embedded is charged by
the worker, whether or not somebody still waits for it.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import redis
import redis.asyncio
from django.conf import settings
from django.utils import timezone

from ragapp.models import EmbeddingCall, UsageEntry, UsageKind
from ragapp.services import ledger, limits, serving
from tenants import wake
from tenants.domain.actor import Actor
from tenants.errors import InvalidError, TransientError
from tenants.models.scoped import tenant_scope
from tenants.models.tenant import Tenant

MOST_TEXTS = 128
MOST_CHARACTERS = 8000
DEADLINE_SECONDS = 30
# A token is a byte of UTF-8 at least, not a character: a tokenizer may take one apart. Two marks
# stand around a text, and no embedder reads more than the most.
MARKS = 2
MOST_TOKENS = 512
# A worker that took a call at its deadline has charged it by then, or is dead.
HELD_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs to know of a request."""

    id: str
    tenant_id: int
    token_id: int | None
    used_by: str
    trace_id: str
    texts: list[str]


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors in the order of the texts, and the tokens that the model read."""

    model: str
    vectors: list[list[float]]
    tokens: int


def submit(tenant: Tenant, texts: Sequence[str], *, actor: Actor) -> Job:
    """Ask for the vectors of ``texts``; a worker gets the message after the commit.

    Raises:
        InvalidError: there is no text, one is empty or too long, or there are too many.
        QuotaError: a limit of the tenant or of its API token is spent.
        TransientError: Redis is away.
    """
    _check(texts)
    # The trace of the request has a line of its own in the ledger for each call.
    trace_id = actor.trace_id or uuid.uuid4().hex
    job = Job(uuid.uuid4().hex, tenant.pk, actor.token_id, actor.name[:150], trace_id, list(texts))
    call = EmbeddingCall(
        tenant=tenant,
        job_id=job.id,
        token_id=job.token_id,
        tokens=sum(min(len(text.encode()) + MARKS, MOST_TOKENS) for text in texts),
        expires_at=timezone.now() + timedelta(seconds=HELD_SECONDS),
    )
    limits.admit_embedding(call, actor=actor)
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5.0) as store:
            store.set(_key(job.id), json.dumps(asdict(job)), ex=DEADLINE_SECONDS)
    except redis.RedisError as error:
        raise _away() from error
    wake.send(wake.EMBED_TEXTS, job.id)
    return job


def embed(job_id: str) -> None:
    """Embed a job's texts and reply; one that waited too long, or was taken, is a normal end."""
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5.0) as store:
        # Any: the client's types name the answers of every protocol version at once.
        stored: Any = store.getdel(_key(job_id))
        if stored is None:
            return
        job = Job(**json.loads(stored))
        begun = timezone.now()
        embedder = serving.embedder()
        vectors = embedder.embed_documents(job.texts)
        # What is cut off is not read.
        tokens = sum(min(embedder.count(text), embedder.max_tokens) for text in job.texts)
        _charge(job, embedder.name, tokens, begun)
        reply = Embedded(embedder.name, [vector.tolist() for vector in vectors], tokens)
        store.rpush(_reply_key(job.id), json.dumps(asdict(reply)))
        store.expire(_reply_key(job.id), DEADLINE_SECONDS)


async def reply(job: Job) -> Embedded:
    """The worker's reply.

    Raises:
        TransientError: there was none before the deadline.
    """
    store = redis.asyncio.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=2.0, socket_timeout=DEADLINE_SECONDS + 5.0
    )
    try:
        # Any: as above.
        got: Any = await store.blpop([_reply_key(job.id)], timeout=DEADLINE_SECONDS)
    except redis.RedisError as error:
        raise _away() from error
    finally:
        await store.aclose()
    if got is None:
        raise _away()
    return Embedded(**json.loads(got[1]))


def _check(texts: Sequence[str]) -> None:
    if not 1 <= len(texts) <= MOST_TEXTS:
        raise _invalid(f"Give 1 to {MOST_TEXTS} texts; these are {len(texts)}.")
    for number, text in enumerate(texts):
        if not text.strip() or len(text) > MOST_CHARACTERS:
            raise _invalid(
                f"A text has 1 to {MOST_CHARACTERS} characters; number {number} has {len(text)}."
            )


def _charge(job: Job, model: str, tokens: int, begun: Any) -> None:
    now = timezone.now()
    entry = UsageEntry(
        tenant_id=job.tenant_id,
        day=now.date(),
        at=now,
        kind=UsageKind.EMBEDDING,
        model=model,
        used_by=job.used_by,
        requests=1,
        tokens_in=tokens,
        milliseconds=round((now - begun).total_seconds() * 1000),
        trace_id=job.trace_id,
        token_id=job.token_id,
        tokens_by_purpose={"embedding_in": tokens},
    )
    with tenant_scope(job.tenant_id):
        EmbeddingCall.objects.filter(job_id=job.id).delete()
        ledger.record(entry)


def _key(job_id: str) -> str:
    return f"embed:{job_id}"


def _reply_key(job_id: str) -> str:
    return f"embed:{job_id}:reply"


def _invalid(message: str) -> InvalidError:
    return InvalidError(message, fields={"input": [message]})


def _away() -> TransientError:
    return TransientError(
        "No engine worker embedded these texts in time. Try again, or with fewer texts.",
        retry_after_seconds=5.0,
    )
