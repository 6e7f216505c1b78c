"""A session: the chat so far, and what asking about it cost."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
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
        written = Written()
        watch = Watch(cancel, None if timeout_seconds is None else begin + timeout_seconds)
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
            return margin(rivals(answer))

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
