"""A request that is under way, and how it is ended from outside."""

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import httpx2

from ragapp.domain.engine import Finish
from tenants.errors import PermanentError, TransientError

# How soon a stop is noticed while the server is silent.
WATCH_SECONDS = 0.1


class Line:
    """A way to the server, for one request at a time, that can be hung up.

    Args:
        client: Its own: one that is shared does not tell on which connection a request waits.
    """

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client
        self._connection: socket.socket | None = None

    def send(self, body: Mapping[str, object]) -> AbstractContextManager[httpx2.Response]:
        """The response, as soon as its head is there; leaving early stops the server's work."""
        return self._client.stream(
            "POST", "chat/completions", json=body, extensions={"trace": self._trace}
        )

    def hang_up(self) -> None:
        """Let whoever waits for the server wait no more; from any thread."""
        if self._connection is not None:
            # Closing alone would leave a thread that reads from it waiting.
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _trace(self, event: str, known: Mapping[str, Any]) -> None:
        """Remember the newest connection; it is told before anything is sent over it."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._connection = known["return_value"].get_extra_info("socket")


class Watch:
    """Ends requests when somebody wants it or time is up, also while the server is silent."""

    def __init__(self, timeout_seconds: float | None, cancel: threading.Event | None) -> None:
        self._cancel = cancel
        self._deadline = None if timeout_seconds is None else time.perf_counter() + timeout_seconds

    @property
    def finish(self) -> Finish | None:
        """Why the answer ends now, from outside."""
        if self._cancel is not None and self._cancel.is_set():
            return "cancelled"
        if self._deadline is not None and time.perf_counter() > self._deadline:
            return "timeout"
        return None

    @contextmanager
    def over(self, line: Line) -> Iterator[None]:
        """Hang up as soon as there is a reason, as long as the block runs.

        A request that breaks because of it is no error: the block ends there.
        """
        if self._cancel is None and self._deadline is None:
            yield
            return
        done = threading.Event()

        def look() -> None:
            while not done.wait(WATCH_SECONDS):
                # Again and again: the line may only be connecting yet.
                if self.finish is not None:
                    line.hang_up()

        thread = threading.Thread(target=look, name="stream watch", daemon=True)
        thread.start()
        try:
            yield
        except (TransientError, PermanentError):
            if self.finish is None:
                raise
        finally:
            done.set()
            thread.join()
