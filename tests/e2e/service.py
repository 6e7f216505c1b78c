"""A tenant's service behind its virtual address, as its clients use it."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from tests.e2e.waiting import until


def is_reachable(address: str, port: int) -> bool:
    """True when something accepts a connection there."""
    try:
        with socket.create_connection((address, port), timeout=5):
            return True
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Service:
    """One tenant's address, ``host:port``, and the API token that is shown to it."""

    address: str
    key: str

    def with_key(self, key: str) -> "Service":
        """The same address with another token."""
        return replace(self, key=key)

    def get(self, path: str, *, source: str | None = None) -> httpx2.Response:
        """A GET, from the given source address."""
        with self._client(source) as client:
            return client.get(path)

    def health(self) -> object:
        """What the service says of itself."""
        return self.get("/healthz").json()

    def ask(self, question: str) -> httpx2.Response:
        """Put a question."""
        with self._client() as client:
            return client.post("/v1/runs", json={"question": question})

    def answer(self, question: str) -> dict[str, Any]:
        """Put a question and wait for its end."""
        asked = self.ask(question)
        assert asked.status_code == 202, asked.text
        path = f"/v1/runs/{asked.json()['trace_id']}"

        def ended() -> dict[str, Any] | None:
            run = self.get(path).json()
            return run if run["state"] not in {"Queued", "Running"} else None

        return until(ended, "the run ends", seconds=180)

    def stream(self, trace_id: str) -> Iterator[str]:
        """The events of a run, from the first."""
        with (
            self._client() as client,
            client.stream("GET", f"/v1/runs/{trace_id}/events") as response,
        ):
            yield from response.iter_text()

    def _client(self, source: str | None = None) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return httpx2.Client(
            base_url=f"http://{self.address}",
            headers=headers,
            transport=httpx2.HTTPTransport(local_address=source),
            timeout=30,
        )
