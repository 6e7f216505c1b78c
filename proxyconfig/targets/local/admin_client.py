"""JSON over HTTP on a unix socket, as both halves of the local proxy speak it."""

import json
import socket
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple

from proxyconfig.domain.fields import JsonValue
from proxyconfig.domain.resources import canonical_json
from tenants.errors import TransientError

# Below the lease of a placement: a call never outlives the right to make it.
_TIMEOUT_SECONDS = 3.0


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


class _UnixConnection(HTTPConnection):
    """The standard library's: httpx2's leaves its socket open when nobody answers."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT_SECONDS)
        self.sock.connect(self._path)


class AdminClient:
    """Asks one admin socket; a connection per call, since Caddy drops kept ones at each change.

    Args:
        path: of the unix socket.
        name: who is behind it, for messages: "Caddy".
    """

    def __init__(self, path: str, *, name: str) -> None:
        self._path = path
        self._name = name

    def call(
        self,
        method: str,
        path: str,
        body: JsonValue = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Ask, and once more where the connection was dropped without an answer.

        Caddy replaces its admin listener at each change and may drop who comes at that moment.
        Every call that the targets make may be made twice.

        Raises:
            TransientError: nobody listens on the socket, or no answer came in time.
        """
        fields = {"Content-Type": "application/json", **(headers or {})}
        content = canonical_json(body) if method in ("POST", "PUT", "PATCH") else None
        try:
            try:
                return self._ask(method, path, content, fields)
            except (ConnectionResetError, BrokenPipeError):
                return self._ask(method, path, content, fields)
        except (OSError, HTTPException) as error:
            message = (
                f"{self._name} does not answer on its admin socket ({type(error).__name__}). "
                f"It is tried again; see that its process runs."
            )
            raise TransientError(message, code="proxy.unreachable") from error

    def _ask(
        self, method: str, path: str, content: bytes | None, fields: Mapping[str, str]
    ) -> Reply:
        connection = _UnixConnection(self._path)
        try:
            connection.request(method, path, body=content, headers=fields)
            response = connection.getresponse()
            raw = response.read()
            return Reply(response.status, _parsed(raw), response.getheader("Etag", ""))
        finally:
            connection.close()


def _parsed(raw: bytes) -> JsonValue:
    try:
        parsed: JsonValue = json.loads(raw) if raw.strip() else None
    except ValueError:
        return {"error": raw[:500].decode(errors="replace")}
    return parsed
