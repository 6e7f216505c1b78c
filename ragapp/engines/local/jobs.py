"""What sessions ask of the model's thread, cut into steps of bounded time.

The thread gives each active job one step in turn: a piece of the prompt, one grade or one token.
So a long prompt never stops another reader's stream for long.
"""

import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragapp.domain.engine import Finish
from ragapp.engines.local.chat import Chat, StopText, TextStream
from ragapp.engines.local.sequence import CachedSequence

if TYPE_CHECKING:
    import torch

# A model that writes this many tokens for the second time goes round in circles.
REPEATED_TOKENS = 16

# Tokens of a prompt that are read in one step: about 0.2 s for a small model on two cores.
PROMPT_STEP_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished job tells its session; which fields say something depends on the job."""

    forwarded_tokens: int
    margins: tuple[float, ...] = ()
    answer_tokens: int = 0
    finish: Finish = "stop"
    logprob_sum: float = 0.0


@dataclass(frozen=True, slots=True)
class Crash:
    """The job failed in the model's thread."""

    error: Exception


class Job(ABC):
    """Something to do with one sequence; pieces of text, then one outcome, arrive in ``events``."""

    def __init__(self, sequence: CachedSequence) -> None:
        self.sequence = sequence
        self.events: queue.SimpleQueue[str | Outcome | Crash] = queue.SimpleQueue()
        self.abandoned = threading.Event()
        self.forwarded = 0
        self._ahead: list[int] | None = None

    def step(self) -> bool:
        """Do a bounded piece of work; True once the job is done and its outcome was sent."""
        outcome = self._work()
        if outcome is None:
            return False
        self.events.put(outcome)
        return True

    @abstractmethod
    def _work(self) -> Outcome | None:
        """One step; the outcome once there is nothing left to do."""

    def _read_towards(self, target: Sequence[int]) -> "torch.Tensor | None":
        """Read the next piece of ``target``; the logits after its last token once it is read."""
        if self._ahead is None:
            self._ahead = self.sequence.aim(target)
        piece = self._ahead[:PROMPT_STEP_TOKENS]
        self._ahead = self._ahead[len(piece) :]
        logits = self._feed(piece)
        if self._ahead:
            return None
        self._ahead = None
        return logits

    def _feed(self, tokens: Sequence[int]) -> "torch.Tensor":
        self.forwarded += len(tokens)
        return self.sequence.feed(tokens)


class ReadJob(Job):
    """Reads a prompt into the cache."""

    def __init__(self, sequence: CachedSequence, target: Sequence[int]) -> None:
        super().__init__(sequence)
        self._target = target

    def _work(self) -> Outcome | None:
        if self._read_towards(self._target) is None:
            return None
        return Outcome(self.forwarded)


class GradeJob(Job):
    """Reads each closed question and keeps only how much likelier yes is than no."""

    def __init__(
        self, sequence: CachedSequence, targets: Sequence[Sequence[int]], chat: Chat
    ) -> None:
        super().__init__(sequence)
        self._targets = list(targets)
        self._chat = chat
        self._margins: list[float] = []

    def _work(self) -> Outcome | None:
        if self._targets:
            logits = self._read_towards(self._targets[0])
            if logits is None:
                return None
            self._targets.pop(0)
            self._margins.append(margin(logits, yes=self._chat.yes, no=self._chat.no))
        return None if self._targets else Outcome(self.forwarded, tuple(self._margins))


@dataclass(frozen=True, slots=True)
class Stop:
    """When an answer ends: ``deadline`` in ``time.monotonic`` seconds, ``text`` at that string."""

    max_new_tokens: int
    end_tokens: frozenset[int]
    deadline: float | None
    cancel: threading.Event | None
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


class GenerateJob(Job):
    """Writes an answer token by token, the likeliest each time."""

    def __init__(
        self,
        sequence: CachedSequence,
        target: Sequence[int],
        chat: Chat,
        stop: Stop,
        choices: "TokenChoices",
    ) -> None:
        super().__init__(sequence)
        self._choices = choices
        self._target = target
        self._stream = TextStream(chat)
        self._stop_text = StopText(stop.text)
        self._stop = stop
        self._next: torch.Tensor | None = None
        self._written: list[int] = []
        self._logprob_sum = 0.0

    def _work(self) -> Outcome | None:
        interrupted = self._interruption()
        if interrupted is not None:
            return self._end(interrupted)
        if self._next is None:
            self._next = self._read_towards(self._target)
            return None
        allowed = self._choices.after(self._written, self._stop.end_tokens)
        token, logprob = likeliest(self._next, allowed)
        if token in self._stop.end_tokens:
            return self._end("stop")
        self._written.append(token)
        self._logprob_sum += logprob
        self._show(self._stop_text.push(self._stream.push(token)))
        if self._stop_text.is_reached:
            return self._end("stop")
        if len(self._written) >= self._stop.max_new_tokens:
            return self._end("length")
        if is_circling(self._written):
            return self._end("repeat")
        self._next = self._feed([token])
        return None

    def _interruption(self) -> Finish | None:
        if self._stop.cancel is not None and self._stop.cancel.is_set():
            return "cancelled"
        if self._stop.deadline is not None and time.monotonic() > self._stop.deadline:
            return "timeout"
        return None

    def _show(self, piece: str) -> None:
        if piece:
            self.events.put(piece)

    def _end(self, finish: Finish) -> Outcome:
        if not self._stop_text.is_reached:
            self._show(self._stop_text.push(self._stream.flush()))
            self._show(self._stop_text.flush())
        return Outcome(
            self.forwarded,
            answer_tokens=len(self._written),
            finish=finish,
            logprob_sum=self._logprob_sum,
        )


def is_circling(written: Sequence[int], *, length: int = REPEATED_TOKENS) -> bool:
    """Whether the last ``length`` tokens were written before, not overlapping themselves."""
    tail = list(written[-length:])
    before = range(len(written) - 2 * length + 1)
    return any(list(written[start : start + length]) == tail for start in before)


def margin(logits: "torch.Tensor", *, yes: Sequence[int], no: Sequence[int]) -> float:
    """Log-odds of the spellings of yes, summed, over those of no; ``logits`` is (vocabulary,)."""
    difference = logits[list(yes)].logsumexp(0) - logits[list(no)].logsumexp(0)
    return float(difference)


def likeliest(logits: "torch.Tensor", allowed: Sequence[int] = ()) -> tuple[int, float]:
    """The likeliest token and its natural-log probability among all tokens.

    Args:
        logits: (vocabulary,), float32.
        allowed: The only tokens to choose from; empty for all.
    """
    token = allowed[int(logits[list(allowed)].argmax())] if allowed else int(logits.argmax())
    return token, float(logits[token] - logits.logsumexp(0))
