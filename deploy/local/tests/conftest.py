"""Small real processes for the supervisor, and ways to wait for what they do."""

import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from deploy.local import layout as layouts
from deploy.local import processes
from deploy.local.console import Console
from deploy.local.errors import StartError
from deploy.local.layout import Layout
from deploy.local.supervisor import Supervisor
from deploy.local.unit import NotReadyError, Unit

WAIT_SECONDS = 30.0


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for the event, generously; fails when it does not come."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the awaited event did not come"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether there is such a process, zombies aside."""
    return processes.start_ticks(pid) is not None


def python(name: str, code: str, *, ready_file: Path | None = None, **options) -> Unit:
    """A unit that runs ``code``: with ``ready_file`` a service that writes it, else a step."""

    def probe() -> None:
        if ready_file is not None and not ready_file.exists():
            raise NotReadyError(f"{ready_file} is missing")

    return Unit(
        name=name,
        summary=f"the process {name}",
        command=(sys.executable, "-S", "-c", code),
        env={"PATH": os.defpath},
        probe=probe if ready_file else None,
        **options,
    )


def sleeper(name: str, directory: Path, *, before: str = "", **options) -> Unit:
    """A service that writes a file when it is ready, and then stays."""
    file = directory / f"{name}.ready"
    code = f"{before}\nimport time, pathlib\npathlib.Path({str(file)!r}).touch()\ntime.sleep(3600)"
    return python(
        name, code, ready_file=file, prepare=lambda: file.unlink(missing_ok=True), **options
    )


@pytest.fixture
def layout(tmp_path) -> Layout:
    """A fresh instance's directories."""
    layout = layouts.of(tmp_path / "var")
    layout.create()
    return layout


class Run:
    """A supervisor in a thread, as the tests' private stack has it."""

    def __init__(self, units: Sequence[Unit], layout: Layout) -> None:
        self.output = io.StringIO()
        self.failure: StartError | None = None
        self.supervisor = Supervisor(
            units, layout=layout, stack="test-stack", console=Console(self.output)
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.supervisor.run(lambda: None)
        except StartError as error:
            self.failure = error
        finally:
            self.supervisor.ready.set()

    def wait_ready(self) -> None:
        """Until every unit is ready, or the start failed."""
        assert self.supervisor.ready.wait(WAIT_SECONDS), self.output.getvalue()
        assert self.failure is None, self.failure

    def wait_failed(self) -> StartError:
        """The error that ended the start."""
        assert self.supervisor.ready.wait(WAIT_SECONDS), self.output.getvalue()
        assert self.failure is not None
        return self.failure

    def stop(self) -> None:
        """Stop, and wait until everything is gone."""
        self.supervisor.stop_requested.set()
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive()


@pytest.fixture
def start(layout) -> Iterator[Callable[..., Run]]:
    """Starts units under a supervisor that is stopped after the test."""
    runs: list[Run] = []

    def start(*units: Unit) -> Run:
        runs.append(Run(units, layout))
        return runs[-1]

    yield start
    for run in runs:
        run.stop()
