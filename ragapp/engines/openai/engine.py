"""The engine: one client of one server, and what its errors mean."""

import math
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx2

from ragapp.domain.engine import Message
from ragapp.engines.openai.session import OpenAISession
from ragapp.engines.openai.stream import Line, Watch
from ragapp.engines.openai.wire import events, retry_after
from tenants.errors import InvalidError, PermanentError, TransientError

# A cautious estimate where the tokenizer is remote: no common one needs more on natural text.
CHARACTERS_PER_TOKEN = 3
BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


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
        self._client = partial(
            httpx2.Client,
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            proxy=proxy,
            # Read once for all lines: the certificates of the world take a while.
            verify=httpx2.create_ssl_context(trust_env=False),
            trust_env=False,
            timeout=timeout_seconds,
        )
        self._lines: list[Line] = []
        # Those without a request: the last one used, whose connection is likeliest open, goes next.
        self._idle: list[Line] = []

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
        for line in self._lines:
            line.close()

    def complete(self, body: Mapping[str, object], watch: Watch) -> dict[str, Any] | None:
        """One answer, whole; None where ``watch`` ended it before.

        Raises:
            TransientError, PermanentError, InvalidError: There is none.
        """
        answer: dict[str, Any] | None = None
        with self._line() as line, watch.over(line), self._answer(body, line) as response:
            response.read()
            answer = response.json()
        return answer  # noqa: RET504 - the watch may have ended the block above early.

    def stream(
        self, body: Mapping[str, object], watch: Watch
    ) -> Generator[dict[str, Any], None, None]:
        """The chunks of one answer, as they come, until ``watch`` ends it.

        Closing it early stops the server's work. It raises what ``complete`` does.
        """
        payload = {"stream": True, **body}
        with self._line() as line, watch.over(line), self._answer(payload, line) as response:
            for chunk in events(response.iter_lines()):
                yield chunk
                if watch.finish is not None:
                    return

    @contextmanager
    def _line(self) -> Iterator[Line]:
        """One that no other request is on."""
        try:
            line = self._idle.pop()
        except IndexError:
            line = Line(self._client())
            self._lines.append(line)
        try:
            yield line
        finally:
            self._idle.append(line)

    @contextmanager
    def _answer(self, body: Mapping[str, object], line: Line) -> Iterator[httpx2.Response]:
        """The response of a server that does not refuse."""
        with self.translated(), line.send({"model": self._model, **body}) as response:
            if response.is_error:
                response.read()
            self._check(response)
            yield response

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
