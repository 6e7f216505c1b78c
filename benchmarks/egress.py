"""What the egress proxy costs: against a direct connection and against a relay that checks nothing.

The proxy, the far side, the relay and the client are processes of their own on loopback. Ways are
measured in turns, and the median of each counts, so that a busy machine disturbs all alike.
"""

import base64
import contextlib
import hashlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.runner import Context, Figure
from proxyconfig.domain.compilers.local.egress import egress_resource
from proxyconfig.domain.fields import PortRange
from proxyconfig.domain.intent import EgressPolicy, EgressRule, Grant, Intent, SnatPool
from proxyconfig.targets.local.admin_client import AdminClient

HOST = "127.0.0.1"
TENANT = "bench"
PASSWORD = "bench"  # noqa: S105 - guards a proxy that lives for this run only
SNAT_ADDRESS = "127.20.200.1"
CLIENTS = 4
BUFFER_BYTES = 1024 * 1024
MIB = 1024 * 1024
# A run must not hang where a proxy lets it wait.
TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Way:
    """How the client reaches the far side; ``proxy_port`` 0 means directly."""

    name: str
    far_port: int
    proxy_port: int = 0

    def open(self) -> socket.socket:
        """A connection to the far side."""
        client = socket.create_connection(
            (HOST, self.proxy_port or self.far_port), timeout=TIMEOUT_SECONDS
        )
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.proxy_port:
            client.sendall(_connect_request(self.far_port))
            status = _head(client).split(b" ", 2)[1]
            if status != b"200":
                raise ConnectionError(f"{self.name} answered {status.decode()}")
        return client


@dataclass(frozen=True, slots=True)
class Stage:
    """All processes of one run."""

    direct: Way
    relay: Way
    proxy: Way
    admin: AdminClient


def run(context: Context) -> list[Figure]:
    """Throughput, rate of new tunnels, rate of refusals, and how fast a revocation cuts."""
    rounds = 15 if context.full else 5
    size = (1024 if context.full else 128) * MIB
    seconds = 5.0 if context.full else 1.0
    with _stage() as stage:
        ways = (stage.direct, stage.relay, stage.proxy)
        context.say(f"throughput, {rounds} rounds of {size // MIB} MiB")
        throughput = _in_turns(ways, rounds, lambda way: _throughput(way, size))
        context.say(f"new tunnels, {rounds} rounds of {seconds} s")
        rate = _in_turns(ways, rounds, lambda way: _rate(way, seconds))
        context.say("time to the first byte")
        delay = _in_turns(ways, rounds, lambda way: _first_byte_ms(way, 100))
        context.say("revocation")
        cut = _revocation_seconds(stage, tunnels=100)
    direct, relay, proxy = (way.name for way in ways)
    return [
        Figure(
            key="throughput_to_direct",
            value=throughput[proxy],
            baseline=throughput[direct],
            goal=0.15,
            unit="MiB/s",
        ),
        Figure(
            key="throughput_to_bare_relay",
            value=throughput[proxy],
            baseline=throughput[relay],
            goal=0.7,
            unit="MiB/s",
        ),
        Figure(
            key="tunnels_to_direct",
            value=rate[proxy],
            baseline=rate[direct],
            goal=0.15,
            unit="1/s",
        ),
        Figure(
            key="tunnels_to_bare_relay",
            value=rate[proxy],
            baseline=rate[relay],
            goal=0.4,
            unit="1/s",
        ),
        Figure(
            key="first_byte_to_bare_relay",
            value=delay[proxy],
            baseline=delay[relay],
            goal=3.0,
            unit="ms",
            better="lower",
        ),
        Figure(key="revocation_of_100_tunnels", value=cut, goal=1.0, unit="s", better="lower"),
    ]


def _in_turns(
    ways: Sequence[Way], rounds: int, measure: Callable[[Way], float]
) -> dict[str, float]:
    """Median by the way's name; every round measures each way once."""
    for way in ways:
        measure(way)  # Warm: sockets, code and memory as they will be.
    taken: dict[str, list[float]] = {way.name: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            taken[way.name].append(measure(way))
    return {name: statistics.median(values) for name, values in taken.items()}


def _throughput(way: Way, size: int) -> float:
    """MiB per second of one download of ``size`` bytes, connecting not counted."""
    buffer = bytearray(BUFFER_BYTES)
    with contextlib.closing(way.open()) as client:
        begun = time.perf_counter()
        client.sendall(f"down {size}\n".encode())
        received = 0
        while count := client.recv_into(buffer):
            received += count
        seconds = time.perf_counter() - begun
    if received != size:
        raise ConnectionError(f"{way.name} carried {received} of {size} bytes")
    return size / MIB / seconds


def _rate(way: Way, seconds: float) -> float:
    """Connections per second, each with one question and its answer, by several clients at once."""
    end = time.perf_counter() + seconds

    def client() -> int:
        done = 0
        while time.perf_counter() < end:
            _echo(way)
            done += 1
        return done

    with ThreadPoolExecutor(CLIENTS) as pool:
        total = sum(pool.map(lambda _: client(), range(CLIENTS)))
    return total / seconds


def _first_byte_ms(way: Way, count: int) -> float:
    """Median milliseconds from nothing to the answer's first byte, one client."""
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        _echo(way)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1000


def _echo(way: Way) -> None:
    with contextlib.closing(way.open()) as client:
        client.sendall(b"echo\n")
        if client.recv(16) != b"ok\n":
            raise ConnectionError(f"{way.name} lost an answer")


def _revocation_seconds(stage: Stage, *, tunnels: int) -> float:
    """From taking the rules away to the end of the last open tunnel."""
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(contextlib.closing(stage.proxy.open())) for _ in range(tunnels)
        ]
        for client in clients:
            client.sendall(b"hold\n")
            client.recv(16)
        ended = threading.Barrier(tunnels + 1)

        def wait(client: socket.socket) -> None:
            with contextlib.suppress(ConnectionError):
                client.recv(1)
            ended.wait(TIMEOUT_SECONDS)

        for client in clients:
            threading.Thread(target=wait, args=(client,), daemon=True).start()
        begun = time.perf_counter()
        _tell(stage.admin, Intent(tenant=TENANT))
        ended.wait(TIMEOUT_SECONDS)
        return time.perf_counter() - begun


@contextlib.contextmanager
def _stage() -> Iterator[Stage]:
    """Far side, bare relay and the product's proxy, the proxy filled with one granted rule."""
    with (
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder,
        contextlib.ExitStack() as stack,
    ):
        socket_path = str(Path(folder) / "admin.sock")
        far_port = stack.enter_context(_process("benchmarks.wire.far", "far"))
        relay_port = stack.enter_context(_process("benchmarks.wire.far", "relay", str(far_port)))
        proxy_port = stack.enter_context(_process("benchmarks.wire.egress", socket_path))
        admin = AdminClient(socket_path, name="The egress proxy")
        _tell(admin, _intent(far_port))
        yield Stage(
            direct=Way("direct", far_port),
            relay=Way("bare relay", far_port, relay_port),
            proxy=Way("egress proxy", far_port, proxy_port),
            admin=admin,
        )


def _intent(port: int) -> Intent:
    rule = EgressRule(
        order=1, cidr=f"{HOST}/32", ports=(PortRange.single(port),), granted=Grant(by=TENANT)
    )
    pool = SnatPool(name="pool", cluster="bench", addresses=(SNAT_ADDRESS,))
    policy = EgressPolicy(name="bench", rules=(rule,))
    return Intent(tenant=TENANT, snat_pools=(pool,), egress_policies=(policy,))


def _tell(admin: AdminClient, intent: Intent) -> None:
    hashed = hashlib.sha256(PASSWORD.encode()).hexdigest()
    reply = admin.call(
        "PUT", f"/tenants/{TENANT}", egress_resource(intent, credential_sha256=hashed).body
    )
    if not reply.is_ok:
        raise ConnectionError(f"The egress proxy took no rules: {reply.error}")


@contextlib.contextmanager
def _process(module: str, *arguments: str) -> Iterator[int]:
    """The port of a process that prints it when it listens."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def _connect_request(port: int) -> bytes:
    login = base64.b64encode(f"{TENANT}:{PASSWORD}".encode()).decode()
    return (
        f"CONNECT {HOST}:{port} HTTP/1.1\r\nHost: {HOST}:{port}\r\n"
        f"Proxy-Authorization: Basic {login}\r\n\r\n"
    ).encode()


def _head(client: socket.socket) -> bytes:
    """The proxy's answer up to its empty line; the far side says nothing before it is asked."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = client.recv(4096)
        if not piece:
            raise ConnectionError("the proxy closed the connection")
        head += piece
    return head
