"""The egress proxy over real sockets: what passes, what does not, and what is reported."""

import ipaddress
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from proxyconfig.domain.connections import ConnectionStage
from proxyconfig.targets.local.egress_proxy import Limits
from proxyconfig.tests.targets.local_processes import (
    Client,
    EgressProcess,
    password_of,
    rule,
)
from tenants.domain.states import Direction, Verdict

LOOPBACK = rule(networks=["127.0.0.1/32"], snat=["127.20.1.1"])
GLOBEX = rule(tenant="globex", networks=["127.0.0.1/32"], snat=["127.20.2.1"])
TRACE = "0123456789abcdef0123456789abcdef"


def test_allowed_tunnel_leaves_from_the_tenants_snat_address(egress, echo):
    egress.put("acme", LOOPBACK)

    client = egress.connect(echo.authority, x_sluice_trace=TRACE)
    assert client.status == 200
    assert client.echoes(b"hello")
    client.close()

    assert echo.peers == ["127.20.1.1"]
    closed = egress.ledger.wait_for_stage(ConnectionStage.CLOSED)
    opened = egress.ledger.wait_for_stage(ConnectionStage.OPENED)
    assert opened.proxy_id == closed.proxy_id
    assert opened.closed_at is None
    assert closed.closed_at >= closed.opened_at
    assert (closed.tenant, closed.trace_id, closed.direction) == ("acme", TRACE, Direction.OUT)
    assert (closed.source_address, closed.snat_address) == ("127.0.0.1", "127.20.1.1")
    assert (closed.destination_host, closed.destination_port) == ("127.0.0.1", echo.port)
    assert closed.destination_address == "127.0.0.1"
    assert (closed.verdict, closed.rule_id) == (Verdict.ALLOWED, "acme/web/1")
    assert (closed.bytes_sent, closed.bytes_received) == (5, len(b"hello" + b"goodbye"))
    assert closed.detail == "CONNECT"


def test_denied_by_default_in_words_and_for_machines(egress, echo):
    egress.put("acme")

    client = egress.connect(echo.authority, x_sluice_trace=TRACE)

    message = (
        f"No egress policy of tenant acme allows {echo.authority}. "
        f"NetOps can add one under Policies."
    )
    assert (client.status, client.reason) == (403, "Forbidden by acme/default-deny")
    assert client.headers["proxy-status"] == (
        f'sluice; error=http_request_denied; details="acme/default-deny: {message}"'
    )
    assert client.json() == {
        "verdict": "Denied",
        "rule": "acme/default-deny",
        "destination": echo.authority,
        "trace": TRACE,
        "message": message,
    }
    client.close()
    denied = egress.ledger.wait_for_stage(ConnectionStage.DENIED)
    assert (denied.verdict, denied.rule_id, denied.trace_id) == (
        Verdict.DENIED,
        "acme/default-deny",
        TRACE,
    )
    assert denied.message == message
    assert echo.peers == []


def test_each_credential_is_bound_to_its_own_policy(egress, echo):
    egress.put("acme", LOOPBACK)
    egress.put("globex")

    mine = egress.connect(echo.authority, "acme")
    theirs = egress.connect(echo.authority, "globex")

    assert mine.status == 200
    assert (theirs.status, theirs.json()["rule"]) == (403, "globex/default-deny")


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "Proxy-Authorization: Basic !!!",
        "Proxy-Authorization: Basic YWNtZTp3cm9uZw==",  # acme:wrong
        "Proxy-Authorization: Basic bm9ib2R5OndvcmQ=",  # nobody:word
        "Proxy-Authorization: Bearer abc",
    ],
)
def test_without_a_known_credential_nothing_is_served(egress, echo, caplog, credential):
    caplog.set_level(logging.DEBUG)
    egress.put("acme", LOOPBACK)
    client = egress.client()

    client.sock.sendall(
        f"CONNECT {echo.authority} HTTP/1.1\r\n{credential or 'A: b'}\r\n\r\n".encode()
    )
    client.read_head()

    assert client.status == 407
    assert client.headers["proxy-authenticate"] == 'Basic realm="sluice"'
    client.close()
    assert echo.peers == []
    assert "YWNtZTp3cm9uZw" not in caplog.text


def test_credentials_never_reach_the_log_or_the_ledger(egress, web, caplog):
    caplog.set_level(logging.DEBUG)
    egress.put("acme", LOOPBACK)

    client = _get(egress, f"http://{web.authority}/secret?key=k123")
    client.close()
    egress.ledger.wait_for_stage(ConnectionStage.CLOSED)

    reported = repr(egress.ledger.events)
    for secret in (password_of("acme"), "k123", "Basic"):
        assert secret not in caplog.text
        assert secret not in reported


def test_plain_http_is_forwarded_in_origin_form_without_what_is_ours(egress, web):
    egress.put("acme", LOOPBACK)

    client = _get(
        egress,
        f"http://{web.authority}/a/b?c=d",
        Host="spoofed.example",
        X_Sluice_Trace=TRACE,
        X_Sluice_Tenant="globex",
        Connection="close, x-hop",
        X_Hop="1",
        Accept="text/html",
    )

    asked = client.json()
    assert client.status == 200
    assert client.headers["connection"] == "close"
    assert (asked["method"], asked["path"], asked["peer"]) == ("GET", "/a/b?c=d", "127.20.1.1")
    assert asked["headers"] == {
        "host": web.authority,
        "accept": "text/html",
        "connection": "close",
    }
    client.close()
    closed = egress.ledger.wait_for_stage(ConnectionStage.CLOSED)
    assert (closed.detail, closed.trace_id) == ("GET /a/b", TRACE)
    assert closed.bytes_received > 0


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content_Length": "5"}, b"hello"),
        ({"Transfer_Encoding": "chunked"}, b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nTrailer: x\r\n\r\n"),
    ],
)
def test_only_the_declared_body_goes_up(egress, web, headers, body):
    egress.put("acme", LOOPBACK)
    second = f"GET http://{web.authority}/smuggled HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    client = egress.client()

    client.send_head(
        f"POST http://{web.authority}/ HTTP/1.1", "acme", body=body + second, **headers
    )
    client.read_head()

    assert client.json()["body"] == "hello"
    client.close()
    egress.ledger.wait_for_stage(ConnectionStage.CLOSED)
    assert [asked["path"] for asked in web.asked] == ["/"]


@pytest.mark.parametrize(
    ("first", "headers", "status"),
    [
        ("GET / HTTP/1.1", {}, 400),
        ("GET https://example.org/ HTTP/1.1", {}, 400),
        ("GET http://u:p@example.org/ HTTP/1.1", {}, 400),
        ("GET http://example.org/ HTTP/2.0", {}, 400),
        ("NONSENSE", {}, 400),
        (
            "POST http://example.org/ HTTP/1.1",
            {"Content_Length": "1", "Transfer_Encoding": "chunked"},
            400,
        ),
        ("POST http://example.org/ HTTP/1.1", {"Content_Length": "-1"}, 400),
        ("POST http://example.org/ HTTP/1.1", {"Transfer_Encoding": "gzip, chunked"}, 400),
        ("CONNECT example.org:443 HTTP/1.1", {"Bad Name": "x"}, 400),
        ("CONNECT example.org:443 HTTP/1.1", {"Padding": "x" * 20_000}, 431),
        ("CONNECT 0x7f.1:443 HTTP/1.1", {}, 403),
        ("CONNECT example.org HTTP/1.1", {}, 403),
        ("GET http://2130706433/ HTTP/1.1", {}, 403),
    ],
)
def test_what_can_be_read_twice_is_refused(egress, first, headers, status):
    egress.put("acme", rule(host="example.org"))
    client = egress.client()

    client.send_head(first, "acme", **headers)
    client.read_head()

    assert client.status == status


def test_a_refused_destination_is_on_record(egress):
    egress.put("acme", rule(host="example.org"))

    egress.connect("0x7f.1:443").close()

    denied = egress.ledger.wait_for_stage(ConnectionStage.DENIED)
    assert denied.destination_host == "0x7f.1:443"
    assert "not a plain host name" in denied.message


def test_revoking_cuts_what_is_open_and_leaves_the_others(egress, echo):
    egress.put("acme", LOOPBACK)
    egress.put("globex", GLOBEX)
    mine, theirs = egress.connect(echo.authority), egress.connect(echo.authority, "globex")
    assert mine.echoes(b"a")
    assert theirs.echoes(b"b")

    egress.put("acme")

    assert mine.is_cut()
    assert theirs.echoes(b"still here")
    assert egress.connect(echo.authority).json()["rule"] == "acme/default-deny"
    closed = egress.ledger.wait_for_stage(ConnectionStage.CLOSED)
    assert closed.tenant == "acme"
    assert closed.message == "Cut: no longer allowed, now decided by acme/default-deny."


def test_a_change_that_still_allows_a_tunnel_leaves_it_open(egress, echo):
    egress.put("acme", LOOPBACK)
    client = egress.connect(echo.authority)

    egress.put("acme", rule(7, host="example.org"), LOOPBACK)

    assert client.echoes(b"still here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda egress: egress.put("acme", LOOPBACK | {"snat": ["127.20.1.2"]}),
            "Cut: its SNAT address changed.",
        ),
        (
            lambda egress: egress.put("acme", LOOPBACK | {"snat": []}),
            "Cut: its SNAT address was taken away.",
        ),
        (
            lambda egress: egress.admin.call("DELETE", "/tenants/acme"),
            "Cut: the tenant was removed.",
        ),
    ],
)
def test_other_reasons_to_cut(egress, echo, change, message):
    egress.put("acme", LOOPBACK)
    client = egress.connect(echo.authority)

    change(egress)

    assert client.is_cut()
    assert egress.ledger.wait_for_stage(ConnectionStage.CLOSED).message == message


def test_tenant_without_a_snat_address_reaches_nothing(egress, echo):
    egress.put("acme", LOOPBACK | {"snat": []})

    client = egress.connect(echo.authority)

    said = client.json()
    assert (client.status, said["verdict"], said["rule"]) == (403, "Denied", "acme/web/1")
    assert said["message"] == (
        "No SNAT address of this tenant for IPv4 destinations. Ask NetOps to add one."
    )
    assert egress.ledger.wait_for_stage(ConnectionStage.DENIED).message == said["message"]
    assert echo.peers == []


def test_an_expiring_rule_ends_its_tunnels_by_itself(egress, echo):
    soon = datetime.now(UTC) + timedelta(seconds=1)
    egress.put("acme", LOOPBACK | {"expires_at": soon.isoformat()})
    client = egress.connect(echo.authority)
    assert client.echoes(b"a")

    assert client.is_cut()

    assert datetime.now(UTC) >= soon


def test_half_close_lets_the_answer_come(egress, echo):
    egress.put("acme", LOOPBACK)
    client = egress.connect(echo.authority)

    client.sock.sendall(b"question")
    client.sock.shutdown(socket.SHUT_WR)

    assert client.stream.read() == b"questiongoodbye"
    client.close()
    closed = egress.ledger.wait_for_stage(ConnectionStage.CLOSED)
    assert (closed.bytes_sent, closed.bytes_received, closed.message) == (8, 15, "")


def test_bytes_are_carried_whole_and_counted_right(egress, echo):
    egress.put("acme", LOOPBACK)
    client = egress.connect(echo.authority)
    block = bytes(range(256)) * 4096
    count = 16

    def send() -> None:
        for _ in range(count):
            client.sock.sendall(block)
        client.sock.shutdown(socket.SHUT_WR)

    sending = threading.Thread(target=send)
    sending.start()
    received = client.stream.read()
    sending.join()

    assert received == block * count + b"goodbye"
    client.close()
    closed = egress.ledger.wait_for_stage(ConnectionStage.CLOSED)
    assert (closed.bytes_sent, closed.bytes_received) == (len(block) * count, len(received))


def test_a_slow_reader_holds_the_sender_back(egress, echo):
    egress.put("acme", LOOPBACK)
    client = egress.connect(echo.authority)
    client.sock.setblocking(False)

    sent = _send_until_stuck(client.sock)

    # Kernel buffers and two of the proxy's own; without back pressure it would take all.
    assert sent < 256 * 1024 * 1024


def test_slow_heads_and_silent_tunnels_are_ended(echo):
    limits = Limits(head_seconds=0.3, idle_seconds=0.5)
    with EgressProcess(limits=limits) as egress:
        egress.put("acme", LOOPBACK)
        slow = egress.client()
        slow.sock.sendall(b"CONNECT exa")
        slow.read_head()
        silent = egress.connect(echo.authority)

        assert slow.status == 408
        assert silent.is_cut()

        closed = egress.ledger.wait_for_stage(ConnectionStage.CLOSED)
        assert closed.message == "Cut: nothing moved for 0.5 s."


def test_one_private_address_among_several_denies_all():
    async def resolver(host, port):
        return [ipaddress.ip_address("93.184.216.34"), ipaddress.ip_address("10.0.0.1")]

    with EgressProcess(resolver=resolver) as egress:
        egress.put("acme", rule(host="rebind.example"))

        client = egress.connect("rebind.example:443")

        assert client.status == 403
        assert "10.0.0.1 is not a public address" in client.json()["message"]


def test_a_name_that_no_rule_allows_is_never_looked_up(echo):
    asked = []

    async def resolver(host, port):
        asked.append(host)
        return [ipaddress.ip_address("127.0.0.1")]

    with EgressProcess(resolver=resolver) as egress:
        egress.put("acme", rule(host="allowed.example"))
        assert egress.connect("data.leaks.example:443").status == 403
        egress.put("acme", LOOPBACK)
        client = egress.connect(f"search.example:{echo.port}")

        assert client.status == 200  # By the granted network that it resolves into.
        assert asked == ["search.example"]


@pytest.mark.parametrize(
    ("resolved", "status", "error"),
    [(OSError("nope"), 502, "dns_error"), ([], 502, "dns_error"), (None, 504, "dns_timeout")],
)
def test_names_that_do_not_resolve(resolved, status, error):
    async def resolver(host, port):
        if resolved is None:
            raise TimeoutError
        if isinstance(resolved, OSError):
            raise resolved
        return resolved

    with EgressProcess(resolver=resolver) as egress:
        egress.put("acme", rule(host="example.org"))

        client = egress.connect("example.org:443")

        assert client.status == status
        assert f"error={error}" in client.headers["proxy-status"]
        failed = egress.ledger.wait_for_stage(ConnectionStage.DENIED)
        assert failed.verdict is Verdict.ERROR


def test_a_closed_port_and_a_foreign_snat_address_are_told_apart(egress, echo):
    echo.stop()
    egress.put("acme", LOOPBACK)
    refused = egress.connect(echo.authority)
    foreign = rule(networks=["127.0.0.1/32"], snat=["203.0.113.77"])
    egress.put("acme", foreign)
    unbound = egress.connect(echo.authority)

    assert (refused.status, refused.json()["rule"]) == (502, "acme/web/1")
    assert "error=connection_refused" in refused.headers["proxy-status"]
    assert unbound.status == 502
    assert "203.0.113.77 is not on this machine" in unbound.json()["message"]


def test_two_hundred_tunnels_side_by_side(egress, echo):
    egress.put("acme", LOOPBACK)
    with ThreadPoolExecutor(16) as pool:
        clients = list(pool.map(lambda _: egress.connect(echo.authority), range(200)))

        assert {client.status for client in clients} == {200}
        assert all(pool.map(lambda client: client.echoes(b"x" * 1000), clients))
        assert egress.admin.call("GET", "/tenants").body == {
            "tenants": {"acme": {"rules": 1, "open_tunnels": 200}}
        }


def test_a_tenant_cannot_take_all_tunnels(echo):
    with EgressProcess(limits=Limits(tunnels_per_tenant=2)) as egress:
        egress.put("acme", LOOPBACK)
        egress.put("globex", GLOBEX)
        clients = [egress.connect(echo.authority) for _ in range(3)]
        other = egress.connect(echo.authority, "globex")

        assert [client.status for client in clients] == [200, 200, 503]
        assert other.status == 200


def test_a_restart_knows_nobody(echo):
    with EgressProcess() as first:
        first.put("acme", LOOPBACK)
    with EgressProcess() as second:
        assert second.connect(echo.authority).status == 407


def test_stopping_cuts_tunnels_and_delivers_their_reports(echo):
    with EgressProcess() as egress:
        egress.put("acme", LOOPBACK)
        assert egress.connect(echo.authority).echoes(b"abc")

    closed = egress.ledger.events[-1]
    assert (closed.stage, closed.bytes_sent) == (ConnectionStage.CLOSED, 3)
    assert closed.message == "Cut: the egress proxy stops."


def test_reports_survive_a_ledger_that_is_away(egress, caplog):
    egress.ledger.failures = 2
    egress.put("acme")

    egress.connect("192.0.2.1:443").close()

    egress.ledger.wait_for_stage(ConnectionStage.DENIED)
    assert len(egress.ledger.events) == 1
    assert (
        caplog.messages.count("The ledger takes no reports: the database is away; they are kept")
        == 1
    )


def _get(egress: EgressProcess, url: str, **headers: str) -> Client:
    client = egress.client()
    client.send_head(f"GET {url} HTTP/1.1", "acme", **headers)
    client.read_head()
    return client


def _send_until_stuck(sock: socket.socket) -> int:
    """How much goes in before nothing has been taken for half a second."""
    sent, block = 0, b"x" * 65536
    taken_at = time.monotonic()
    while time.monotonic() - taken_at < 0.5 and sent < 256 * 1024 * 1024:
        try:
            sent += sock.send(block)
            taken_at = time.monotonic()
        except BlockingIOError:
            threading.Event().wait(0.01)
    return sent
