"""Any OpenAI-compatible server (vLLM, ``transformers serve``) behind the ``Engine`` port.

Every call sends the whole chat; the server's own prefix cache makes the repeated part cheap. A
grade is one token with the log-probabilities of its rivals.
"""

import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from ragapp.domain.defuse import defused
from ragapp.domain.engine import Finish, Generation, Message, Usage, continued
from tenants.errors import InvalidError, PermanentError, TransientError

RIVALS = 20

# A cautious estimate where the tokenizer is remote: no common one needs more on natural text.
CHARACTERS_PER_TOKEN = 3
BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504})

# When to come again where the server does not say.
BUSY_SECONDS = 5.0

# One connection for each answer that is under way; some stay open for the next question.
_LIMITS = httpx2.Limits(max_connections=128, max_keepalive_connections=32)
# How soon a stop is noticed while the server is silent.
WATCH_SECONDS = 0.1


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
    ) -> "OpenAISession":
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
    def stream(self, body: Mapping[str, object]) -> Iterator["Stream"]:
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
            yield from _events(response.iter_lines())

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
                message, code="engine-busy", retry_after_seconds=_retry_after(response)
            )
        if response.status_code in (400, 413, 422):
            raise InvalidError(message, code="prompt-refused")
        raise PermanentError(message, code="engine-failed")


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


class OpenAISession:
    """A chat that a server is asked about again and again; see the ``Session`` port."""

    def __init__(self, engine: OpenAIEngine, messages: Sequence[Message]) -> None:
        self._engine = engine
        self._messages = tuple(messages)
        self._answered: tuple[Message, ...] | None = None
        self._usage = Usage()
        self._is_closed = False

    @property
    def usage(self) -> Usage:
        """As the server counts; what it says it had cached is not counted again."""
        return self._usage

    def grade(self, questions: Sequence[str]) -> tuple[float, ...]:
        """Log-odds of yes over no for each question."""
        return tuple(self._grade(question) for question in questions)

    def generate(
        self,
        instruction: str,
        *,
        max_new_tokens: int,
        stop_at: str = "",
        choices: Sequence[str] = (),
        timeout_seconds: float | None = None,
        on_text: Callable[[str], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Generation:
        """Answer after ``instruction``; see the port."""
        self._check_open()
        begin = time.perf_counter()
        asked = continued(self._messages, instruction + _choose(choices))
        body: dict[str, object] = {
            "messages": wire_messages(asked),
            "max_tokens": max_new_tokens,
            "temperature": 0,
            "logprobs": True,
            "stream_options": {"include_usage": True},
        }
        if stop_at:
            body["stop"] = [stop_at]
        written = _Written()
        watch = _Watch(cancel, None if timeout_seconds is None else begin + timeout_seconds)
        with self._engine.stream(body) as stream, watch.over(stream):
            for chunk in watch.until_stopped(stream.chunks):
                with self._engine.translated():
                    piece = written.add(chunk)
                if piece and on_text is not None:
                    on_text(piece)
                if watch.finish is not None:
                    break
        written.conclude(watch.finish)
        self._answered = (*asked, Message("assistant", written.text))
        self._charge("answer", written.usage, time.perf_counter() - begin, written.tokens)
        return written.generation()

    def close(self) -> None:
        """Nothing to free here; the server forgets by itself."""
        self._is_closed = True

    def _grade(self, question: str) -> float:
        self._check_open()
        begin = time.perf_counter()
        asked = (
            continued(self._messages, question)
            if self._answered is None
            else (*self._answered, Message("user", question))
        )
        answer = self._engine.complete(
            {
                "messages": wire_messages(asked),
                "max_tokens": 1,
                "temperature": 0,
                "logprobs": True,
                "top_logprobs": RIVALS,
            }
        )
        self._charge("grade", answer.get("usage") or {}, time.perf_counter() - begin, 0)
        with self._engine.translated():
            return margin(_rivals(answer))

    def _charge(self, purpose: str, told: Mapping[str, Any], seconds: float, written: int) -> None:
        """Book a call; the first one also reads the prompt, which is not its own cost."""
        cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        read = max(int(told.get("prompt_tokens") or 0) - int(cached), 0)
        usage = self._usage
        if not usage.prompt_tokens:
            prompt = min(read, sum(self._engine.count(m.text) for m in self._messages))
            usage, read = replace(usage, prompt_tokens=prompt), read - prompt
        if purpose == "grade":
            self._usage = replace(
                usage,
                grade_tokens=usage.grade_tokens + read,
                grade_seconds=usage.grade_seconds + seconds,
            )
            return
        self._usage = replace(
            usage,
            answer_tokens=usage.answer_tokens + read + written,
            answer_seconds=usage.answer_seconds + seconds,
        )

    def _check_open(self) -> None:
        if self._is_closed:
            raise PermanentError("The session is closed.", code="session-closed")


class _Watch:
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


class _Written:
    """What a stream has brought so far."""

    def __init__(self) -> None:
        self._finish: Finish | None = None
        self._logprobs: list[float] = []
        self.text = ""
        self.tokens = 0
        self.usage: dict[str, Any] = {}

    def add(self, chunk: Mapping[str, Any]) -> str:
        """One chunk of the stream; returns the text that it brought."""
        if "error" in chunk:
            raise TransientError(f"The model server stopped: {chunk['error']}", code="engine-gone")
        self.usage = chunk.get("usage") or self.usage
        before = len(self.text)
        for choice in chunk.get("choices") or ():
            self._logprobs += [entry["logprob"] for entry in _logprobs(choice)]
            reason = choice.get("finish_reason")
            if reason:
                self._finish = "length" if reason == "length" else "stop"
            piece = (choice.get("delta") or {}).get("content") or ""
            self.text += piece if self.text else piece.lstrip()
            self.tokens += bool(piece)
        return self.text[before:]

    def conclude(self, finish: Finish | None) -> None:
        """Nothing follows.

        Raises:
            TransientError: The server neither finished nor was stopped: it died.
        """
        self._finish = finish or self._finish
        if self._finish is None:
            raise TransientError(
                "The model server broke off within its answer. Try again.", code="engine-gone"
            )

    def generation(self) -> Generation:
        """The answer as far as it came."""
        tokens = int(self.usage.get("completion_tokens") or self.tokens)
        mean = sum(self._logprobs) / len(self._logprobs) if self._logprobs else None
        return Generation(self.text, tokens, self._finish or "stop", mean)


def margin(logprob_by_token: Mapping[str, float]) -> float:
    """Log-odds of the spellings of yes over those of no, from a server's likeliest tokens.

    A side that is not listed counts as the least likely token that is: the margin is then a
    lower bound of its size, never infinite.
    """
    if not logprob_by_token:
        return 0.0
    floor = min(logprob_by_token.values())
    return _mass(logprob_by_token, "yes", floor) - _mass(logprob_by_token, "no", floor)


def _mass(logprob_by_token: Mapping[str, float], word: str, floor: float) -> float:
    spelled = [p for token, p in logprob_by_token.items() if token.strip().lower() == word]
    if not spelled:
        return floor
    top = max(spelled)
    return top + math.log(sum(math.exp(p - top) for p in spelled))


def _retry_after(response: httpx2.Response) -> float:
    """Seconds that the server asks for; a date, which it may say too, is left alone."""
    said = str(response.headers.get("retry-after", ""))
    return float(said) if said.isascii() and said.isdigit() else BUSY_SECONDS


def _rivals(answer: Mapping[str, Any]) -> dict[str, float]:
    """Log-probability by token at the first position."""
    first = next(iter(_logprobs(answer["choices"][0])), None)
    if first is None:
        return {}
    return {entry["token"]: entry["logprob"] for entry in first.get("top_logprobs") or [first]}


def _logprobs(choice: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list((choice.get("logprobs") or {}).get("content") or ())


def _events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects of a server-sent event stream, up to its end mark."""
    for line in lines:
        if not line.startswith("data:"):
            continue
        payload = line.removeprefix("data:").strip()
        if payload == "[DONE]":
            return
        yield json.loads(payload)


def _choose(choices: Sequence[str]) -> str:
    """No field for it is common to all servers, so it is said in words."""
    if not choices:
        return ""
    return "\nAnswer with one of these, word for word:\n" + "\n".join(choices)


def wire_messages(messages: Sequence[Message]) -> list[dict[str, str]]:
    """The chat as it is sent: the server's own template meets no control token in any text."""
    return [{"role": message.role, "content": defused(message.text)} for message in messages]
