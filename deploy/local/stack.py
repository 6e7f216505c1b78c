"""A private stack for tests: the same services under the same supervisor, in a directory and on
ports of its own.

    with Stack(tmp_path / "var", services=["postgres", "redis"]) as stack:
        psycopg.connect(stack.plan.database_url)

The supervisor runs in a thread, and every service dies with that thread or this process.
"""

import io
import os
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType

from deploy.local import layout as layouts
from deploy.local import leftovers
from deploy.local.console import Console
from deploy.local.errors import StartError
from deploy.local.instance import InstanceLock
from deploy.local.planning import make_plan
from deploy.local.supervisor import Supervisor

# Settings of the caller's own instance, which must not leak into a private one.
_OWN_INSTANCE = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "PORT", "SLUICE_PORTAL_URL")


def inherited() -> dict[str, str]:
    """This process's environment without what names its own database, broker and portal."""
    return {name: value for name, value in os.environ.items() if name not in _OWN_INSTANCE}


class Stack:
    """Services that live as long as the ``with`` block; the plan is made on construction, before
    anything runs.
    """

    def __init__(
        self,
        var: Path,
        *,
        services: Collection[str] | None = None,
        environment: Mapping[str, str] | None = None,
        models: Path | None = None,
        throwaway: bool = True,
        start_seconds: float = 600.0,
    ) -> None:
        """Decide on secrets and ports; nothing runs yet.

        Args:
            services: by name; None means all of them.
            environment: added to this process's own.
            models: where the converted model is shared; the checkout's own folder by default.
            throwaway: the data need not survive a kill, so writes need not wait for the disk.
            start_seconds: how long ``start`` waits.
        """
        self.layout = layouts.of(var, models=models or layouts.from_environment().models)
        self.layout.create()
        self.plan = make_plan(
            self.layout, {**inherited(), **(environment or {})}, throwaway=throwaway
        )
        self.output = io.StringIO()
        self._start_seconds = start_seconds
        units = [unit for unit in self.plan.units() if services is None or unit.name in services]
        self._lock = InstanceLock(self.layout.var / "up.lock")
        self.supervisor = Supervisor(
            units, layout=self.layout, stack=self.plan.stack, console=Console(self.output)
        )
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._failure: BaseException | None = None

    @property
    def env(self) -> dict[str, str]:
        """The environment in which a process is part of this stack."""
        return self.plan.environment()

    @property
    def url(self) -> str:
        """Where the portal answers."""
        return self.plan.url

    def start(self) -> None:
        """Start the services and wait until each is ready.

        Raises:
            StartError: one of them could not be started, or not in time.
        """
        self._lock.acquire()
        leftovers.clear(self.layout.var / "children.json")
        self._thread.start()
        self.supervisor.ready.wait(self._start_seconds)
        if self._failure is not None:
            self.stop()
            raise StartError(f"The private stack did not start: {self._failure}") from self._failure
        if not self.supervisor.ready.is_set():
            self.stop()
            raise StartError(f"The private stack was not ready in time:\n{self.output.getvalue()}")

    def stop(self) -> None:
        """Stop every service and wait until it is gone."""
        self.supervisor.stop_requested.set()
        if self._thread.is_alive():
            self._thread.join()
        self._lock.release()

    def _run(self) -> None:
        try:
            self.supervisor.run(lambda: None)
        except BaseException as error:  # noqa: BLE001 - the waiting thread gets it
            self._failure = error
        finally:
            self.supervisor.ready.set()

    def __enter__(self) -> "Stack":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
