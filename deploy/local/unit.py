"""What the supervisor runs: the description of one service or one step, as a value."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.layout import REPOSITORY

# Returns when the service answers; raises NotReadyError otherwise. May take a second, not more.
Probe = Callable[[], None]


class NotReadyError(Exception):
    """The service does not answer yet; the message says in what way."""


def _nothing() -> None:
    """The default preparation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One process to start.

    With a ``probe`` it is a service: it must stay, and is started again when it ends. Without one
    it is a step, done when it ends with status 0.
    """

    name: str
    command: tuple[str, ...]
    summary: str
    """What it is for, or where it listens: printed when it is ready."""
    env: Mapping[str, str] = field(repr=False)
    """Its whole environment; holds secrets."""
    needs: tuple[str, ...] = ()
    """Names of units that must be ready first. They are stopped after it."""
    probe: Probe | None = None
    prepare: Callable[[], None] = _nothing
    """Called before each start: stale sockets, configuration files, the user to run as."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 8.0
    start_seconds: float = 120.0
    cwd: Path = REPOSITORY
    reloads: bool = False
    """Started again by `make dev` when the project's code changes."""

    @property
    def is_service(self) -> bool:
        """Whether it is meant to stay."""
        return self.probe is not None
