"""A small HTTP server that binds to loopback only and remembers who asked for what.

The base of both stand-ins: a stand-in is a function from ``Request`` to ``Reply``. Standard library
only, so that it starts in a tenth of a second and runs without Django.
"""

import argparse
import contextlib
import ipaddress
import json
import signal
import socketserver
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TextIO
from urllib.parse import parse_qs, urlsplit

REMEMBERED = 1000
# A client that says nothing for this long is let go; long enough for a loaded machine.
IDLE_SECONDS = 60.0
DRIP_SECONDS = 0.2
LARGEST_DRIP_SECONDS = 600.0
LARGEST_BODY_BYTES = 1024 * 1024


class AddressError(ValueError):
    """The address is not one that a stand-in may listen on, or it is taken."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked for.

    Attributes:
        path: Without the query, percent-encoded as sent.
        query: First value of each parameter, from the query or from a posted form.
        body: As posted.
        headers: Names in lower case.
    """

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What it gets; ``pieces`` are sent as they come instead of a body, and end the connection."""

    status: int
    body: bytes
    content_type: str = "text/html; charset=utf-8"
    pieces: Iterable[bytes] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as this side saw it.

    Attributes:
        id: Counts from 1 in each process.
        peer: The client's address, which is the tenant's SNAT address behind the egress proxy.
        headers: Names in lower case.
    """

    id: int
    time: str
    peer: str
    method: str
    path: str
    query: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)


Answer = Callable[[Request], Reply]


def as_json(value: object, *, status: int = 200) -> Reply:
    """A JSON reply."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return Reply(status, body, "application/json; charset=utf-8")


def loopback(address: str) -> tuple[str, int]:
    """``host`` and ``port`` of ``127.30.0.10:8081``.

    Raises:
        AddressError: It is not an IP literal with a port, or not a loopback address.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise AddressError(
            f"{address!r} is not an IP address and a port, as 127.0.0.1:8081."
        ) from None
    if not port.isdigit() or int(port) > 65535:
        raise AddressError(f"{address!r} has no port between 0 and 65535.")
    if not is_loopback:
        raise AddressError(f"{host} is not a loopback address; stand-ins listen on loopback only.")
    return host, int(port)


class WireServer(ThreadingHTTPServer):
    """Serves ``answer`` on a loopback address; port 0 takes a free one.

    Raises:
        AddressError: The address is not loopback, or something else listens there.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: str, answer: Answer, *, name: str, log: Sequence[TextIO] = ()
    ) -> None:
        self.answer = answer
        self.name = name
        self.stopping = threading.Event()
        self._log = tuple(log)
        self._seen: deque[Seen] = deque(maxlen=REMEMBERED)
        self._count = 0
        self._lock = threading.Lock()
        where = loopback(address)
        try:
            super().__init__(where, _Handler)
        except OSError as error:
            raise AddressError(f"{name} cannot listen on {address}: {error.strerror}.") from error

    def server_bind(self) -> None:
        """Bind without the name look-up of ``HTTPServer``, which may hang where there is no DNS."""
        socketserver.TCPServer.server_bind(self)
        self.server_name = str(self.server_address[0])
        self.server_port = self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that went away; anything else is a defect and is shown."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        """``http://host:port``, without a slash at its end."""
        return f"http://{self.server_name}:{self.server_port}"

    def remember(self, handler: "_Handler", parts: tuple[str, str], status: int) -> None:
        """Keep and log one request."""
        with self._lock:
            self._count += 1
            seen = Seen(
                id=self._count,
                time=datetime.now(UTC).isoformat(timespec="milliseconds"),
                peer=handler.client_address[0],
                method=handler.command,
                path=parts[0],
                query=parts[1],
                status=status,
                headers=handler.named(),
            )
            self._seen.append(seen)
            line = json.dumps({"server": self.name, **asdict(seen)})
            for stream in self._log:
                stream.write(f"{line}\n")
                stream.flush()

    def seen(self, *, after: int = 0) -> list[Seen]:
        """The latest requests after id ``after``, oldest first; ``/_seen`` is not counted."""
        with self._lock:
            return [seen for seen in self._seen if seen.id > after]

    def stop(self) -> None:
        """End running drips and stop serving."""
        self.stopping.set()
        self.shutdown()


class _Handler(BaseHTTPRequestHandler):
    """Reads a request, has it answered, and writes the reply."""

    server: WireServer
    protocol_version = "HTTP/1.1"
    server_version = "SluiceWire"
    sys_version = ""
    timeout = IDLE_SECONDS
    # Head and body are two writes: with Nagle's algorithm the second waits 40 ms for the client.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a GET or a HEAD."""
        parts = urlsplit(self.path)
        if parts.path == "/_seen":
            self._send(self._recent(parts.query))
            return
        if parts.path == "/_drip":
            self._drip(parts.query)
            return
        query = _first_values(parts.query)
        self._finish(Request(self.command, parts.path, query, b"", self.named()), parts.query)

    do_HEAD = do_GET  # noqa: N815 - the name is http.server's

    def do_POST(self) -> None:
        """Answer a posted form."""
        parts = urlsplit(self.path)
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > LARGEST_BODY_BYTES:
            self.close_connection = True
            self._send(Reply(413, b"Too large\n", "text/plain; charset=utf-8"))
            return
        body = self.rfile.read(int(length))
        query = _first_values(parts.query)
        if "json" not in self.headers.get("Content-Type", ""):
            query |= _first_values(body.decode(errors="replace"))
        self._finish(Request(self.command, parts.path, query, body, self.named()), parts.query)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: ``WireServer.remember`` writes the log."""

    def named(self) -> dict[str, str]:
        """The header fields by their names in lower case."""
        return {name.lower(): value for name, value in self.headers.items()}

    def _finish(self, request: Request, query: str) -> None:
        reply = self.server.answer(request)
        self.server.remember(self, (request.path, query), reply.status)
        self._send(reply)

    def _recent(self, query: str) -> Reply:
        after = _first_values(query).get("after", "0")
        seen = self.server.seen(after=int(after) if after.isdigit() else 0)
        return as_json({"server": self.server.name, "requests": [asdict(entry) for entry in seen]})

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.pieces is not None:
            self._send_pieces(reply.pieces)
            return
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def _send_pieces(self, pieces: Iterable[bytes]) -> None:
        """Each piece at once; a client that went away ends them."""
        self.close_connection = True
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                self.wfile.write(piece)

    def _drip(self, query: str) -> None:
        """A line every 0.2 s for ``?seconds=``; ``/_drip/cut`` is remembered once it is cut."""
        wanted = _first_values(query).get("seconds", "60")
        seconds = min(float(wanted) if wanted.isdigit() else 60.0, LARGEST_DRIP_SECONDS)
        self.server.remember(self, ("/_drip", query), 200)
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(int(seconds / DRIP_SECONDS)):
            try:
                self.wfile.write(f"drip {number}\n".encode())
            except OSError:
                self.server.remember(self, ("/_drip/cut", query), 499)
                return
            if self.server.stopping.wait(DRIP_SECONDS):
                return


def _first_values(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}


@contextlib.contextmanager
def serving(server: WireServer) -> Iterator[WireServer]:
    """Serve in a thread while the block runs."""
    thread = threading.Thread(
        target=server.serve_forever, args=(0.05,), name=server.name, daemon=True
    )
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        server.server_close()
        thread.join()


def arguments(description: str) -> argparse.ArgumentParser:
    """The parser with what every stand-in takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--log", type=Path, help="append one JSON line for each request to this file"
    )
    return parser


def run(build: Callable[[Sequence[TextIO]], Sequence[WireServer]], *, log: Path | None) -> int:
    """Serve what ``build`` makes until SIGINT or SIGTERM; the exit status."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with contextlib.ExitStack() as stack:
        streams = [sys.stdout]
        if log is not None:
            streams.append(stack.enter_context(log.open("a", encoding="utf-8")))
        try:
            servers = build(streams)
        except AddressError as error:
            sys.stderr.write(f"{error}\n")
            return 2
        for server in servers:
            stack.enter_context(serving(server))
            line = json.dumps({"server": server.name, "event": "listening", "url": server.url})
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        stop.wait()
    return 0
