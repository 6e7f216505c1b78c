"""The life of one unit: waiting, starting, ready, and back again when it dies."""

import signal
import subprocess
import time
from concurrent.futures import Executor, Future
from enum import Enum, auto
from pathlib import Path

from deploy.local import leftovers, processes
from deploy.local.errors import StartError
from deploy.local.unit import NotReadyError, Unit

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
STABLE_SECONDS = 60.0
"""A service that ran this long has recovered: its next failure counts as the first."""
FAILURES_SHOWN_AT = 3
"""A service that never was ready gives up then; one that was shows its last lines and goes on
trying.
"""
LINES_SHOWN = 15
PROGRESS_LENGTH = 60
_PROBE_PAUSE_SECONDS = 0.1


class Stage(Enum):
    """Where a unit is."""

    WAITING = auto()
    STARTING = auto()
    READY = auto()
    PAUSED = auto()
    STOPPING = auto()
    STOPPED = auto()


class Runner:
    """Drives one unit; every method returns at once."""

    def __init__(self, unit: Unit, log: Path) -> None:
        self.unit = unit
        self.log = log
        self.stage = Stage.WAITING
        self.failures = 0
        self.was_ready = False
        self.started_at = 0.0
        self.child: leftovers.Child | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._probing: Future[None] | None = None
        self._log_starts_at = 0
        self._next_at = 0.0
        self._kill_at = 0.0

    @property
    def is_settled(self) -> bool:
        """Whether those who need this unit may start."""
        return self.was_ready

    @property
    def seconds(self) -> float:
        """How long the present start has taken."""
        return time.monotonic() - self.started_at

    def start(self) -> None:
        """Begin a start.

        Raises:
            StartError: the preparation found something that only a person can mend.
        """
        self.unit.prepare()
        self.started_at = time.monotonic()
        self._next_at = self.started_at
        self._log_starts_at = self.log.stat().st_size if self.log.exists() else 0
        self._process = processes.spawn(self.unit, self.log)
        ticks = processes.start_ticks(self._process.pid)
        self.child = None if ticks is None else leftovers.Child(self._process.pid, ticks)
        self.stage = Stage.STARTING

    def tick(self, executor: Executor) -> str | None:
        """Look once at the process. Returns what happened: ``ready``, ``died``, or None.

        Raises:
            StartError: the unit cannot be started at all.
        """
        match self.stage:
            case Stage.PAUSED if time.monotonic() >= self._next_at:
                self.start()
                return None
            case Stage.STARTING:
                return self._tick_starting(executor)
            case Stage.READY if self.unit.is_service and self._exit_status() is not None:
                return self._fail(f"ended with status {self._exit_status()}")
            case _:
                return None

    def restart(self) -> None:
        """End the process; the next tick sees it dead and starts it again."""
        self.failures = 0
        self._signal(signal.SIGKILL if self.stage is Stage.STARTING else self.unit.stop_signal)

    def stop(self) -> None:
        """Ask the process to end."""
        if self.stage is Stage.STOPPING:
            return
        self._signal(self.unit.stop_signal)
        self._kill_at = time.monotonic() + self.unit.stop_seconds
        self.stage = Stage.STOPPING

    def tick_stopping(self, *, now_at_once: bool) -> bool:
        """Whether the process is gone; it is killed when its time is over, or ``now_at_once``."""
        if self._process is not None and self._process.poll() is None:
            if now_at_once or time.monotonic() >= self._kill_at:
                self._signal(signal.SIGKILL)
            return False
        self._end_session()
        self.stage = Stage.STOPPED
        return True

    def last_lines(self) -> str:
        """The end of the unit's log, indented for the terminal."""
        lines = processes.last_lines(self.log, LINES_SHOWN)
        return "\n".join(f"      {line}" for line in lines)

    def progress(self) -> str:
        """What a step last said about itself; a service says nothing to people."""
        if self.unit.is_service:
            return ""
        lines = processes.last_lines(self.log, 1, since=self._log_starts_at)
        return lines[0].strip()[:PROGRESS_LENGTH] if lines else ""

    def _tick_starting(self, executor: Executor) -> str | None:
        status = self._exit_status()
        if status is not None:
            if status == 0 and not self.unit.is_service:
                return self._become_ready()
            return self._fail(f"ended with status {status} while it started")
        if self.seconds > self.unit.start_seconds:
            return self._fail(f"was not ready within {self.unit.start_seconds:.0f} seconds")
        if self.unit.probe is None or time.monotonic() < self._next_at:
            return None
        if self._probing is None:
            self._probing = executor.submit(self.unit.probe)
        return self._look_at_probe(self._probing)

    def _look_at_probe(self, probing: Future[None]) -> str | None:
        if not probing.done():
            return None
        self._probing = None
        self._next_at = time.monotonic() + _PROBE_PAUSE_SECONDS
        try:
            probing.result()
        except NotReadyError:
            return None
        return self._become_ready()

    def _become_ready(self) -> str:
        self.stage = Stage.READY
        self.was_ready = True
        return "ready"

    def _fail(self, what: str) -> str:
        """Count the failure, clear the process's remains, and plan the next start."""
        if self.stage is Stage.READY and self.seconds > STABLE_SECONDS:
            self.failures = 0
        self.failures += 1
        self._end_session()
        self._probing = None
        must_stop = not self.unit.is_service or self.failures >= FAILURES_SHOWN_AT
        if not self.was_ready and must_stop:
            raise StartError(
                f"{self.unit.name} {what}. Its log, {self.log}, ends with:\n{self.last_lines()}"
            )
        backoff = FIRST_BACKOFF_SECONDS * 2 ** (self.failures - 1) if self.failures > 1 else 0.0
        self._next_at = time.monotonic() + min(backoff, LONGEST_BACKOFF_SECONDS)
        self.stage = Stage.PAUSED
        return "died"

    def _end_session(self) -> None:
        """What the dead process started (pool processes, backends) goes with it."""
        if self._process is not None:
            processes.signal_session(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None
        self.child = None

    def _exit_status(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def _signal(self, number: signal.Signals) -> None:
        """To the process itself; what it started it stops itself, except when it is killed."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(number)
        if number is signal.SIGKILL:
            processes.signal_session(self._process.pid, number)
