"""The engine in this process: a transformers model behind the ``Engine`` port."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ragapp.domain.engine import Generation, Message, Usage, continued
from ragapp.engines.local.chat import Chat
from ragapp.engines.local.jobs import (
    Crash,
    GenerateJob,
    GradeJob,
    Job,
    Outcome,
    ReadJob,
    Stop,
    TokenChoices,
)
from ragapp.engines.local.load import Loaded, load
from ragapp.engines.local.scheduler import Admission, Place, Scheduler, engine_gone
from ragapp.engines.local.sequence import CachedSequence, memory
from tenants.errors import InvalidError, PermanentError, SluiceError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# A waiting caller looks this often whether the model's thread still lives.
ALIVE_CHECK_SECONDS = 1.0


class LocalEngine:
    """One model, one thread that owns it, many sessions whose answers it writes together.

    Args:
        loaded: The model; ``LocalEngine.from_source`` loads one.
        max_sessions: Sessions that hold a cache at once; bounds memory.
        max_waiting: Sessions that may wait for a place; the next gets a TransientError.
        wait_seconds: Longest wait for a place.
    """

    def __init__(
        self,
        loaded: Loaded,
        *,
        max_sessions: int = 32,
        max_waiting: int = 64,
        wait_seconds: float = 60.0,
    ) -> None:
        self.chat = Chat(loaded.tokenizer)
        self._loaded = loaded
        self._wait_seconds = wait_seconds
        self._admission = Admission(max_active=max_sessions, max_waiting=max_waiting)
        self._memory = memory(loaded.model)
        self._scheduler = Scheduler(f"engine {loaded.name}", self._memory)
        self.end_tokens = _end_tokens(loaded)

    @classmethod
    def from_source(
        cls,
        source: str,
        *,
        revision: str = "main",
        dtype: str = "bfloat16",
        max_sessions: int = 32,
        max_waiting: int = 64,
        wait_seconds: float = 60.0,
    ) -> "LocalEngine":
        """Load a folder or hub id and start its thread; see ``load`` for what it raises."""
        return cls(
            load(source, revision=revision, dtype=dtype),
            max_sessions=max_sessions,
            max_waiting=max_waiting,
            wait_seconds=wait_seconds,
        )

    @property
    def name(self) -> str:
        """The folder's or hub's name of the model."""
        return self._loaded.name

    @property
    def context_tokens(self) -> int:
        """Positions that the model was trained for."""
        return int(self._loaded.model.config.max_position_embeddings)

    @property
    def model(self) -> "PreTrainedModel":
        """The model itself, for measurements."""
        return self._loaded.model

    @property
    def held_bytes(self) -> int:
        """Memory that the sessions' caches have set aside."""
        return self._memory.held_bytes

    def count(self, text: str) -> int:
        """Tokens of ``text``, exactly."""
        return self.chat.count(text)

    def open(self, messages: Sequence[Message], *, lane: str = "") -> "LocalSession":
        """Read the prompt into a cache of its own; see the port for what it raises."""
        prefix = self.chat.prefix(messages)
        if len(prefix) >= self.context_tokens:
            raise InvalidError(
                f"The prompt has {len(prefix)} tokens, but {self.name} reads "
                f"{self.context_tokens}. Hand over fewer or shorter passages.",
                code="prompt-too-long",
            )
        begin = time.perf_counter()
        place = self._admission.enter(lane, self._wait_seconds)
        waited = time.perf_counter() - begin
        session = LocalSession(self, messages, place, queue_seconds=waited)
        try:
            session.read(prefix)
        except BaseException:
            session.close()
            raise
        return session

    def close(self) -> None:
        """Stop the thread; whoever waits gets a TransientError."""
        self._scheduler.close()

    def sequence(self) -> CachedSequence:
        """An empty cache for this model."""
        return self._memory.sequence()

    def leave(self, place: Place) -> None:
        """A session ended."""
        self._admission.leave(place)

    def carry_out(self, job: Job, on_text: Callable[[str], None] | None = None) -> Outcome:
        """Run ``job`` in the model's thread and wait for it, handing on its text.

        Raises:
            TransientError: The thread stopped.
            PermanentError: The model itself failed.
        """
        self._scheduler.submit(job)
        while True:
            event = self._next_event(job)
            if isinstance(event, Outcome):
                return event
            if isinstance(event, Crash):
                raise _as_ours(event.error, self.name) from event.error
            if on_text is not None:
                on_text(event)

    def _next_event(self, job: Job) -> str | Outcome | Crash:
        while True:
            try:
                return job.events.get(timeout=ALIVE_CHECK_SECONDS)
            except queue.Empty:
                if not self._scheduler.is_alive and job.events.empty():
                    raise engine_gone() from None


class LocalSession:
    """A prompt in the cache; see the ``Session`` port."""

    def __init__(
        self,
        engine: LocalEngine,
        messages: Sequence[Message],
        place: Place,
        *,
        queue_seconds: float,
    ) -> None:
        self._engine = engine
        self._messages = tuple(messages)
        self._place: Place | None = place
        self._sequence: CachedSequence | None = engine.sequence()
        self._answered: tuple[Message, ...] | None = None
        self._usage = Usage(queue_seconds=queue_seconds)

    @property
    def usage(self) -> Usage:
        """Tokens and seconds so far."""
        return self._usage

    def read(self, prefix: Sequence[int]) -> None:
        """Read the prompt; the engine calls this once."""
        begin = time.perf_counter()
        outcome = self._carry_out(ReadJob(self._live(), prefix))
        self._usage = replace(
            self._usage,
            prompt_tokens=outcome.forwarded_tokens,
            prompt_seconds=time.perf_counter() - begin,
        )

    def grade(self, questions: Sequence[str]) -> tuple[float, ...]:
        """Log-odds of yes over no for each question."""
        if not questions:
            return ()
        begin = time.perf_counter()
        targets = [self._engine.chat.prompt(self._asked(question)) for question in questions]
        outcome = self._carry_out(GradeJob(self._live(), targets, self._engine.chat))
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
        target = self._engine.chat.prompt(asked)
        room = max(self._engine.context_tokens - len(target), 1)
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        stop = Stop(min(max_new_tokens, room), self._engine.end_tokens, deadline, cancel, stop_at)
        bound = TokenChoices([self._engine.chat.encode(choice) for choice in choices])
        job = GenerateJob(self._live(), target, self._engine.chat, stop, bound)
        pieces: list[str] = []

        def collect(piece: str) -> None:
            pieces.append(piece)
            if on_text is not None:
                on_text(piece)

        outcome = self._carry_out(job, collect)
        text = "".join(pieces)
        self._answered = (*asked, Message("assistant", text))
        usage = self._usage
        self._usage = replace(
            usage,
            answer_tokens=usage.answer_tokens + outcome.forwarded_tokens,
            answer_seconds=usage.answer_seconds + time.perf_counter() - begin,
        )
        written = outcome.answer_tokens
        mean = outcome.logprob_sum / written if written else None
        return Generation(text, written, outcome.finish, mean)

    def close(self) -> None:
        """Free the cache and the place."""
        place, self._place = self._place, None
        sequence, self._sequence = self._sequence, None
        if sequence is not None:
            sequence.release()
        if place is not None:
            self._engine.leave(place)

    def _asked(self, question: str) -> tuple[Message, ...]:
        """The whole chat that ends with the closed ``question``."""
        if self._answered is None:
            return continued(self._messages, question)
        return (*self._answered, Message("user", question))

    def _carry_out(self, job: Job, on_text: Callable[[str], None] | None = None) -> Outcome:
        try:
            return self._engine.carry_out(job, on_text)
        except BaseException:
            # Nobody waits any more, and cache and record may disagree: begin anew, if ever.
            job.abandoned.set()
            if self._sequence is not None:
                self._sequence.release()
                self._sequence = self._engine.sequence()
            raise

    def _live(self) -> CachedSequence:
        if self._sequence is None:
            raise PermanentError("The session is closed.", code="session-closed")
        return self._sequence


def _end_tokens(loaded: Loaded) -> frozenset[int]:
    """Every token with which this model ends its turn."""
    configured = getattr(loaded.model.generation_config, "eos_token_id", None)
    listed = configured if isinstance(configured, list) else [configured]
    return frozenset(
        token for token in (*listed, loaded.tokenizer.eos_token_id) if isinstance(token, int)
    )


def _as_ours(error: Exception, name: str) -> SluiceError:
    """The library's error as one of ours."""
    if isinstance(error, SluiceError):
        return error
    return PermanentError(f"The model {name} failed: {error}", code="engine-failed")
