"""Clears what an earlier supervisor left behind when it was killed without a chance to stop its
services.

Each service dies with its supervisor (``tether``), but a grandchild (a Celery pool process in the
middle of a task) may go on for a while. The file ``var/children.json`` names every service started,
with its start time, so that a process that merely got the same number later is never touched.
"""

import json
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.local import processes

STACK_VARIABLE = "SLUICE_STACK"
_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Child:
    """One started service: process number, which is also its session, and start time in clock
    ticks.
    """

    pid: int
    ticks: int


def record(file: Path, stack: str, children: Mapping[str, Child]) -> None:
    """Remember the running services of ``stack``, the random name of one run of the supervisor."""
    content = {
        "stack": stack,
        "children": {name: asdict(child) for name, child in children.items()},
    }
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(file)


def clear(file: Path) -> int:
    """End what is left of the recorded run, gently first; returns how many processes that were."""
    stack, children = _read(file)
    if stack is None:
        return 0
    remaining = _alive(stack, children)
    found = len(remaining)
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal_all(remaining, number)
        deadline = time.monotonic() + _GRACE_SECONDS
        while (remaining := _alive(stack, children)) and time.monotonic() < deadline:
            time.sleep(0.05)
        if not remaining:
            break
    file.unlink(missing_ok=True)
    return found


def _read(file: Path) -> tuple[str | None, list[Child]]:
    """The recorded run; a damaged record counts as none, as the services are tied to their
    supervisor anyway.
    """
    try:
        content = json.loads(file.read_text())
        return str(content["stack"]), [Child(**child) for child in content["children"].values()]
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None, []


def _alive(stack: str, children: list[Child]) -> list[int]:
    """The recorded services that still run, and what they started: same session, same mark in the
    environment.
    """
    leaders = {child.pid: child.ticks for child in children}
    mark = f"{STACK_VARIABLE}={stack}"
    found = []
    for pid in processes.all_pids():
        ticks = processes.start_ticks(pid)
        if ticks is None or pid == os.getpid():
            continue
        is_leader = leaders.get(pid) == ticks
        is_descendant = processes.session_of(pid) in leaders and processes.has_variable(pid, mark)
        if is_leader or is_descendant:
            found.append(pid)
    return found


def _signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
