"""The local proxy as a target: the contract, and what only real processes can show."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection

import pytest

from proxyconfig.domain.compilers.local import (
    CADDY_SERVER,
    EGRESS_TENANT,
    LocalEnvironment,
    compile,
    server_name,
)
from proxyconfig.domain.conditions import Reason
from proxyconfig.domain.connections import ConnectionStage
from proxyconfig.domain.intent import AddressList, Intent
from proxyconfig.domain.plan import PlanAction, diff
from proxyconfig.domain.resources import Resource
from proxyconfig.domain.target import Footprint, OutcomeStatus
from proxyconfig.targets import TARGETS
from proxyconfig.targets.local import LocalSettings, LocalTarget
from proxyconfig.targets.local.caddy_config import main
from proxyconfig.tests.targets.local_processes import (
    PATIENCE_SECONDS,
    CaddyProcess,
    EgressProcess,
)
from proxyconfig.tests.targets.target_contract import TargetContract, tenant_intent
from tenants.domain.states import Direction, Verdict
from tenants.errors import TransientError

ACME, GLOBEX = "127.10.61.1", "127.10.61.2"
SERVERS = "/config/apps/http/servers"


class Portal:
    """What stands behind Caddy: mirrors a request, or streams until it is told to end."""

    def __init__(self, path: str) -> None:
        self.heads: list[str] = []
        self.end = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while lines := list(iter(stream.readline, b"\r\n")):
                head = b"".join(lines).decode()
                self.heads.append(head)
                if head.startswith("GET /stream"):
                    self._stream(connection)
                elif "upgrade: echo" in head.lower():
                    self._echo(connection, stream)
                else:
                    body = head.encode()
                    size = f"Content-Length: {len(body)}\r\n\r\n".encode()
                    connection.sendall(b"HTTP/1.1 200 OK\r\n" + size + body)
                if b"" in lines:
                    return

    def _stream(self, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not self.end.wait(0.05):
            connection.sendall(b"5\r\nevent\r\n")
        connection.sendall(b"4\r\nlast\r\n0\r\n\r\n")

    def _echo(self, connection: socket.socket, stream: object) -> None:
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        )
        while data := stream.read1(4096):
            connection.sendall(data)

    def close(self) -> None:
        self.end.set()
        self._listener.close()


@pytest.fixture(scope="module")
def collector(caddy) -> Iterator[EgressProcess]:
    """The egress process, which also collects Caddy's access log."""
    with EgressProcess(access_log_socket=caddy.log_socket) as process:
        yield process


@pytest.fixture
def portal(caddy) -> Iterator[Portal]:
    portal = Portal(caddy.ingress_socket)
    yield portal
    portal.close()
    (caddy.folder / "ingress.sock").unlink()


@pytest.fixture
def target(caddy, collector) -> LocalTarget:
    """A target with nothing programmed."""
    settings = LocalSettings(
        caddy_admin=caddy.admin_socket,
        egress_admin=collector.admin_socket,
        access_log=caddy.log_socket,
    )
    target = TARGETS["local"].make(settings)
    target.upkeep()
    caddy.admin.call("POST", SERVERS, {})
    for tenant in ("acme", "acme-rag", "globex"):
        collector.admin.call("DELETE", f"/tenants/{tenant}")
    return target


def compiled(intent: Intent, socket_path: str = "/nowhere.sock") -> tuple[Resource, ...]:
    environment = LocalEnvironment(ingress_socket=socket_path, credential_sha256="ab" * 32)
    return compile(intent, environment=environment)


class TestLocalTarget(TargetContract):
    """The contract, on Caddy and the egress proxy."""

    def compiled(self, intent: Intent) -> tuple[Resource, ...]:
        return compiled(intent)


def program(target: LocalTarget, caddy: CaddyProcess, intent: Intent) -> None:
    """Bring the proxy to an intent whose backend is the test's portal."""
    footprint = Footprint.of(intent)
    plan = diff(compiled(intent, caddy.ingress_socket), target.observe(footprint))
    outcomes = target.apply(footprint, plan.entries)
    assert {outcome.status for outcome in outcomes} <= {OutcomeStatus.DONE}, outcomes


def ask(
    address: str, path: str = "/", *, source: str = "127.0.0.1", **headers: str
) -> tuple[int, str]:
    """Status and body; header names with underscores for dashes."""
    connection = HTTPConnection(address, 8080, timeout=PATIENCE_SECONDS, source_address=(source, 0))
    fields = {
        name.replace("__", "\0").replace("_", "-").replace("\0", "_"): value
        for name, value in headers.items()
    }
    connection.request("GET", path, headers=fields)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, body


def test_default_deny_is_a_closed_door(target, caddy, portal):
    program(target, caddy, tenant_intent("acme", ACME))
    program(target, caddy, replace(tenant_intent("globex", GLOBEX), ingress_policies=()))

    assert ask(ACME)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        ask(GLOBEX)


def test_the_tenant_is_the_proxys_word_and_the_trace_is_hex(target, caddy, portal):
    program(target, caddy, tenant_intent("acme", ACME))

    _, head = ask(
        ACME,
        X_Sluice_Tenant="globex",
        X_Sluice_Rule="x",
        X_Sluice_Anything="1",
        X__Sluice__Tenant="globex",
        X_Sluice__Tenant="globex",
        X_Forwarded_For="1.2.3.4",
    )

    ours = sorted(line for line in head.splitlines() if re.match(r"x[-_]sluice", line, re.I))
    assert ours[:2] == ["X-Sluice-Rule: acme/people", "X-Sluice-Tenant: acme"]
    assert re.fullmatch(r"X-Sluice-Trace: [0-9a-f]{32}", ours[2])
    assert len(ours) == 3
    assert "X-Forwarded-For: 127.0.0.1" in head


def test_sources_outside_the_allow_list_are_refused_by_the_proxy(target, caddy, portal):
    office = AddressList(name="office", addresses=("127.20.61.0/30",))
    intent = tenant_intent("acme", ACME, sources=("127.20.61.9",), source_lists=("office",))
    program(target, caddy, replace(intent, address_lists=(office,)))

    inside = [ask(ACME, source=source)[0] for source in ("127.20.61.9", "127.20.61.2")]
    status, body = ask(ACME, source="127.20.61.4")

    assert inside == [200, 200]
    assert status == 403
    answer = json.loads(body)
    assert (answer["verdict"], answer["rule"]) == ("Denied", "acme/default-deny")
    assert len(portal.heads) == 2


def test_hostnames_and_paths_pick_the_policy_in_order(target, caddy, portal):
    base = tenant_intent("acme", ACME)
    people = base.ingress_policies[0]
    policies = (
        replace(people, name="api", path_prefix="/api/", order=10),
        replace(people, name="exact", hostnames=("a.example",), order=20),
        replace(people, name="suffix", hostnames=("*.b.example",), order=30),
    )
    program(target, caddy, replace(base, ingress_policies=policies))

    def rule(path: str, host: str) -> str:
        status, head = ask(ACME, path, Host=host)
        found = re.search(r"X-Sluice-Rule: (\S+)", head)
        return found[1] if status == 200 and found else str(status)

    assert rule("/api", "a.example") == "acme/api"
    assert rule("/api/x", "a.example") == "acme/api"
    assert rule("/apix", "a.example") == "acme/exact"
    assert rule("/", "A.Example:8080") == "acme/exact"
    assert rule("/", "x.b.example") == "acme/suffix"
    assert rule("/", "x.y.b.example") == "acme/suffix"
    assert rule("/", "b.example") == "403"
    assert rule("/", "c.example") == "403"


def test_each_request_is_reported_once_with_trace_and_rule(target, caddy, collector, portal):
    program(target, caddy, tenant_intent("acme", ACME, path_prefix="/ask"))

    _, head = ask(ACME, "/ask?question=secret", Authorization="Bearer k123")
    ask(ACME, "/denied-path", source="127.20.61.7")

    trace = re.search(r"X-Sluice-Trace: (\S+)", head)[1]
    served = collector.ledger.wait(lambda event: event.trace_id == trace)
    denied = collector.ledger.wait(lambda event: event.detail.startswith("GET /denied-path"))
    assert (served.tenant, served.rule_id, served.verdict) == (
        "acme",
        "acme/people",
        Verdict.ALLOWED,
    )
    assert (served.direction, served.stage) == (Direction.IN, ConnectionStage.CLOSED)
    assert (served.destination_host, served.destination_port) == (ACME, 8080)
    assert (served.detail, served.source_address) == ("GET /ask 200", "127.0.0.1")
    assert served.bytes_received == len(head)
    assert served.opened_at <= served.closed_at
    assert (denied.verdict, denied.rule_id, denied.stage) == (
        Verdict.DENIED,
        "acme/default-deny",
        ConnectionStage.DENIED,
    )
    assert denied.source_address == "127.20.61.7"
    assert "secret" not in repr(collector.ledger.events)
    assert "k123" not in repr(collector.ledger.events)


def test_a_backend_that_is_away_is_reported_as_an_error(target, caddy, collector):
    program(target, caddy, tenant_intent("acme", ACME))

    assert ask(ACME, "/nobody-home")[0] == 502

    failed = collector.ledger.wait(lambda event: event.detail == "GET /nobody-home 502")
    assert failed.verdict is Verdict.ERROR


def test_changes_of_one_tenant_drop_no_connection_of_another(target, caddy, portal):
    program(target, caddy, tenant_intent("acme", ACME))
    stream = HTTPConnection(ACME, 8080, timeout=PATIENCE_SECONDS)
    stream.request("GET", "/stream")
    response = stream.getresponse()
    assert response.read(5) == b"event"
    upgraded = socket.create_connection((ACME, 8080), timeout=PATIENCE_SECONDS)
    upgraded.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    assert upgraded.recv(4096).startswith(b"HTTP/1.1 101")

    for sources in ((), ("127.0.0.1",), ()):
        program(target, caddy, tenant_intent("globex", GLOBEX, sources=sources))
        assert ask(GLOBEX)[0] == 200
    gone = Footprint("globex", (GLOBEX,))
    target.apply(gone, diff((), target.observe(gone)).entries)

    upgraded.sendall(b"still here")
    assert upgraded.recv(4096) == b"still here"
    portal.end.set()
    assert response.read().endswith(b"last")
    upgraded.close()
    stream.close()


def test_revoking_closes_the_door_and_running_answers_end_by_themselves(target, caddy, portal):
    """Caddy cannot cut the running answers of one server; docs/reference/local-proxy.md says so."""
    intent = tenant_intent("acme", ACME)
    program(target, caddy, intent)
    kept = HTTPConnection(ACME, 8080, timeout=PATIENCE_SECONDS)
    kept.request("GET", "/")
    kept.getresponse().read()
    stream = HTTPConnection(ACME, 8080, timeout=PATIENCE_SECONDS)
    stream.request("GET", "/stream")
    response = stream.getresponse()
    assert response.read(5) == b"event"

    program(target, caddy, replace(intent, ingress_policies=()))

    with pytest.raises(ConnectionRefusedError):
        ask(ACME)
    assert kept.sock.recv(1) == b""  # An idle kept connection is closed at once.
    portal.end.set()
    assert response.read().endswith(b"last")
    stream.close()
    kept.close()


def test_what_others_put_on_a_tenants_address_is_seen_and_removed(target, caddy):
    intent = tenant_intent("acme", ACME)
    rogue = {"listen": [f"{ACME}:9999"], "automatic_https": {"disable": True}, "routes": []}
    everywhere = rogue | {"listen": [":9998"]}
    elsewhere = rogue | {"listen": [f"{GLOBEX}:9999"]}
    caddy.admin.call("POST", f"{SERVERS}/rogue", rogue)
    caddy.admin.call("POST", f"{SERVERS}/everywhere", everywhere)
    caddy.admin.call("POST", f"{SERVERS}/elsewhere", elsewhere)

    footprint = Footprint.of(intent)
    plan = diff(compiled(intent), target.observe(footprint))
    target.apply(footprint, plan.entries)

    deleted = [e.identity.name for e in plan.entries if e.action is PlanAction.DELETE]
    assert deleted == ["everywhere", "rogue"]
    assert sorted(caddy.admin.call("GET", SERVERS).body) == ["elsewhere", "sluice-acme.rag"]


@pytest.mark.parametrize("name", ["sluice-globex.rag", "sluice-nobody.x", "sluice-acme-rag.x"])
@pytest.mark.parametrize("listen", [f"{ACME}:8080", ":9997"])
def test_name_like_another_tenants_hides_no_server_on_a_tenants_address(
    target, caddy, name, listen
):
    rogue = {"listen": [listen], "automatic_https": {"disable": True}, "routes": []}
    caddy.admin.call("POST", f"{SERVERS}/{name}", rogue)
    footprint = Footprint.of(tenant_intent("acme", ACME))

    plan = diff((), target.observe(footprint))
    target.apply(footprint, plan.entries)

    assert [entry.identity.name for entry in plan.entries] == [name]
    assert caddy.admin.call("GET", SERVERS).body == {}


def test_drift_is_an_update_that_names_the_field(target, caddy):
    intent = tenant_intent("acme", ACME)
    program(target, caddy, intent)
    path = f"{SERVERS}/{server_name('acme', 'rag')}/routes/0/handle"
    caddy.admin.call("DELETE", f"{path}/0")

    plan = diff(compiled(intent, caddy.ingress_socket), target.observe(Footprint.of(intent)))

    (entry,) = plan.changing
    assert entry.action is PlanAction.UPDATE
    assert all(change.path.startswith("routes[0].handle") for change in entry.changes)


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("DELETE", "/config/logging/logs/access", None, "logging section had been changed"),
        ("POST", "/config/admin/config/persist", True, "admin section had been changed"),
        ("POST", "/config/apps/http/http_port", 8099, "apps/http/http_port had been added"),
        ("POST", "/config/apps/tls", {}, "apps/tls had been added"),
        ("DELETE", "/config/apps/http", None, "HTTP servers were gone"),
        ("DELETE", "/config/apps", None, "HTTP servers were gone"),
        ("DELETE", "/config/", None, "lost its configuration"),
    ],
)
def test_upkeep_restores_the_base(target, caddy, method, path, body, said):
    assert caddy.admin.call(method, path, body).is_ok

    repaired = target.upkeep()

    assert [said in sentence for sentence in repaired] == [True]
    assert target.upkeep() == ()
    assert caddy.admin.call("GET", "/config/").body == caddy.base


def test_a_killed_caddy_is_transient_and_is_filled_again(target, caddy, portal):
    intent = tenant_intent("acme", ACME)
    program(target, caddy, intent)

    caddy.kill()
    with pytest.raises(TransientError, match="Caddy does not answer"):
        target.observe(Footprint.of(intent))
    plan = diff(compiled(intent, caddy.ingress_socket), ())
    failed = {o.identity.kind: o for o in target.apply(Footprint.of(intent), plan.entries)}
    caddy.start()
    target.upkeep()
    program(target, caddy, intent)

    assert failed[CADDY_SERVER].status is OutcomeStatus.FAILED
    assert failed[CADDY_SERVER].reason == Reason.PROXY_UNREACHABLE
    assert failed[EGRESS_TENANT].status is OutcomeStatus.DONE
    assert ask(ACME)[0] == 200


def test_an_address_that_is_taken_is_named_and_tried_again(target, caddy):
    intent = tenant_intent("acme", "127.10.61.3")
    with socket.socket() as squatter:
        squatter.bind(("127.10.61.3", 8080))
        squatter.listen()
        footprint = Footprint.of(intent)
        plan = diff(compiled(intent), ())
        outcomes = {o.identity.kind: o for o in target.apply(footprint, plan.entries)}

    taken = outcomes[CADDY_SERVER]
    assert (taken.status, taken.reason) == (OutcomeStatus.FAILED, Reason.ADDRESS_IN_USE)
    assert "127.10.61.3:8080" in taken.message


def test_an_address_that_is_not_here_is_named(target, caddy):
    intent = tenant_intent("acme", "203.0.113.9")
    plan = diff(compiled(intent), ())

    outcomes = {o.identity.kind: o for o in target.apply(Footprint.of(intent), plan.entries)}

    assert outcomes[CADDY_SERVER].status is OutcomeStatus.FAILED
    assert "not on this machine" in outcomes[CADDY_SERVER].message


def test_what_caddy_refuses_is_refused_for_good(target):
    broken = Resource.of(
        CADDY_SERVER, "sluice-acme.rag", {"routes": [{"handle": [{"handler": "x"}]}]}
    )
    wrong = Resource.of(EGRESS_TENANT, "acme", {})

    outcomes = target.apply(Footprint("acme"), diff((broken, wrong), ()).entries)

    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.REFUSED] * 2
    assert "unknown module" in outcomes[0].message
    assert "cannot be read" in outcomes[1].message


def test_the_command_prints_the_base_configuration(capsys, caddy):
    main(["--admin", caddy.admin_socket, "--access-log", caddy.log_socket])

    assert json.loads(capsys.readouterr().out) == caddy.base


def test_traffic_flows_while_nobody_collects_the_access_log(portal, caddy):
    second = CaddyProcess()
    try:
        second.start()
        target = LocalTarget(
            LocalSettings(
                caddy_admin=second.admin_socket,
                egress_admin=second.admin_socket,
                access_log=second.log_socket,
            )
        )
        server = compiled(tenant_intent("globex", GLOBEX), caddy.ingress_socket)[0]
        target.apply(Footprint("globex"), diff((server,), ()).entries)

        assert ask(GLOBEX)[0] == 200
    finally:
        second.stop()
