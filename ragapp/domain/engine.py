"""The ports to language models: what an engine and an embedder promise, not how they do it.

One ``Session`` serves one run. Opening it reads the prompt once into a cache; every grade is a
short suffix on that cache which is forgotten again, and the answer goes on from the same cache.
So a check costs a few tokens, not another reading of the passages. ``ragapp/engines/`` holds the
implementations; ``ragapp/tests/engines/contract.py`` is the contract each of them passes.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from tenants.errors import SluiceError

Role = Literal["system", "user", "assistant"]
Vectors = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]
Finish = Literal["stop", "length", "repeat", "cancelled", "timeout"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat. The text is data: control tokens in it are read as plain text."""

    role: Role
    text: str


def continued(messages: Sequence[Message], suffix: str) -> tuple[Message, ...]:
    """The chat with ``suffix`` at the end of its last turn."""
    last = messages[-1]
    return (*messages[:-1], Message(last.role, last.text + suffix))


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer of the model.

    Attributes:
        text: Decoded, without control tokens; equals what was streamed, joined.
        tokens: Generated tokens, the end token not counted.
        finish: Why it ended: the model's own stop, the bound on its length, because it went round
            in circles, or from outside. All but ``stop`` may end within a sentence.
        mean_logprob: Mean natural-log probability of the chosen tokens; None without tokens or
            where the server does not tell.
    """

    text: str
    tokens: int
    finish: Finish
    mean_logprob: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What one session has cost so far.

    Attributes:
        prompt_tokens: Forwarded to read the prompt.
        grade_tokens: Forwarded for grades beyond the prompt and the answer.
        answer_tokens: Forwarded or generated for answers, instructions included.
        queue_seconds: Waited for a place in the engine.
        prompt_seconds: Spent reading the prompt.
        grade_seconds: Spent on grades.
        answer_seconds: Spent on answers.
    """

    prompt_tokens: int = 0
    grade_tokens: int = 0
    answer_tokens: int = 0
    queue_seconds: float = 0.0
    prompt_seconds: float = 0.0
    grade_seconds: float = 0.0
    answer_seconds: float = 0.0


class PromptCancelledError(SluiceError):
    """Somebody stopped it before the prompt was read."""

    status = 409
    default_code = "run-cancelled"


class Tokenizer(Protocol):
    """Counts in tokens, without the special ones that a model adds around its input."""

    def count(self, text: str) -> int:
        """Number of tokens of ``text``."""
        ...

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Character span ``(start, end)`` of each token, in order; empty tokens left out."""
        ...


class Session(Protocol):
    """A prompt that an engine holds in its cache. Used by one thread; close it."""

    def grade(
        self,
        questions: Sequence[str],
        *,
        timeout_seconds: float | None = None,
        cancel: threading.Event | None = None,
    ) -> tuple[float, ...]:
        """Log-odds of yes over no for each closed question, asked at the end of the session.

        Before an answer a question continues the user's turn, after one it opens the next turn.
        Nothing of it stays in the session.

        Args:
            timeout_seconds: Ends with what there is, counted from now.
            cancel: Set it from any thread; ends with what there is.

        Returns:
            Natural log, one per question, in order; 0 means that the model cannot tell. Those of
            the first questions only where it was ended from outside.

        Raises:
            TransientError: The engine is gone or overloaded.
        """
        ...

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
        """Answer after ``instruction``, greedily; the answer stays in the session for its grades.

        White space in front is dropped. An earlier answer of this session is forgotten first.

        Args:
            instruction: Closes the user's turn, after the passages; may be empty.
            max_new_tokens: Upper bound, the end token not counted.
            stop_at: The answer ends before this string, once it has begun; empty for none.
            choices: If given, the answer is one of these texts, whichever the model finds likeliest
                token by token. A server that cannot be bound is asked to keep to them.
            timeout_seconds: Ends with what there is, counted from now.
            on_text: Called in the caller's thread with each new piece of text, whole characters.
            cancel: Set it from any thread; the model stops within one token.

        Raises:
            TransientError: The engine is gone or overloaded.
        """
        ...

    @property
    def usage(self) -> Usage:
        """Tokens and seconds so far."""
        ...

    def close(self) -> None:
        """Free the cache. Closing twice is fine."""
        ...


@runtime_checkable
class Engine(Protocol):
    """A generating model. Safe to share among threads."""

    @property
    def name(self) -> str:
        """The model's name for people, traces and accounting."""
        ...

    @property
    def is_alive(self) -> bool:
        """Whether a session that is opened now can still be served; a dead one stays dead."""
        ...

    @property
    def context_tokens(self) -> int:
        """Longest prompt and answer together."""
        ...

    def count(self, text: str) -> int:
        """Tokens of ``text`` in this model; an upper estimate where the tokenizer is remote."""
        ...

    def open(
        self,
        messages: Sequence[Message],
        *,
        lane: str = "",
        cancel: threading.Event | None = None,
    ) -> Session:
        """Read the prompt into the cache.

        Args:
            messages: Ends with the user's turn, which stays open for suffixes.
            lane: Sessions of one lane (a tenant) wait for each other before others wait for them.
            cancel: Set it from any thread; the wait for a place and the reading end at once.

        Raises:
            InvalidError: The prompt does not fit the context.
            PromptCancelledError: ``cancel`` was set.
            TransientError: Too many sessions wait already, or the engine is gone.
        """
        ...

    def close(self) -> None:
        """Stop; whoever waits gets a TransientError. Closing twice is fine."""
        ...


class Embedder(Tokenizer, Protocol):
    """A model that gives texts their vectors. Safe to share among threads."""

    @property
    def name(self) -> str:
        """Stored with every chunk set: vectors of two models never mix."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of one vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens that the model reads of one text, special ones already subtracted."""
        ...

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """``(len(texts), dimensions)`` float32, each of length 1, with the model's query prefix."""
        ...

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """``(len(texts), dimensions)`` float32, each of length 1, with its document prefix."""
        ...


class Reranker(Protocol):
    """A model that reads a question and a passage together. Safe to share among threads."""

    def score(self, question: str, texts: Sequence[str]) -> Scores:
        """``(len(texts),)`` float32, 0 to 1; higher is more relevant."""
        ...
