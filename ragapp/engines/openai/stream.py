"""An answer that is under way, and how it is ended from outside."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx2

from ragapp.domain.engine import Finish
from tenants.errors import TransientError

# How soon a stop is noticed while the server is silent.
WATCH_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that is under way."""

    chunks: Iterator[dict[str, Any]]
    response: httpx2.Response

    def hang_up(self) -> None:
        """Let whoever waits for the next chunk wait no more; from any thread."""
        network = self.response.extensions.get("network_stream")
        connection = network.get_extra_info("socket") if network is not None else None
        if isinstance(connection, socket.socket):
            # Closing alone would leave a thread that reads from it waiting.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Watch:
    """Ends a stream when somebody wants it or time is up, also while the server is silent."""

    def __init__(self, cancel: threading.Event | None, deadline: float | None) -> None:
        self._cancel = cancel
        self._deadline = deadline

    @property
    def finish(self) -> Finish | None:
        """Why the answer ends now, from outside."""
        if self._cancel is not None and self._cancel.is_set():
            return "cancelled"
        if self._deadline is not None and time.perf_counter() > self._deadline:
            return "timeout"
        return None

    @contextmanager
    def over(self, stream: Stream) -> Iterator[None]:
        """Hang up as soon as there is a reason, as long as the block runs."""
        if self._cancel is None and self._deadline is None:
            yield
            return
        done = threading.Event()

        def look() -> None:
            while not done.wait(WATCH_SECONDS):
                if self.finish is not None:
                    stream.hang_up()
                    return

        thread = threading.Thread(target=look, name="stream watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def until_stopped(self, chunks: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The chunks; a connection that breaks because it was hung up is no error."""
        try:
            yield from chunks
        except TransientError:
            if self.finish is None:
                raise
