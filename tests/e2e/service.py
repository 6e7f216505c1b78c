"""A tenant's service behind its virtual address, as its clients use it."""

import socket
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import openai
from openai.types.chat import ChatCompletion


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

    def run(self, trace_id: str) -> dict[str, Any]:
        """One run as the service tells it."""
        return self.get(f"/v1/runs/{trace_id}").json()

    def stream(self, trace_id: str) -> list[str]:
        """The names of a run's events, in order, from the first to its end."""
        with (
            self._client() as client,
            client.stream("GET", f"/v1/runs/{trace_id}/events", timeout=180) as response,
        ):
            lines = list(response.iter_lines())
        return [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]

    def chat(self, model: str, question: str) -> ChatCompletion:
        """The same question through the official OpenAI client, whose base URL alone is ours."""
        with openai.OpenAI(base_url=f"http://{self.address}/v1", api_key=self.key) as client:
            return client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": question}]
            )

    def _client(self, source: str | None = None) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return httpx2.Client(
            base_url=f"http://{self.address}",
            headers=headers,
            transport=httpx2.HTTPTransport(local_address=source),
            timeout=30,
        )
