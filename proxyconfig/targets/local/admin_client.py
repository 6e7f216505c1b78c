"""JSON over HTTP on a unix socket, as both halves of the local proxy speak it."""

from collections.abc import Mapping
from typing import NamedTuple

import httpx2

from proxyconfig.domain.fields import JsonValue
from tenants.errors import TransientError

_TIMEOUT_SECONDS = 10.0


class Reply(NamedTuple):
    """What came back; ``body`` is the parsed JSON, or None where there was none."""

    status: int
    body: JsonValue
    etag: str

    @property
    def is_ok(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status < 300

    @property
    def error(self) -> str:
        """The peer's own words."""
        if isinstance(self.body, dict) and "error" in self.body:
            return str(self.body["error"])
        return f"status {self.status}"


class AdminClient:
    """One connection pool to one admin socket.

    Args:
        socket: path of the unix socket.
        name: who is behind it, for messages: "Caddy".
    """

    def __init__(self, socket: str, *, name: str) -> None:
        self._name = name
        # Caddy replaces its admin server at each change, so a kept connection would be a dead one.
        transport = httpx2.HTTPTransport(
            uds=socket, trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0)
        )
        self._http = httpx2.Client(
            transport=transport, base_url="http://localhost", timeout=_TIMEOUT_SECONDS
        )

    def call(
        self, method: str, path: str, body: JsonValue = None, *, headers: Mapping[str, str] = {}
    ) -> Reply:
        """Ask once.

        Raises:
            TransientError: nobody listens on the socket, or no answer came in time.
        """
        try:
            response = self._http.request(
                method,
                path,
                json=body if method in ("POST", "PUT", "PATCH") else None,
                headers=dict(headers),
            )
        except httpx2.TransportError as error:
            message = (
                f"{self._name} does not answer on its admin socket ({type(error).__name__}). "
                f"It is tried again; see that its process runs."
            )
            raise TransientError(message, code="proxy.unreachable") from error
        try:
            parsed: JsonValue = response.json() if response.content else None
        except ValueError:
            parsed = {"error": response.text[:500]}
        return Reply(response.status_code, parsed, response.headers.get("Etag", ""))

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()
