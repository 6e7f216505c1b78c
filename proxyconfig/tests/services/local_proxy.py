"""The real local proxy under the reconcile service: Caddy, the egress proxy, and a backend."""

import http.client
import json
import socketserver
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from proxyconfig.domain.inventory import Inventory
from proxyconfig.domain.plan import Plan, PlanEntry
from proxyconfig.domain.resources import Resource
from proxyconfig.domain.target import Footprint, Outcome, Probe
from proxyconfig.targets.local import LocalTarget
from proxyconfig.tests.targets.local_processes import (
    PATIENCE_SECONDS,
    CaddyProcess,
    EgressProcess,
)

SERVERS = "/config/apps/http/servers"


class Backend(socketserver.ThreadingUnixStreamServer):
    """What answers behind Caddy: it says which headers came."""

    daemon_threads = True

    def __init__(self, path: str) -> None:
        super().__init__(path, _Headers)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Headers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *args: object) -> None:
        """Quiet."""


@dataclass(frozen=True)
class LocalProxy:
    """Both halves, with the ways in which somebody's hand could change them."""

    caddy: CaddyProcess
    egress: EgressProcess

    def servers(self) -> dict[str, object]:
        """Caddy's servers now."""
        reply = self.caddy.admin.call("GET", SERVERS)
        return (reply.body or {}) if reply.is_ok else {}

    @property
    def is_emptied(self) -> bool:
        """True when Caddy has no configuration at all."""
        return not self.caddy.admin.call("GET", "/config/").body

    def tenants(self) -> list[str]:
        """Whom the egress proxy knows."""
        return sorted(self.egress.admin.call("GET", "/tenants").body["tenants"])

    def change_by_hand(self, method: str, path: str, body: object = None) -> None:
        """As somebody with a shell on the machine would."""
        client = self.egress.admin if path.startswith("/tenants") else self.caddy.admin
        reply = client.call(method, path, body)
        assert reply.is_ok, reply


def get(address: str, port: int = 8080) -> dict[str, object] | int:
    """The backend's answer, or the status of another; 0 when nobody listens."""
    client = http.client.HTTPConnection(address, port, timeout=PATIENCE_SECONDS)
    try:
        client.request("GET", "/")
        answer = client.getresponse()
        content = answer.read()
    except ConnectionRefusedError:
        return 0
    finally:
        client.close()
    return json.loads(content) if answer.status == 200 else answer.status


class InterruptedTarget:
    """The local target, with a hook before each call: where a worker can die, or time can pass."""

    cadence = LocalTarget.cadence

    def __init__(self, target: LocalTarget) -> None:
        self._target = target
        self.calls: list[str] = []
        self.before: Callable[[int, str], None] = lambda number, name: None

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.before(len(self.calls), name)

    def upkeep(self) -> tuple[str, ...]:
        self._call("upkeep")
        return self._target.upkeep()

    def plan(self, desired: Sequence[Resource], footprint: Footprint, inventory: Inventory) -> Plan:
        self._call("plan")
        return self._target.plan(desired, footprint, inventory)

    def observe(self, footprint: Footprint) -> tuple[Resource, ...]:
        return self._target.observe(footprint)

    def apply(self, footprint: Footprint, entries: Sequence[PlanEntry]) -> tuple[Outcome, ...]:
        self._call("apply")
        return self._target.apply(footprint, entries)

    def probe(self, resources: Sequence[Resource]) -> tuple[Probe, ...]:
        self._call("probe")
        return self._target.probe(resources)
