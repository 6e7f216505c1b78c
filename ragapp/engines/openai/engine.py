"""The engine: one client of one server, and what its errors mean."""

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2

from ragapp.domain.engine import Message
from ragapp.engines.openai.session import OpenAISession
from ragapp.engines.openai.stream import Stream
from ragapp.engines.openai.wire import events, retry_after
from tenants.errors import InvalidError, PermanentError, TransientError

# A cautious estimate where the tokenizer is remote: no common one needs more on natural text.
CHARACTERS_PER_TOKEN = 3
BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
# One connection for each answer that is under way; some stay open for the next question.
_LIMITS = httpx2.Limits(max_connections=128, max_keepalive_connections=32)


class OpenAIEngine:
    """A model on a server.

    Args:
        base_url: Up to and including ``/v1``.
        model: As the server names it.
        context_tokens: Longest prompt and answer together.
        api_key: Sent as bearer token; empty for none.
        proxy: Egress proxy; the environment's proxies are never used.
        timeout_seconds: Longest silence of the server.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        context_tokens: int = 8192,
        api_key: str = "",
        proxy: str | None = None,
        timeout_seconds: float = 60.0,
    ) -> None:
        self._model = model
        self._context_tokens = context_tokens
        self._client = httpx2.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            proxy=proxy,
            trust_env=False,
            timeout=timeout_seconds,
            limits=_LIMITS,
        )

    @property
    def name(self) -> str:
        """As the server names the model."""
        return self._model

    @property
    def is_alive(self) -> bool:
        """Always: a server that is away may come back under the same address."""
        return True

    @property
    def context_tokens(self) -> int:
        """Longest prompt and answer together."""
        return self._context_tokens

    def count(self, text: str) -> int:
        """An upper estimate: the tokenizer is with the server."""
        return math.ceil(len(text.encode()) / CHARACTERS_PER_TOKEN)

    def open(
        self,
        messages: Sequence[Message],
        *,
        lane: str = "",
        cancel: threading.Event | None = None,
    ) -> OpenAISession:
        """A session; the server reads the prompt with its first question. It knows no lanes."""
        tokens = sum(self.count(message.text) for message in messages)
        if tokens >= self._context_tokens:
            raise InvalidError(
                f"The prompt has about {tokens} tokens, but {self._model} reads "
                f"{self._context_tokens}. Hand over fewer or shorter passages.",
                code="prompt-too-long",
            )
        return OpenAISession(self, messages)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def complete(self, body: Mapping[str, object]) -> dict[str, Any]:
        """One answer, whole. Raises TransientError, PermanentError or InvalidError."""
        with self.translated():
            response = self._client.post("chat/completions", json={"model": self._model, **body})
            self._check(response)
            answer: dict[str, Any] = response.json()
            return answer

    @contextmanager
    def stream(self, body: Mapping[str, object]) -> Iterator[Stream]:
        """The chunks of one answer, as they come; leaving early stops the server's work."""
        payload = {"model": self._model, "stream": True, **body}
        with ExitStack() as stack:
            with self.translated():
                call = self._client.stream("POST", "chat/completions", json=payload)
                response = stack.enter_context(call)
                if response.is_error:
                    response.read()
                self._check(response)
            yield Stream(self._chunks(response), response)

    def _chunks(self, response: httpx2.Response) -> Iterator[dict[str, Any]]:
        with self.translated():
            yield from events(response.iter_lines())

    @contextmanager
    def translated(self) -> Iterator[None]:
        """The library's errors, and those of reading what a server sent, as ours."""
        try:
            yield
        except httpx2.TransportError as error:
            raise TransientError(
                f"The model server for {self._model} cannot be reached: {error}. Try again.",
                code="engine-gone",
            ) from error
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise PermanentError(
                f"The model server for {self._model} sent what is no chat completion: {error!r}.",
                code="engine-failed",
            ) from error

    def _check(self, response: httpx2.Response) -> None:
        if response.is_success:
            return
        said = response.text[:300]
        message = f"The model server for {self._model} answered {response.status_code}: {said}"
        if response.status_code in BUSY:
            raise TransientError(
                message, code="engine-busy", retry_after_seconds=retry_after(response.headers)
            )
        if response.status_code in (400, 413, 422):
            raise InvalidError(message, code="prompt-refused")
        raise PermanentError(message, code="engine-failed")
