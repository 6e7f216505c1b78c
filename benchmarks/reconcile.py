"""From a committed change to an address that answers, against telling Caddy directly.

The real services, a private set of them: database, broker, Caddy, egress proxy, worker and beat.
The tenant and its addresses are made for this run, and all of it is gone afterwards.
"""

import contextlib
import importlib
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import django

from benchmarks.runner import Context, Figure
from deploy.local.stack import Stack
from proxyconfig.domain.compilers.local import server_name
from proxyconfig.domain.fields import JsonValue
from proxyconfig.targets.local.admin_client import AdminClient
from tenants.errors import TransientError

SERVICES = ("postgres", "redis", "database", "caddy", "egress", "ingress", "default", "beat")
ADDRESS = "127.10.250.1"
BARE_ADDRESS = "127.10.250.2"
PORT = 18080
SERVERS = "/config/apps/http/servers"
SERVER = server_name("bench", f"http-{ADDRESS.replace('.', '-')}-{PORT}")
BARE_SERVER: JsonValue = {
    "listen": [f"{BARE_ADDRESS}:{PORT}"],
    "automatic_https": {"disable": True},
    "routes": [{"handle": [{"handler": "static_response", "status_code": 200}]}],
}
# Far beyond any goal: a run that takes so long has failed.
LIMIT_SECONDS = 60.0
LOOK_SECONDS = 0.002
TRIES = 20


class _Scene(Protocol):
    """What ``wire.tenant`` offers once Django is set up."""

    def open_address(self) -> None: ...
    def close_address(self) -> None: ...


def run(context: Context) -> list[Figure]:
    """Opening and closing an address through Sluice and by hand, and healing a change by hand."""
    rounds = 30 if context.full else 10
    with _private_stack(context) as stack:
        scene = _scene(stack)
        caddy = AdminClient(stack.env["SLUICE_CADDY_ADMIN"], name="Caddy")
        context.say(f"opening and closing an address, {rounds} rounds")
        opening, closing, bare = [], [], []
        for _ in range(rounds):
            bare.append(_bare_seconds(caddy))
            opening.append(_until(scene.open_address, (ADDRESS, PORT), answers=True))
            closing.append(_until(scene.close_address, (ADDRESS, PORT), answers=False))
        context.say("healing a change by hand")
        scene.open_address()
        _wait_for((ADDRESS, PORT), answers=True)
        healing = [_healed_seconds(caddy) for _ in range(max(3, rounds // 5))]
    return [
        Figure(
            key="change_to_answer_median",
            value=statistics.median(opening),
            goal=1.0,
            unit="s",
            better="lower",
        ),
        Figure(
            key="change_to_answer_worst", value=max(opening), goal=2.0, unit="s", better="lower"
        ),
        Figure(
            key="change_to_answer_to_bare_put",
            value=statistics.median(opening),
            # Only informs: a queue and two processes against one call grows with the load.
            baseline=statistics.median(bare),
            unit="s",
            better="lower",
        ),
        Figure(
            key="removal_to_refusal_median",
            value=statistics.median(closing),
            goal=1.0,
            unit="s",
            better="lower",
        ),
        Figure(key="drift_to_healed_worst", value=max(healing), goal=5.0, unit="s", better="lower"),
    ]


@contextlib.contextmanager
def _private_stack(context: Context) -> Iterator[Stack]:
    context.say("starting a private set of services")
    with (
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder,
        Stack(Path(folder) / "var", services=SERVICES) as stack,
    ):
        yield stack


def _scene(stack: Stack) -> _Scene:
    os.environ.update(stack.env)
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    django.setup()
    # Models can be imported only now that the settings are known.
    scene: _Scene = importlib.import_module("benchmarks.wire.tenant").make(ADDRESS, PORT)
    return scene


def _bare_seconds(caddy: AdminClient) -> float:
    """From asking Caddy for a server until it answers, with nothing of Sluice in between."""
    begun = time.perf_counter()
    _by_hand(caddy, "POST", f"{SERVERS}/bare", BARE_SERVER)
    _wait_for((BARE_ADDRESS, PORT), answers=True)
    seconds = time.perf_counter() - begun
    _by_hand(caddy, "DELETE", f"{SERVERS}/bare")
    return seconds


def _by_hand(caddy: AdminClient, method: str, path: str, body: JsonValue = None) -> None:
    """Change Caddy as a person would; again where a worker's change has just swapped its API."""
    for _ in range(TRIES):
        with contextlib.suppress(TransientError):
            reply = caddy.call(method, path, body)
            if not reply.is_ok and reply.status != 404:
                raise ConnectionError(f"Caddy refuses {method} {path}: {reply.error}")
            return
    raise ConnectionError(f"Caddy took no {method} {path} in {TRIES} tries")


def _until(change: Callable[[], None], address: tuple[str, int], *, answers: bool) -> float:
    """Seconds from the end of ``change``, when its transaction has committed."""
    change()
    return _wait_for(address, answers=answers)


def _healed_seconds(caddy: AdminClient) -> float:
    """From taking the server away by hand until the address answers again."""
    begun = time.perf_counter()
    _by_hand(caddy, "DELETE", f"{SERVERS}/{SERVER}")
    _wait_for((ADDRESS, PORT), answers=False)
    _wait_for((ADDRESS, PORT), answers=True)
    return time.perf_counter() - begun


def _wait_for(address: tuple[str, int], *, answers: bool) -> float:
    begun = time.perf_counter()
    while _accepts(address) is not answers:
        if time.perf_counter() - begun > LIMIT_SECONDS:
            raise TimeoutError(f"{address} did not change within {LIMIT_SECONDS:g} s")
        time.sleep(LOOK_SECONDS)
    return time.perf_counter() - begun


def _accepts(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(address) == 0
