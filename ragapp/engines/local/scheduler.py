"""The one thread that owns the model: it reads prompts in turn and writes all answers at once."""

import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from ragapp.domain.engine import PromptCancelledError
from ragapp.engines.local.jobs import Crash, GenerateJob, Job, Next
from ragapp.engines.local.sequence import Memory, Steps
from tenants.errors import TransientError

T = TypeVar("T")

# Who waits for a place or for a prompt looks this often whether it was stopped.
CANCEL_CHECK_SECONDS = 0.1

# How often an idle thread looks whether it should still be there.
IDLE_SECONDS = 1.0

# Whoever has just had a prompt read asks of it at once, and is waited for: a step takes longer.
HANDOVER_SECONDS = 0.005

# Tokens of a prompt that are read in one go: about 0.3 s for a small model on two cores.
PIECE_TOKENS = 256

# While somebody waits for the first token, reading gets this many times the time of writing: who
# reads an answer already gets it slower, but never waits for longer than so many pieces.
READING_SHARE = 8.0
MOST_PIECES = 6


@dataclass(slots=True)
class Place:
    """A session's right to hold a cache; granted in turn among lanes."""

    lane: str
    granted: threading.Event = field(default_factory=threading.Event)


class Admission:
    """Bounds the sessions that hold a cache, and those that wait for one; fair among lanes.

    The free place goes to the waiting lane with the fewest places, first come first served
    among equals, so one busy tenant delays itself before it delays others.
    """

    def __init__(self, *, max_active: int, max_waiting: int) -> None:
        self._max_active = max_active
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        self._active: Counter[str] = Counter()
        self._waiting: deque[Place] = deque()

    @property
    def waiting(self) -> int:
        """Sessions that wait for a place now."""
        with self._lock:
            return len(self._waiting)

    def enter(
        self, lane: str, timeout_seconds: float, cancel: threading.Event | None = None
    ) -> Place:
        """A place, as soon as it is this lane's turn.

        Raises:
            PromptCancelledError: ``cancel`` was set.
            TransientError: Too many wait already, or none was free in time.
        """
        place = Place(lane)
        with self._lock:
            is_free = self._active.total() < self._max_active
            if not is_free and len(self._waiting) >= self._max_waiting:
                raise engine_busy(
                    f"The model is busy: {len(self._waiting)} questions wait already."
                )
            self._waiting.append(place)
            self._grant()
        if _is_granted(place, timeout_seconds, cancel) or not self._withdraw(place):
            return place
        if cancel is not None and cancel.is_set():
            raise prompt_cancelled()
        raise engine_busy(f"The model was busy for {timeout_seconds:.0f} seconds.")

    def leave(self, place: Place) -> None:
        """Give the place to whoever is next."""
        with self._lock:
            self._active[place.lane] -= 1
            self._grant()

    def _withdraw(self, place: Place) -> bool:
        """Stop waiting; False if the place was granted in the meantime."""
        with self._lock:
            if place.granted.is_set():
                return False
            self._waiting.remove(place)
            return True

    def _grant(self) -> None:
        while self._waiting and self._active.total() < self._max_active:
            place = min(self._waiting, key=lambda waiting: self._active[waiting.lane])
            self._waiting.remove(place)
            self._active[place.lane] += 1
            place.granted.set()


class Scheduler:
    """Runs jobs in a daemon thread: those that read take turns, those that write go together."""

    def __init__(self, name: str, memory: Memory) -> None:
        self._memory = memory
        self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._active: list[Job] = []
        # Reading since the last token was written, and what writing one takes.
        self._reading_seconds = 0.0
        self._pieces = 0
        self._writing_seconds = 0.0
        self._has_just_read = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether a job that is waited for can still end."""
        return self._thread.is_alive() and not self._closed.is_set()

    def submit(self, job: Job) -> None:
        """Have ``job`` done; its outcome arrives in its events.

        Raises:
            TransientError: The thread is gone.
        """
        if not self.is_alive:
            raise engine_gone()
        self._inbox.put(job)

    def close(self) -> None:
        """Stop after the current step; jobs that are not done crash with a TransientError."""
        self._closed.set()
        self._inbox.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _loop(self) -> None:
        try:
            while not self._closed.is_set():
                self._take()
                self._memory.sweep()
                self._round()
        finally:
            self._closed.set()
            self._abandon()

    def _take(self) -> None:
        """New jobs join the round; without any work this waits for the first."""
        patience = 0.0 if self._active else IDLE_SECONDS
        if self._has_just_read:
            patience = max(patience, HANDOVER_SECONDS)
        while True:
            try:
                job = self._inbox.get(block=patience > 0, timeout=patience)
            except queue.Empty:
                return
            if job is not None:
                self._active.append(job)
            patience = 0.0

    def _round(self) -> None:
        """Read a piece, in order of arrival; write a token each, unless reading is owed time."""
        self._active = [job for job in self._active if not job.abandoned.is_set()]
        reading = next((job for job in self._active if not job.is_writing), None)
        writing = [job for job in self._active if isinstance(job, GenerateJob) and job.is_writing]
        if reading is not None:
            begin = time.perf_counter()
            _guarded(reading, partial(reading.read, PIECE_TOKENS))
            self._reading_seconds += time.perf_counter() - begin
            self._pieces += 1
        self._has_just_read = reading is not None and reading.is_done
        if writing and (reading is None or self._is_turn_of_writing):
            begin = time.perf_counter()
            self._write(writing)
            self._writing_seconds = time.perf_counter() - begin
            self._reading_seconds, self._pieces = 0.0, 0
        self._active = [job for job in self._active if not job.is_done]

    @property
    def _is_turn_of_writing(self) -> bool:
        owed = READING_SHARE * self._writing_seconds
        return self._reading_seconds >= owed or self._pieces >= MOST_PIECES

    def _write(self, jobs: Sequence[GenerateJob]) -> None:
        """What is unread of each, read by the model in one go, and the token that follows."""
        taken = [(job, tokens) for job in jobs if (tokens := job.take()) is not None]
        if not taken:
            return
        try:
            steps = self._step(taken)
        except Exception:  # noqa: BLE001 - one of them, or all: each alone will show.
            for job, _ in taken:
                _guarded(job, partial(self._step_alone, job))
            return
        for row, (job, _) in enumerate(taken):
            _guarded(job, partial(job.follow, _row(steps, row)))

    def _step(self, taken: Sequence[tuple[GenerateJob, Sequence[int]]]) -> Steps:
        sequences = [job.sequence for job, _ in taken]
        return self._memory.step(sequences, [tokens for _, tokens in taken])

    def _step_alone(self, job: GenerateJob) -> None:
        job.follow(_row(self._step([(job, job.retake())]), 0))

    def _abandon(self) -> None:
        while not self._inbox.empty():
            job = self._inbox.get()
            if job is not None:
                self._active.append(job)
        for job in self._active:
            job.events.put(Crash(engine_gone()))
        self._active = []


def _row(steps: Steps, row: int) -> Next:
    return Next(steps.tokens[row], steps.logprobs[row], steps.logits[row])


def _is_granted(place: Place, seconds: float, cancel: threading.Event | None) -> bool:
    """Wait for the place, for so long and unless somebody cancels."""
    if cancel is None:
        return place.granted.wait(seconds)
    ends_at = time.monotonic() + seconds
    while not cancel.is_set() and (left := ends_at - time.monotonic()) > 0:
        if place.granted.wait(min(left, CANCEL_CHECK_SECONDS)):
            return True
    return place.granted.is_set()


def prompt_cancelled() -> PromptCancelledError:
    """The error for whoever stopped it before the prompt was read."""
    return PromptCancelledError("The question was stopped before its prompt was read.")


def engine_busy(why: str) -> TransientError:
    """The error for whoever comes while too many wait."""
    return TransientError(f"{why} Try again.", code="engine-busy", retry_after_seconds=5.0)


def engine_gone() -> TransientError:
    """The error for whoever waits for an engine that stopped."""
    return TransientError("The model's engine has stopped. Try again.", code="engine-gone")


def _guarded(job: Job, work: Callable[[], T]) -> T | None:
    """What ``work`` gives; a job that fails is finished, and only that job."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - whatever the model raises belongs to its caller.
        job.is_done = True
        job.events.put(Crash(error))
        return None
