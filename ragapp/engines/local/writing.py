"""An answer as it is written, token by token: its text, its bounds, and why it ends."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ragapp.domain.engine import Finish
from ragapp.engines.local.chat import Chat, StopText, TextStream

# A model that writes this many tokens for the second time goes round in circles.
REPEATED_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Interruption:
    """What ends work from outside; ``deadline`` in ``time.monotonic`` seconds."""

    cancel: threading.Event | None = None
    deadline: float | None = None

    @classmethod
    def within(
        cls, timeout_seconds: float | None, cancel: threading.Event | None
    ) -> "Interruption":
        """With a deadline so far from now."""
        return cls(cancel, None if timeout_seconds is None else time.monotonic() + timeout_seconds)

    @property
    def finish(self) -> Finish | None:
        """Why the work ends now; None as long as it goes on."""
        if self.cancel is not None and self.cancel.is_set():
            return "cancelled"
        if self.deadline is not None and time.monotonic() > self.deadline:
            return "timeout"
        return None


@dataclass(frozen=True, slots=True)
class Stop:
    """When an answer ends; ``text`` ends it before that string."""

    max_new_tokens: int
    end_tokens: frozenset[int]
    interruption: Interruption
    text: str = ""


class TokenChoices:
    """The texts that an answer is bound to, as tokens; none leaves it free."""

    def __init__(self, choices: Sequence[Sequence[int]]) -> None:
        self._choices = [list(choice) for choice in choices if choice]

    def after(self, written: Sequence[int], end_tokens: Iterable[int]) -> list[int]:
        """Tokens that may follow ``written``; an end token where a choice is complete."""
        size = len(written)
        fitting = [choice for choice in self._choices if choice[:size] == list(written)]
        following = {choice[size] for choice in fitting if len(choice) > size}
        if any(len(choice) == size for choice in fitting):
            following.update(end_tokens)
        return sorted(following)


class Circles:
    """Notices when the last ``length`` tokens were written before, not overlapping themselves."""

    def __init__(self, length: int = REPEATED_TOKENS) -> None:
        self._length = length
        self._recent: deque[int] = deque(maxlen=2 * length)
        self._seen: set[tuple[int, ...]] = set()

    def close_with(self, token: int) -> bool:
        """Whether ``token``, which comes next, closes a circle."""
        self._recent.append(token)
        if len(self._recent) < 2 * self._length:
            return False
        recent = tuple(self._recent)
        self._seen.add(recent[: self._length])
        return recent[self._length :] in self._seen


class Writing:
    """What is written of one answer; its text goes to ``on_text`` as soon as it is sure."""

    def __init__(self, chat: Chat, stop: Stop, on_text: Callable[[str], None]) -> None:
        self._stream = TextStream(chat)
        self._stop_text = StopText(stop.text)
        self._circles = Circles()
        self._stop = stop
        self._on_text = on_text
        self.tokens: list[int] = []
        self.logprob_sum = 0.0

    @property
    def stop(self) -> Stop:
        """Its bounds."""
        return self._stop

    def interruption(self) -> Finish | None:
        """Why it ends now, from outside."""
        return self._stop.interruption.finish

    def push(self, token: int, logprob: float) -> Finish | None:
        """Take in the next token; why the answer ends with it, if it does."""
        if token in self._stop.end_tokens:
            return "stop"
        self.tokens.append(token)
        self.logprob_sum += logprob
        self._show(self._stop_text.push(self._stream.push(token)))
        if self._stop_text.is_reached:
            return "stop"
        if len(self.tokens) >= self._stop.max_new_tokens:
            return "length"
        return "repeat" if self._circles.close_with(token) else None

    def flush(self) -> None:
        """Show what was held back: nothing follows any more."""
        if not self._stop_text.is_reached:
            self._show(self._stop_text.push(self._stream.flush()))
            self._show(self._stop_text.flush())

    def _show(self, piece: str) -> None:
        if piece:
            self._on_text(piece)
