"""A session of a model in this process: the chat, its accounting, and what is asked of the model.

The engines differ in how they read and write tokens; what is read and written is the same.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ragapp.domain.engine import Finish, Generation, Message, Usage, continued
from ragapp.engines.local.writing import Interruption, Stop, TokenChoices
from tenants.errors import PermanentError, SluiceError

if TYPE_CHECKING:
    from ragapp.engines.local.chat_engine import ChatEngine
    from ragapp.engines.local.scheduler import Place


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a piece of work cost and gave; which fields say something depends on the work."""

    forwarded_tokens: int
    margins: tuple[float, ...] = ()
    answer_tokens: int = 0
    finish: Finish = "stop"
    logprob_sum: float | None = 0.0


class ChatSession(ABC):
    """A prompt that was read; see the ``Session`` port.

    Args:
        place: The engine's, held until the close.
        queue_seconds: How long it was waited for.
    """

    def __init__(
        self,
        engine: "ChatEngine[Any]",  # Any: the engine's own kind of session, which is this one.
        messages: Sequence[Message],
        place: "Place",
        *,
        queue_seconds: float,
    ) -> None:
        self._messages = tuple(messages)
        self._chat = engine.chat
        self._end_tokens = engine.end_tokens
        self._context_tokens = engine.context_tokens
        self._leave = engine.leave
        self._place: Place | None = place
        self._answered: tuple[Message, ...] | None = None
        self._usage = Usage(queue_seconds=queue_seconds)

    @property
    def usage(self) -> Usage:
        """Tokens and seconds so far."""
        return self._usage

    def read(self, prefix: Sequence[int], cancel: threading.Event | None = None) -> None:
        """Read the prompt; the engine calls this once."""
        begin = time.perf_counter()
        outcome = self._read(prefix, cancel)
        self._usage = replace(
            self._usage,
            prompt_tokens=outcome.forwarded_tokens,
            prompt_seconds=time.perf_counter() - begin,
        )

    def grade(
        self,
        questions: Sequence[str],
        *,
        timeout_seconds: float | None = None,
        cancel: threading.Event | None = None,
    ) -> tuple[float, ...]:
        """Log-odds of yes over no for each question; see the port."""
        if not questions:
            return ()
        begin = time.perf_counter()
        interruption = Interruption.within(timeout_seconds, cancel)
        targets = [self._chat.prompt(self._asked(question)) for question in questions]
        outcome = self._grade(targets, interruption)
        usage = self._usage
        self._usage = replace(
            usage,
            grade_tokens=usage.grade_tokens + outcome.forwarded_tokens,
            grade_seconds=usage.grade_seconds + time.perf_counter() - begin,
        )
        return outcome.margins

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
        begin = time.perf_counter()
        asked = continued(self._messages, instruction)
        target = self._chat.prompt(asked)
        room = max(self._context_tokens - len(target), 1)
        interruption = Interruption.within(timeout_seconds, cancel)
        stop = Stop(min(max_new_tokens, room), self._end_tokens, interruption, stop_at)
        bound = TokenChoices([self._chat.encode(choice) for choice in choices])
        pieces: list[str] = []

        def collect(piece: str) -> None:
            pieces.append(piece)
            if on_text is not None:
                on_text(piece)

        outcome = self._write(target, stop, bound, collect)
        text = "".join(pieces)
        self._answered = (*asked, Message("assistant", text))
        usage = self._usage
        self._usage = replace(
            usage,
            answer_tokens=usage.answer_tokens + outcome.forwarded_tokens,
            answer_seconds=usage.answer_seconds + time.perf_counter() - begin,
        )
        written, total = outcome.answer_tokens, outcome.logprob_sum
        mean = total / written if written and total is not None else None
        return Generation(text, written, outcome.finish, mean)

    def close(self) -> None:
        """Free the place. Closing twice is fine."""
        place, self._place = self._place, None
        if place is not None:
            self._leave(place)

    @abstractmethod
    def _read(self, prefix: Sequence[int], cancel: threading.Event | None) -> Outcome:
        """Read these tokens and keep them, unless ``cancel`` is set."""

    @abstractmethod
    def _grade(self, targets: Sequence[Sequence[int]], interruption: Interruption) -> Outcome:
        """Log-odds of yes over no after each of these chats, or the first ones."""

    @abstractmethod
    def _write(
        self,
        target: Sequence[int],
        stop: Stop,
        choices: TokenChoices,
        on_text: Callable[[str], None],
    ) -> Outcome:
        """Read these tokens and write what follows."""

    def _asked(self, question: str) -> tuple[Message, ...]:
        """The whole chat that ends with the closed ``question``."""
        if self._answered is None:
            return continued(self._messages, question)
        return (*self._answered, Message("user", question))


def session_closed() -> PermanentError:
    """The error for whoever uses a session that was closed."""
    return PermanentError("The session is closed.", code="session-closed")


def as_ours(error: Exception, name: str) -> SluiceError:
    """The library's error as one of ours."""
    if isinstance(error, SluiceError):
        return error
    return PermanentError(f"The model {name} failed: {error}", code="engine-failed")
