"""`make up` and `make dev`: starts Sluice on this machine and keeps it running until Ctrl-C or
SIGTERM.
"""

import argparse
import os
import signal
import sys
import threading
import time
from types import FrameType

from deploy.local import credentials, database, demo, leftovers
from deploy.local import layout as layouts
from deploy.local.console import Console
from deploy.local.errors import StartError
from deploy.local.instance import InstanceLock
from deploy.local.layout import Layout
from deploy.local.planning import make_plan
from deploy.local.reload import CodeWatch
from deploy.local.services import Plan
from deploy.local.supervisor import Supervisor

_RELOAD_SECONDS = 1.0


def main() -> int:
    """Run until stopped; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.up", description=__doc__)
    parser.add_argument(
        "--dev", action="store_true", help="debug pages, and restart when code changes"
    )
    arguments = parser.parse_args()
    console = Console()
    try:
        run(console, dev=arguments.dev)
    except StartError as error:
        console.line()
        print(f"Sluice did not start. {error}", file=sys.stderr)
        return 1
    return 0


def run(console: Console, *, dev: bool) -> None:
    """Take the instance, start everything, supervise, stop everything.

    Raises:
        StartError: a sentence for the person at the terminal.
    """
    began_at = time.monotonic()
    layout = layouts.from_environment()
    layout.create()
    lock = InstanceLock(layout.var / "up.lock")
    lock.acquire()
    console.line(f"Sluice starts; its data is in {layout.var}, its logs in {layout.log}")
    if cleared := leftovers.clear(layout.var / "children.json"):
        console.line(f"  ok  ended {cleared} processes that an earlier run had left")
    layout.rotate_logs()
    plan = make_plan(layout, os.environ, debug=dev)
    if demo.is_wanted(os.environ) and not plan.demo:
        console.line(f"  --  {demo.obstacle()}")
    supervisor = Supervisor(plan.units(), layout=layout, stack=plan.stack, console=console)
    _obey_signals(supervisor, console)
    if dev:
        _restart_on_change(supervisor, plan)

    def announce() -> None:
        lock.announce(url=plan.url)
        _welcome(console, layout, plan, seconds=time.monotonic() - began_at)

    supervisor.run(announce)
    console.line("Sluice has stopped.")
    lock.release()


def _welcome(console: Console, layout: Layout, plan: Plan, *, seconds: float) -> None:
    """Where it is and, once, how to get in."""
    console.line()
    console.line(f"  Sluice is up after {seconds:.1f} s:  {plan.url}")
    if not plan.credentials.first_login_shown:
        secrets_file = layout.var / "secrets.json"
        console.line(
            f"  First login:  {database.ADMIN_USER}  {plan.credentials.admin_password}"
            f"   (shown this once; also in {secrets_file})"
        )
        credentials.mark_first_login_shown(secrets_file, plan.credentials)
    console.line("  Ctrl-C stops it; the data stays.")
    console.line()


def _obey_signals(supervisor: Supervisor, console: Console) -> None:
    """The first signal stops in order, a second one at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        if supervisor.stop_requested.is_set():
            supervisor.hurry.set()
            return
        supervisor.stop_requested.set()
        console.line("Stopping.")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def _restart_on_change(supervisor: Supervisor, plan: Plan) -> None:
    names = [unit.name for unit in plan.units() if unit.reloads]
    watch = CodeWatch()

    def look() -> None:
        while not supervisor.stop_requested.wait(_RELOAD_SECONDS):
            if supervisor.ready.is_set() and watch.has_changed():
                supervisor.restart(names)

    threading.Thread(target=look, name="reload", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
