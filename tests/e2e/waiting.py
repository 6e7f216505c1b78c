"""Waiting for events: tests never sleep for a guess, they poll until it is so or it is too late."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T], what: str, *, seconds: float = 60.0) -> T:
    """The first truthy value of ``look``.

    Raises:
        AssertionError: there was none in time; names ``what`` and the last value.
    """
    end = time.monotonic() + seconds
    seen = look()
    while not seen:
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}; last seen: {seen!r}"
        time.sleep(0.05)
        seen = look()
    return seen
