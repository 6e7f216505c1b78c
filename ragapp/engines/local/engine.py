"""The engine in this process: a transformers model behind the ``Engine`` port."""

import queue
import threading
from collections.abc import Callable, Sequence

from ragapp.domain.engine import Message
from ragapp.engines.local.chat_engine import ChatEngine
from ragapp.engines.local.jobs import Crash, GenerateJob, GradeJob, Job, ReadJob
from ragapp.engines.local.load import Loaded, load
from ragapp.engines.local.scheduler import (
    CANCEL_CHECK_SECONDS,
    Place,
    Scheduler,
    engine_gone,
    prompt_cancelled,
)
from ragapp.engines.local.sequence import CachedSequence, memory
from ragapp.engines.local.session import (
    ChatSession,
    Outcome,
    as_ours,
    session_closed,
)
from ragapp.engines.local.writing import Interruption, Stop, TokenChoices

# A waiting caller looks this often whether the model's thread still lives.
ALIVE_CHECK_SECONDS = 1.0


class LocalEngine(ChatEngine["LocalSession"]):
    """One model, one thread that owns it, many sessions whose answers it writes together.

    ``LocalEngine.from_source`` loads its model too.
    """

    def __init__(
        self,
        loaded: Loaded,
        *,
        max_sessions: int = 32,
        max_waiting: int = 64,
        wait_seconds: float = 60.0,
    ) -> None:
        super().__init__(
            loaded, max_sessions=max_sessions, max_waiting=max_waiting, wait_seconds=wait_seconds
        )
        self._memory = memory(loaded.model)
        self._scheduler = Scheduler(f"engine {loaded.name}", self._memory)

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
    def is_alive(self) -> bool:
        """Whether the model's thread still runs."""
        return self._scheduler.is_alive

    @property
    def held_bytes(self) -> int:
        """Memory that the sessions' caches have set aside."""
        return self._memory.held_bytes

    def close(self) -> None:
        """Stop the thread; whoever waits gets a TransientError."""
        self._scheduler.close()

    def _session(
        self, messages: Sequence[Message], place: Place, queue_seconds: float
    ) -> "LocalSession":
        return LocalSession(self, messages, place, queue_seconds=queue_seconds)

    def sequence(self) -> CachedSequence:
        """An empty cache for this model."""
        return self._memory.sequence()

    def carry_out(
        self,
        job: Job,
        on_text: Callable[[str], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Outcome:
        """Run ``job`` in the model's thread and wait for it, handing on its text.

        Raises:
            PromptCancelledError: ``cancel`` was set; the job is still to be given up.
            TransientError: The thread stopped.
            PermanentError: The model itself failed.
        """
        self._scheduler.submit(job)
        while True:
            event = self._next_event(job, cancel)
            if isinstance(event, Outcome):
                return event
            if isinstance(event, Crash):
                raise as_ours(event.error, self.name) from event.error
            if on_text is not None:
                on_text(event)

    def _next_event(self, job: Job, cancel: threading.Event | None) -> str | Outcome | Crash:
        patience = ALIVE_CHECK_SECONDS if cancel is None else CANCEL_CHECK_SECONDS
        while True:
            if cancel is not None and cancel.is_set():
                raise prompt_cancelled()
            try:
                return job.events.get(timeout=patience)
            except queue.Empty:
                if not self._scheduler.is_alive and job.events.empty():
                    raise engine_gone() from None


class LocalSession(ChatSession):
    """A prompt in the cache."""

    def __init__(
        self,
        engine: LocalEngine,
        messages: Sequence[Message],
        place: Place,
        *,
        queue_seconds: float,
    ) -> None:
        super().__init__(engine, messages, place, queue_seconds=queue_seconds)
        self._engine = engine
        self._sequence: CachedSequence | None = engine.sequence()

    def close(self) -> None:
        """Free the cache and the place."""
        sequence, self._sequence = self._sequence, None
        if sequence is not None:
            sequence.release()
        super().close()

    def _read(self, prefix: Sequence[int], cancel: threading.Event | None) -> Outcome:
        return self._carry_out(ReadJob(self._live(), prefix), cancel=cancel)

    def _grade(self, targets: Sequence[Sequence[int]], interruption: Interruption) -> Outcome:
        return self._carry_out(GradeJob(self._live(), targets, self._chat, interruption))

    def _write(
        self,
        target: Sequence[int],
        stop: Stop,
        choices: TokenChoices,
        on_text: Callable[[str], None],
    ) -> Outcome:
        job = GenerateJob(self._live(), target, self._chat, stop, choices)
        return self._carry_out(job, on_text)

    def _carry_out(
        self,
        job: Job,
        on_text: Callable[[str], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Outcome:
        try:
            return self._engine.carry_out(job, on_text, cancel)
        except BaseException:
            # Nobody waits any more, and cache and record may disagree: begin anew, if ever.
            job.abandoned.set()
            if self._sequence is not None:
                self._sequence.release()
                self._sequence = self._engine.sequence()
            raise

    def _live(self) -> CachedSequence:
        if self._sequence is None:
            raise session_closed()
        return self._sequence
