"""What sessions ask of the model's thread, cut into steps of bounded time.

The thread gives each active job one step in turn: a piece of the prompt, some grades, or a few
tokens. So a long prompt never stops another reader's stream for long.
"""

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from ragapp.domain.engine import Finish
from ragapp.engines.local.chat import Chat
from ragapp.engines.local.sequence import CachedSequence, common_prefix
from ragapp.engines.local.session import Outcome
from ragapp.engines.local.writing import Interruption, Stop, TokenChoices, Writing

if TYPE_CHECKING:
    import torch

# So few are read with the tokens of others: what stands between a prompt and its answer is shorter.
STEP_TOKENS = 16


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
        self.is_done = False
        self.forwarded = 0
        self._ahead: list[int] | None = None

    @property
    def is_writing(self) -> bool:
        """Whether its next piece of work is a few tokens, to be read with those of others."""
        return False

    def read(self, budget: int) -> int:
        """Read what is next, at most ``budget`` tokens of a text; returns how many it were."""
        before = self.forwarded
        self._work(budget)
        return self.forwarded - before

    @abstractmethod
    def _work(self, budget: int) -> None:
        """One piece of reading; ends the job once there is nothing left to do."""

    def _end(self, outcome: Outcome) -> None:
        self.is_done = True
        self.events.put(outcome)

    def _read_towards(self, target: Sequence[int], budget: int) -> "torch.Tensor | None":
        """Read the next piece of ``target``; the logits after its last token once it is read."""
        if self._ahead is None:
            self._ahead = self.sequence.aim(target)
        piece = self._ahead[:budget]
        self._ahead = self._ahead[len(piece) :]
        self.forwarded += len(piece)
        logits = self.sequence.feed(piece)
        if self._ahead:
            return None
        self._ahead = None
        return logits


class ReadJob(Job):
    """Reads a prompt into the cache."""

    def __init__(self, sequence: CachedSequence, target: Sequence[int]) -> None:
        super().__init__(sequence)
        self._target = target

    def _work(self, budget: int) -> None:
        if self._read_towards(self._target, budget) is not None:
            self._end(Outcome(self.forwarded))


class GradeJob(Job):
    """Reads closed questions and keeps only how much likelier yes is than no.

    What all questions begin with is read once; their tails go through few forwards together.
    """

    def __init__(
        self,
        sequence: CachedSequence,
        targets: Sequence[Sequence[int]],
        chat: Chat,
        interruption: Interruption,
    ) -> None:
        super().__init__(sequence)
        self._interruption = interruption
        self._shared = _shared(targets)
        self._tails = [target[len(self._shared) :] for target in targets]
        self._chat = chat
        self._margins: list[float] = []
        self._is_shared_read = False

    def _work(self, budget: int) -> None:
        if self._interruption.finish is not None:
            self._end(Outcome(self.forwarded, tuple(self._margins)))
            return
        if not self._is_shared_read:
            # One token more than is shared stands for the rest: aiming always leaves one to read.
            ahead = self.sequence.aim([*self._shared, *self._tails[0][:1]])[:-1]
            piece = ahead[:budget]
            if piece:
                self.forwarded += len(piece)
                self.sequence.feed(piece)
            self._is_shared_read = len(piece) == len(ahead)
            return
        group = _fitting(self._tails, budget)
        self._tails = self._tails[len(group) :]
        self.forwarded += sum(len(tail) for tail in group)
        for logits in self.sequence.branch(group):
            self._margins.append(margin(logits, yes=self._chat.yes, no=self._chat.no))
        if not self._tails:
            self._end(Outcome(self.forwarded, tuple(self._margins)))


def _shared(targets: Sequence[Sequence[int]]) -> Sequence[int]:
    """What all begin with, short of the last token of each."""
    first, *others = targets
    size = min([len(target) - 1 for target in targets])
    for other in others:
        size = min(size, common_prefix(first, other))
    return first[:size]


def _fitting(tails: Sequence[Sequence[int]], budget: int) -> list[Sequence[int]]:
    """The first tails that have ``budget`` tokens together; at least one."""
    ends = accumulate(len(tail) for tail in tails)
    return list(tails[: max(1, sum(end <= budget for end in ends))])


@dataclass(frozen=True, slots=True)
class Next:
    """The likeliest token after what is written; ``logits`` is (vocabulary,), float32."""

    token: int
    logprob: float
    logits: "torch.Tensor"


class GenerateJob(Job):
    """Writes an answer token by token, the likeliest each time."""

    def __init__(
        self,
        sequence: CachedSequence,
        target: Sequence[int],
        chat: Chat,
        stop: Stop,
        choices: TokenChoices,
    ) -> None:
        super().__init__(sequence)
        self._choices = choices
        self._target = target
        self._writing = Writing(chat, stop, self.events.put)

    @property
    def is_writing(self) -> bool:
        """True once little is left that the model has not read: its last token, or a chat's tail.

        Each tail alone would take a forward, which costs as much as one for all.
        """
        if self._ahead is None:
            self._ahead = self.sequence.aim(self._target)
        return len(self._ahead) <= STEP_TOKENS

    def _work(self, budget: int) -> None:
        interrupted = self._writing.interruption()
        if interrupted is not None:
            self._finish(interrupted)
            return
        logits = self._read_towards(self._target, budget)
        if logits is not None:
            self.follow(Next(*likeliest(logits), logits))

    def take(self) -> Sequence[int] | None:
        """What is to be read now; None when the answer was ended from outside."""
        interrupted = self._writing.interruption()
        if interrupted is not None:
            self._finish(interrupted)
            return None
        taken = self._ahead or ()
        self.forwarded += len(taken)
        return taken

    def retake(self) -> Sequence[int]:
        """What is to be read after a step that failed, which may have read it already or not."""
        return self.sequence.aim([*self._target, *self._writing.tokens])

    def follow(self, upcoming: Next) -> None:
        """Everything was read, and this comes next: write it."""
        token, logprob = upcoming.token, upcoming.logprob
        allowed = self._choices.after(self._writing.tokens, self._writing.stop.end_tokens)
        if allowed:
            token, logprob = likeliest(upcoming.logits, allowed)
        finish = self._writing.push(token, logprob)
        self._ahead = [token]
        if finish is not None:
            self._finish(finish)

    def _finish(self, finish: Finish) -> None:
        self._writing.flush()
        outcome = Outcome(
            self.forwarded,
            answer_tokens=len(self._writing.tokens),
            finish=finish,
            logprob_sum=self._writing.logprob_sum,
        )
        self._end(outcome)


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
