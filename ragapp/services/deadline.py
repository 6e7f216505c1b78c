"""Connections whose every wait ends at one moment, however a server drips."""

import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore2


class Deadline(httpcore2.NetworkBackend):
    """Connections that nothing is waited for on after ``ends_at``.

    The library bounds each wait by itself, so a byte now and then would hold a fetch for ever.
    """

    def __init__(self, ends_at: float) -> None:
        self._ends_at = ends_at
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,  # Any: the library keeps its type to itself.
    ) -> httpcore2.NetworkStream:
        """A connection that ends when its time is up."""
        left = self.left(timeout)
        stream = self._sockets.connect_tcp(host, port, left, local_address, socket_options)
        return _Stream(stream, self)

    def left(self, timeout: float | None) -> float:
        """Seconds that may be waited.

        Raises:
            TimeoutException: none.
        """
        seconds = self._ends_at - time.monotonic()
        if seconds <= 0:
            raise httpcore2.TimeoutException
        return seconds if timeout is None else min(timeout, seconds)


class _Stream(httpcore2.NetworkStream):
    """A connection with a deadline, with TLS or without."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What came, as soon as anything did."""
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it."""
        self._stream.write(buffer, self._deadline.left(timeout))

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        """The same connection with TLS."""
        left = self._deadline.left(timeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def close(self) -> None:
        """Hang up."""
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        """What the library wants to know of it."""
        return self._stream.get_extra_info(info)
