"""Starts units in the order of their needs, keeps the services alive, and stops them in the
opposite order.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from deploy.local import leftovers
from deploy.local.console import Console
from deploy.local.layout import Layout
from deploy.local.runner import FAILURES_SHOWN_AT, Runner, Stage
from deploy.local.unit import Unit

_TICK_SECONDS = 0.05
_CALM_TICK_SECONDS = 0.2


class Supervisor:
    """Runs units until it is told to stop. One thread calls ``run``; the events may be set from any
    other.
    """

    def __init__(
        self, units: Sequence[Unit], *, layout: Layout, stack: str, console: Console
    ) -> None:
        names = {unit.name for unit in units}
        # A unit that is not part of this run (an outside database) is nobody's to wait for.
        self._needs = {unit.name: [need for need in unit.needs if need in names] for unit in units}
        self._runners = {unit.name: Runner(unit, layout.log_of(unit.name)) for unit in units}
        self._record = layout.var / "children.json"
        self._stack = stack
        self._console = console
        self._began_at = time.monotonic()
        self.ready = threading.Event()
        self.stop_requested = threading.Event()
        self.hurry = threading.Event()
        """Set to kill instead of waiting, as on a second Ctrl-C."""

    def run(self, on_ready: Callable[[], None]) -> None:
        """Start everything, call ``on_ready`` once, supervise until ``stop_requested``, then stop
        everything.

        Raises:
            StartError: something could not be started; whatever ran is stopped by then.
        """
        with ThreadPoolExecutor(max_workers=4, thread_name_prefix="probe") as executor:
            try:
                while not self.stop_requested.is_set():
                    self._tick(executor)
                    self._report_progress(on_ready)
                    self.stop_requested.wait(
                        _CALM_TICK_SECONDS if self.ready.is_set() else _TICK_SECONDS
                    )
            finally:
                self._stop_all()

    def restart(self, names: Sequence[str]) -> None:
        """Start the named services again, as after a change of code."""
        for name in names:
            self._runners[name].restart()

    def pid(self, name: str) -> int | None:
        """The process number of a running unit."""
        child = self._runners[name].child
        return child.pid if child else None

    def is_ready(self, name: str) -> bool:
        """Whether the unit answered its probe and has not died since."""
        return self._runners[name].stage is Stage.READY

    def _tick(self, executor: ThreadPoolExecutor) -> None:
        before = self._children()
        for name, runner in self._runners.items():
            if runner.stage is Stage.WAITING:
                if all(self._runners[need].is_settled for need in self._needs[name]):
                    runner.start()
                continue
            match runner.tick(executor):
                case "ready":
                    self._tell_ready(runner)
                case "died":
                    self._tell_death(runner)
        if (now := self._children()) != before:
            leftovers.record(self._record, self._stack, now)

    def _children(self) -> dict[str, leftovers.Child]:
        return {name: runner.child for name, runner in self._runners.items() if runner.child}

    def _tell_ready(self, runner: Runner) -> None:
        again = " (again)" if self.ready.is_set() else ""
        self._console.step(runner.unit.name, runner.unit.summary + again, runner.seconds)

    def _tell_death(self, runner: Runner) -> None:
        self._console.line(f"  !!  {runner.unit.name} ended; it is started again")
        if runner.failures == FAILURES_SHOWN_AT:
            self._console.line(
                f"      It has ended {runner.failures} times in a row. "
                f"{runner.log} ends with:\n{runner.last_lines()}"
            )

    def _report_progress(self, on_ready: Callable[[], None]) -> None:
        if self.ready.is_set():
            return
        pending = [runner for runner in self._runners.values() if not runner.is_settled]
        if not pending:
            self.ready.set()
            on_ready()
            return
        under_way = [runner for runner in pending if runner.stage is Stage.STARTING]
        names = ", ".join(runner.unit.name for runner in under_way)
        said = next((text for runner in under_way if (text := runner.progress())), "")
        elapsed = time.monotonic() - self._began_at
        self._console.waiting(f"{elapsed:.0f} s  {names}{': ' if said else ''}{said}")

    def _stop_all(self) -> None:
        """Stop each unit when nothing that needs it runs any more."""
        running = dict(self._runners)
        while running:
            needed = {need for name in running for need in self._needs[name]}
            for name in [name for name in running if name not in needed]:
                running[name].stop()
            gone = [
                name
                for name, runner in running.items()
                if runner.stage is Stage.STOPPING
                and runner.tick_stopping(now_at_once=self.hurry.is_set())
            ]
            for name in gone:
                del running[name]
            if running:
                time.sleep(_TICK_SECONDS)
        self._record.unlink(missing_ok=True)
