"""Starting one process of ours so that it cannot outlive us, and looking at processes through
``/proc``.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from deploy.local.unit import Unit

_TETHER = Path(__file__).with_name("tether.py")


def spawn(unit: Unit, log: Path) -> subprocess.Popen[bytes]:
    """Start ``unit`` in a session of its own, tied to this process's life, its output appended to
    ``log``.
    """
    command = [*tether(unit.stop_signal), *unit.command]
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(unit.env),
            cwd=unit.cwd,
            # Ctrl-C is for the supervisor, which stops the services in order.
            start_new_session=True,
        )


def tether(death_signal: signal.Signals, *, user: str = "-") -> tuple[str, ...]:
    """The words before a command (an absolute path) that end it when this process ends."""
    parent = str(os.getpid())
    return (sys.executable, "-I", "-S", str(_TETHER), parent, str(int(death_signal)), user)


def signal_session(session: int, number: signal.Signals) -> None:
    """Send a signal to every process of the session's first group; a vanished one is no error."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(session, number)


def last_lines(log: Path, count: int, *, since: int = 0) -> list[str]:
    """The end of a log file from byte ``since``, without empty lines; reads 16 KiB at most."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(since, stream.tell() - 16_384))
            text = stream.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


def start_ticks(pid: int) -> int | None:
    """When process ``pid`` started, in clock ticks since boot; with the pid it names one process
    for ever.

    None: there is no such process (a zombie counts as none).
    """
    stat = _stat(pid)
    return None if stat is None or stat[0] == "Z" else int(stat[19])


def session_of(pid: int) -> int | None:
    """The session that process ``pid`` belongs to."""
    stat = _stat(pid)
    return None if stat is None else int(stat[3])


def end(pid: int, number: signal.Signals, *, seconds: float) -> bool:
    """Send a signal to somebody else's child and wait; whether it is gone after ``seconds``."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
    deadline = time.monotonic() + seconds
    while start_ticks(pid) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def has_variable(pid: int, assignment: str) -> bool:
    """Whether ``NAME=value`` is in the environment with which process ``pid`` was started."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return assignment.encode() in environment.split(b"\0")


def all_pids() -> list[int]:
    """Every process that this machine shows to us."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str] | None:
    """Fields 3 onwards of /proc/<pid>/stat (proc(5)): state, ppid, pgrp, session, ..., starttime
    (field 22).
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()
