"""A session: the chat so far, and what asking about it cost."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ragapp.domain.engine import Generation, Message, Usage, continued
from ragapp.engines.openai.stream import Watch
from ragapp.engines.openai.wire import Written, choose, margin, rivals, wire_messages
from tenants.errors import PermanentError

if TYPE_CHECKING:
    from ragapp.engines.openai.engine import OpenAIEngine

RIVALS = 20


class OpenAISession:
    """A chat that a server is asked about again and again; see the ``Session`` port."""

    def __init__(self, engine: "OpenAIEngine", messages: Sequence[Message]) -> None:
        self._engine = engine
        self._messages = tuple(messages)
        self._answered: tuple[Message, ...] | None = None
        self._usage = Usage()
        self._is_closed = False

    @property
    def usage(self) -> Usage:
        """As the server counts, or estimated; what it says it had cached is not counted again."""
        return self._usage

    def grade(
        self,
        questions: Sequence[str],
        *,
        timeout_seconds: float | None = None,
        cancel: threading.Event | None = None,
    ) -> tuple[float, ...]:
        """Log-odds of yes over no for each question; see the port."""
        self._check_open()
        watch = Watch(timeout_seconds, cancel)
        margins: list[float] = []
        for question in questions:
            told = None if watch.finish is not None else self._grade(question, watch)
            if told is None:
                break
            margins.append(told)
        return tuple(margins)

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
        asked = continued(self._messages, instruction + choose(choices))
        body: dict[str, object] = {
            "messages": wire_messages(asked),
            "max_tokens": max_new_tokens,
            "temperature": 0,
            "logprobs": True,
            "stream_options": {"include_usage": True},
        }
        if stop_at:
            body["stop"] = [stop_at]
        written, watch = Written(), Watch(timeout_seconds, cancel)
        if watch.finish is None:
            try:
                self._write(body, written, watch, on_text)
            finally:
                # A server that refused has read nothing.
                if written.is_begun or watch.finish is not None:
                    read = self._read(asked, written.usage)
                    self._charge("answer", read, time.perf_counter() - begin, written.tokens)
        written.conclude(watch.finish)
        self._answered = (*asked, Message("assistant", written.text))
        return written.generation()

    def close(self) -> None:
        """Nothing to free here; the server forgets by itself."""
        self._is_closed = True

    def _write(
        self,
        body: Mapping[str, object],
        written: Written,
        watch: Watch,
        on_text: Callable[[str], None] | None,
    ) -> None:
        with closing(self._engine.stream(body, watch)) as chunks:
            for chunk in chunks:
                with self._engine.translated():
                    piece = written.add(chunk)
                if piece and on_text is not None:
                    on_text(piece)

    def _grade(self, question: str, watch: Watch) -> float | None:
        """The margin of one question; None where ``watch`` ended it."""
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
            },
            watch,
        )
        read = self._read(asked, (answer or {}).get("usage") or {})
        self._charge("grade", read, time.perf_counter() - begin, 0)
        if answer is None:
            return None
        with self._engine.translated():
            return margin(rivals(answer))

    def _read(self, asked: Sequence[Message], told: Mapping[str, Any]) -> int:
        """Tokens that the server read of ``asked``; an upper estimate where it told nothing."""
        if not told.get("prompt_tokens"):
            return self._count(asked)
        cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        return max(int(told["prompt_tokens"]) - int(cached), 0)

    def _count(self, messages: Sequence[Message]) -> int:
        return sum(self._engine.count(message.text) for message in messages)

    def _charge(self, purpose: str, read: int, seconds: float, written: int) -> None:
        """Book a call; the first one also reads the prompt, which is not its own cost."""
        usage = self._usage
        if not usage.prompt_tokens:
            prompt = min(read, self._count(self._messages))
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
