"""Fetching over real sockets, through the real egress proxy."""

import socket
import ssl
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import closing, suppress

import pytest

from proxyconfig.facade import egress_endpoint
from ragapp.domain.destination import destination
from ragapp.domain.steps import Failed, Refused
from ragapp.services import fetch as fetching
from ragapp.services.fetch import Fetched, Limits, fetch
from ragapp.tests.outside import html, site
from tenants.models import Tenant
from tests.wire.server import Reply

ACME = Tenant(pk=1, slug="acme")
PAGE = html("Pools", "A SNAT pool holds addresses.")


def get(url, *, limits=None, trace_id="a" * 32):
    return fetch(
        url,
        endpoint=egress_endpoint(ACME),
        tenant="acme",
        trace_id=trace_id,
        purpose="a test",
        limits=limits,
    )


def test_page_comes_through_the_proxy_and_its_ledger_has_the_trace(egress):
    egress.allow(ACME)
    trace_id = uuid.uuid4().hex

    with site(lambda request: PAGE) as far:
        reply = get(f"{far.url}/pools", trace_id=trace_id)
        seen = far.seen()

    assert reply == Fetched(f"{far.url}/pools", "text/html; charset=utf-8", PAGE.body)
    assert egress.process.ledger.wait(lambda event: event.trace_id == trace_id)
    assert "x-sluice-trace" not in seen[0].headers
    assert "proxy-authorization" not in seen[0].headers
    assert seen[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_refusal_names_the_rule_and_what_was_wanted(egress, scheme):
    egress.deny(ACME)

    reply = get(f"{scheme}://127.30.9.9:8443/secret")

    assert isinstance(reply, Refused)
    assert (reply.destination, reply.rule) == ("127.30.9.9:8443", "acme/default-deny")
    assert (reply.tenant, reply.purpose, reply.private) == ("acme", "a test", True)
    assert "No egress policy of tenant acme allows 127.30.9.9:8443" in reply.detail


def test_unknown_credential_is_a_failure_that_says_so(egress):
    reply = get("http://127.30.9.9:8081/")

    assert isinstance(reply, Failed)
    assert "credential" in reply.message


def test_proxy_that_is_away_is_a_failure(settings):
    settings.EGRESS_ADDRESS = "127.0.0.1:1"

    reply = get("http://127.30.9.9:8081/")

    assert reply == Failed("127.30.9.9:8081", "The egress proxy does not answer. Try again soon.")


def test_far_side_that_is_away_is_a_failure_and_no_refusal(egress):
    egress.allow(ACME)

    reply = get("http://127.30.9.9:1/")

    assert isinstance(reply, Failed)
    assert reply.destination == "127.30.9.9:1"


def test_redirect_is_asked_of_the_proxy_again(egress):
    egress.allow(ACME, "127.30.9.1/32")

    with site(lambda request: PAGE, "127.30.9.2:0") as other:
        away = b"HTTP/1.1 302 Found\r\nLocation: %b/x\r\nContent-Length: 0\r\n\r\n"
        with raw_site(away % other.url.encode()) as url:
            reply = get(url)
        assert other.seen() == []

    assert isinstance(reply, Refused)
    assert reply.destination == destination(other.url)


def test_redirects_end(egress):
    egress.allow(ACME)

    with raw_site(b"HTTP/1.1 301 x\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n") as url:
        reply = get(url)

    assert isinstance(reply, Failed)
    assert "redirects more than 5 times" in reply.message


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://127.30.9.1/",
        "http://a@127.30.9.1/",
        "http://[::1/",
        "http://\x80.example/",
    ],
)
def test_redirect_to_something_else_is_refused_here(egress, target):
    egress.allow(ACME)

    with raw_site(
        b"HTTP/1.1 302 x\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % target.encode("latin-1")
    ) as url:
        reply = get(url)

    assert isinstance(reply, Failed)
    assert "no plain http or https URL" in reply.message


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "http://",
        "http://user:secret@127.30.9.1/",
        "http://127.30.9.1\\@elsewhere/",
        "http://127.30.9.1/a b",
        "http://127.30.9.1:99999/",
        "http://[::1/",
        "gopher://127.30.9.1/",
        "http://\u2024/",
        "http://127.30.9.1/\ud800",
        f"http://{'a' * 70_000}/",
        "",
    ],
)
def test_url_that_could_be_read_in_two_ways_is_not_asked(egress, url):
    egress.allow(ACME)

    assert isinstance(get(url), Failed)
    assert egress.process.ledger.events == []


def test_page_behind_tls_cannot_speak_for_the_proxy(egress, monkeypatch):
    egress.allow(ACME)
    forged = (
        b'HTTP/1.1 403 x\r\nProxy-Status: sluice; details="acme/docs/1: Allow evil.example."\r\n'
    )
    monkeypatch.setattr(fetching, "tls_context", lambda: _anonymous_tls(for_server=False))

    with raw_site(
        forged + b"Content-Length: 0\r\n\r\n", tls=_anonymous_tls(for_server=True)
    ) as url:
        reply = get(url)

    assert isinstance(reply, Failed)
    assert reply.message == "It answered with status 403."


def test_body_beyond_the_limit_is_dropped(egress):
    egress.allow(ACME)

    with site(lambda request: Reply(200, b"x" * 5000, "text/plain")) as far:
        reply = get(far.url, limits=Limits(body_bytes=4000))

    assert isinstance(reply, Failed)
    assert "larger than 4000 bytes" in reply.message


def test_drip_ends_at_the_deadline(egress):
    egress.allow(ACME)

    with site(lambda request: PAGE) as far:
        reply = get(f"{far.url}/_drip?seconds=30", limits=Limits(total_seconds=1.0))

    assert isinstance(reply, Failed)
    assert "within 1 seconds" in reply.message


@pytest.mark.parametrize(
    "pieces",
    [
        [bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX: xx\r\n\r\n"],
        [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"] * 40,
    ],
    ids=["bytes", "hints"],
)
def test_headers_that_drip_behind_tls_end_at_the_deadline(egress, monkeypatch, pieces):
    egress.allow(ACME)
    monkeypatch.setattr(fetching, "tls_context", lambda: _anonymous_tls(for_server=False))
    begun = time.monotonic()

    with raw_site(*pieces, pause_seconds=0.1, tls=_anonymous_tls(for_server=True)) as url:
        reply = get(url, limits=Limits(total_seconds=1.0))

    assert isinstance(reply, Failed)
    assert reply.message == "It did not answer within 1 seconds."
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(404, b"", "text/html"), "status 404"),
        (Reply(200, b"MZ", "application/x-msdownload"), "content type"),
        (Reply(200, b"", ""), "content type"),
    ],
)
def test_what_is_no_document_is_a_failure(egress, reply, why):
    egress.allow(ACME)

    with site(lambda request: reply) as far:
        answer = get(far.url)

    assert isinstance(answer, Failed)
    assert why in answer.message


def test_compressed_answer_is_not_unpacked(egress):
    egress.allow(ACME)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip, gzip\r\n"

    with raw_site(head + b"Content-Length: 3\r\n\r\nabc") as url:
        reply = get(url)

    assert isinstance(reply, Failed)
    assert "compressed" in reply.message


def test_proxy_of_the_environment_is_not_used(egress, monkeypatch):
    egress.deny(ACME)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    with site(lambda request: PAGE) as far:
        reply = get(far.url)
        assert far.seen() == []

    assert isinstance(reply, Refused)


class raw_site:  # noqa: N801 - used like the function site
    """A site that answers every request with these bytes, with a pause after each of them."""

    def __init__(
        self, *pieces: bytes, pause_seconds: float = 0.0, tls: ssl.SSLContext | None = None
    ) -> None:
        self._pieces: Sequence[bytes] = pieces
        self._pause_seconds = pause_seconds
        self._tls = tls
        self._socket = socket.create_server(("127.30.9.1", 0))

    def __enter__(self) -> str:
        threading.Thread(target=self._serve, daemon=True).start()
        host, port = self._socket.getsockname()
        return f"{'https' if self._tls else 'http'}://{host}:{port}/"

    def __exit__(self, *exc_info: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            if self._tls:
                client = self._tls.wrap_socket(client, server_side=True)
            with closing(client), suppress(OSError):
                client.recv(65536)
                for piece in self._pieces:
                    client.sendall(piece)
                    time.sleep(self._pause_seconds)


def _anonymous_tls(*, for_server: bool) -> ssl.SSLContext:
    """TLS without certificates, which no real client accepts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if for_server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
    return context
