"""Running a request again that another one's locks threw out of the database.

PostgreSQL ends one of two transactions that wait for each other, and rolls it back whole. Whoever
asked for it did nothing wrong, so the request begins anew instead of failing: nothing of it is
left, as messages to workers leave with the commit and nothing else has an effect outside.
"""

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

import psycopg
from django.conf import settings
from django.contrib.messages.storage import default_storage
from django.db import DatabaseError
from django.http import HttpRequest
from django.http.request import RawPostDataException

from tenants.domain.numbers import whole_number
from tenants.errors import TransientError

R = TypeVar("R")

# serialization_failure, deadlock_detected, lock_not_available.
_OUTRUN: Final = frozenset({"40001", "40P01", "55P03"})
_MOST_TRIES: Final = 3
# Long enough for the transaction in the way to end.
_PAUSE_SECONDS: Final = 0.05


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code of a database error; "" when there is none."""
    cause = error.__cause__
    return (cause.sqlstate or "") if isinstance(cause, psycopg.Error) else ""


def is_outrun(error: BaseException) -> bool:
    """True for a deadlock, a lock that was not to be had, and the like: trying again may help."""
    return isinstance(error, DatabaseError) and sqlstate(error) in _OUTRUN


def run(request: HttpRequest, attempt: Callable[[], R]) -> R:
    """What ``attempt`` returns, which opens and ends its transaction itself.

    It is run up to three times, where the request can be read again: one with files cannot.

    Raises:
        TransientError: others were in the way each time.
    """
    tries_left = _MOST_TRIES if _can_be_read_again(request) else 1
    while True:
        try:
            return attempt()
        except Exception as error:
            tries_left -= 1
            if not has_been_outrun(error):
                raise
            if not tries_left:
                raise _given_up() from error
        _prepare_again(request)


def has_been_outrun(error: BaseException | None) -> bool:
    """True for that, and for the words that a service put it into."""
    if isinstance(error, TransientError):
        error = error.__cause__
    return error is not None and is_outrun(error)


def _can_be_read_again(request: HttpRequest) -> bool:
    """Keep a small body for the next try; leave a large one, and files, in their stream."""
    if request.content_type == "multipart/form-data" or "Transfer-Encoding" in request.headers:
        return False
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    length = whole_number(request.META.get("CONTENT_LENGTH") or "0")
    if length is None or (limit is not None and length > limit):
        return False
    try:
        return request.body is not None
    except RawPostDataException:  # Somebody has read of the stream already.
        return False


def _prepare_again(request: HttpRequest) -> None:
    if hasattr(request, "_messages"):
        request._messages = default_storage(request)  # Without what the failed try would say.
    jitter = random.random()  # noqa: S311 - no secret
    time.sleep(_PAUSE_SECONDS * (0.5 + jitter))


def _given_up() -> TransientError:
    return TransientError(
        "Others changed the same things at the same moment, so nothing was saved. Try again.",
        retry_after_seconds=1.0,
    )
