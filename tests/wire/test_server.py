"""The base of the stand-ins: loopback only, memory of requests, drips, and stopping by signal."""

import io
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.wire import server

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT_SECONDS = 60.0


def echo(request: server.Request) -> server.Reply:
    return server.as_json({"path": request.path, "query": dict(request.query)})


@pytest.fixture
def wire():
    with server.serving(server.WireServer("127.0.0.1:0", echo, name="echo")) as running:
        yield running


@pytest.mark.parametrize("address", ["0.0.0.0:0", "192.0.2.1:80", "[::]:80"])
def test_an_address_beyond_loopback_is_refused(address):
    with pytest.raises(server.AddressError, match="loopback only"):
        server.WireServer(address, echo, name="echo")


@pytest.mark.parametrize("address", ["localhost:80", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(server.AddressError, match=r"127\.0\.0\.1|port"):
        server.WireServer(address, echo, name="echo")


def test_a_taken_address_is_named(wire):
    with pytest.raises(server.AddressError, match="cannot listen on"):
        server.WireServer(f"127.0.0.1:{wire.server_port}", echo, name="echo")


def test_seen_tells_the_address_that_the_client_came_from(wire):
    transport = httpx2.HTTPTransport(local_address="127.20.1.1")
    with httpx2.Client(transport=transport, timeout=LIMIT_SECONDS) as client:
        client.get(f"{wire.url}/page?q=1", headers={"X-Proof": "yes"})
        seen = client.get(f"{wire.url}/_seen").json()["requests"]

    assert [(entry["id"], entry["peer"], entry["path"], entry["query"]) for entry in seen] == [
        (1, "127.20.1.1", "/page", "q=1")
    ]
    assert seen[0]["headers"]["x-proof"] == "yes"


def test_seen_gives_only_what_came_after(wire):
    with httpx2.Client(base_url=wire.url, timeout=LIMIT_SECONDS) as client:
        client.get("/first")
        client.get("/second")
        later = client.get("/_seen?after=1").json()["requests"]

    assert [entry["path"] for entry in later] == ["/second"]


def test_each_request_is_one_line_of_json_in_the_log():
    log = io.StringIO()
    with server.serving(server.WireServer("127.0.0.1:0", echo, name="echo", log=[log])) as wire:
        httpx2.get(f"{wire.url}/a", timeout=LIMIT_SECONDS)
        httpx2.get(f"{wire.url}/b", timeout=LIMIT_SECONDS)

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["server"], line["path"], line["status"]) for line in lines] == [
        ("echo", "/a", 200),
        ("echo", "/b", 200),
    ]


def test_a_posted_form_counts_as_parameters(wire):
    reply = httpx2.post(f"{wire.url}/search", data={"q": "snat"}, timeout=LIMIT_SECONDS)

    assert reply.json() == {"path": "/search", "query": {"q": "snat"}}


def test_a_body_that_is_too_large_is_refused_unread(wire):
    request = f"POST / HTTP/1.1\r\nContent-Length: {server.LARGEST_BODY_BYTES + 1}\r\n\r\n"
    with socket.create_connection(wire.server_address, timeout=LIMIT_SECONDS) as client:
        client.sendall(request.encode())
        reply = client.makefile("rb").readline()

    assert reply == b"HTTP/1.1 413 Request Entity Too Large\r\n"


def test_a_head_request_has_headers_and_no_body(wire):
    reply = httpx2.head(f"{wire.url}/a", timeout=LIMIT_SECONDS)

    assert reply.status_code == 200
    assert int(reply.headers["Content-Length"]) > 0
    assert reply.content == b""


def test_a_drip_goes_on_until_the_server_stops(wire):
    with httpx2.stream("GET", f"{wire.url}/_drip?seconds=300", timeout=LIMIT_SECONDS) as reply:
        lines = reply.iter_lines()
        first = next(lines)
        second = next(lines)
        wire.stopping.set()
        rest = list(lines)

    assert [first, second] == ["drip 0", "drip 1"]
    assert len(rest) < 10


def test_the_process_ends_cleanly_on_sigterm():
    command = [
        sys.executable,
        "-m",
        "tests.wire",
        "--search",
        "127.0.0.1:0",
        "--docs",
        "127.0.0.1:0",
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        started = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        process.wait(LIMIT_SECONDS)

    assert [line["event"] for line in started] == ["listening", "listening"]
    assert process.returncode == 0


def test_the_process_says_in_one_sentence_what_is_wrong():
    command = [
        sys.executable,
        "-m",
        "tests.wire.docsite",
        "--address",
        "0.0.0.0:80",
        "--root",
        "docs",
    ]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert ended.stderr == "0.0.0.0 is not a loopback address; stand-ins listen on loopback only.\n"


def test_the_stand_ins_run_without_django():
    code = (
        "import sys, tests.wire.search, tests.wire.docsite;"
        "print([m for m in ('django', 'celery', 'torch') if m in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert ended.stdout == "[]\n"
