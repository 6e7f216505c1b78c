"""The commands as processes: what they serve, keep on record, and leave behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command

from proxyconfig.domain import edits
from proxyconfig.domain.intent import EgressPolicy, EgressRule, PortRange
from proxyconfig.facade import egress_endpoint
from proxyconfig.models import Connection
from proxyconfig.services import plans
from proxyconfig.services.reconcile import placements_of, reconcile
from proxyconfig.targets.local.admin_client import AdminClient
from proxyconfig.tests.factories import PlacementFactory
from proxyconfig.tests.targets.local_processes import (
    PATIENCE_SECONDS,
    EchoFarSide,
    accepts_unix,
    socket_folder,
    wait_until,
)
from tenants.domain.states import Verdict
from tenants.models import Tenant, platform_scope
from tenants.tests.factories import ClusterFactory

pytestmark = pytest.mark.django_db(transaction=True)


class EgressCommand:
    """``manage.py run_egress`` as a process of its own."""

    def __init__(self) -> None:
        self.folder = socket_folder()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.admin_socket = str(self.folder / "admin.sock")
        self.log_socket = str(self.folder / "log.sock")
        self._log = (self.folder / "egress.log").open("wb")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "run_egress"],
            cwd=django_settings.BASE_DIR,
            stdout=self._log,
            stderr=self._log,
            env={
                **os.environ,
                "SLUICE_EGRESS_ADDRESS": f"127.0.0.1:{self.port}",
                "SLUICE_EGRESS_ADMIN": self.admin_socket,
                "SLUICE_ACCESS_LOG_SOCKET": self.log_socket,
            },
        )
        wait_until(lambda: accepts_unix(self.admin_socket) or self._process.poll() is not None)
        assert self._process.poll() is None, self.said()

    def end(self, how: signal.Signals) -> int:
        assert self._process
        self._process.send_signal(how)
        return self._process.wait(PATIENCE_SECONDS)

    def said(self) -> str:
        return (self.folder / "egress.log").read_text()

    def close(self) -> None:
        if self._process and self._process.poll() is None:
            self.end(signal.SIGKILL)
        self._log.close()
        shutil.rmtree(self.folder)


@pytest.fixture
def command(settings) -> Iterator[EgressCommand]:
    running = EgressCommand()
    settings.EGRESS_ADMIN_SOCKET = running.admin_socket
    settings.EGRESS_ADDRESS = f"127.0.0.1:{running.port}"
    running.start()
    yield running
    running.close()


@pytest.fixture
def far_side() -> Iterator[EchoFarSide]:
    far = EchoFarSide()
    yield far
    far.stop()


@pytest.fixture
def allowed(ada, network, caddy, command, settings, far_side) -> Tenant:
    """Acme may reach the far side, and the proxy knows."""
    settings.CADDY_ADMIN_SOCKET, settings.ACCESS_LOG_SOCKET = caddy.admin_socket, caddy.log_socket
    ports = (PortRange.single(far_side.port),)
    policy = EgressPolicy(
        name="docs", rules=(EgressRule(order=1, cidr="127.0.0.1/32", ports=ports),)
    )
    with ada.acting() as actor:
        plans.propose(ada.tenant, edits.create(policy), actor=actor, reason="test", grant=True)
    fill(ada.tenant)
    return ada.tenant


def fill(tenant: Tenant) -> None:
    """What a worker does."""
    for placement_id in placements_of(tenant.pk):
        reconcile(placement_id)


def tunnel(command: EgressCommand, tenant: Tenant, authority: str) -> socket.socket:
    """An answered CONNECT."""
    credential = egress_endpoint(tenant).headers["Proxy-Authorization"]
    connection = socket.create_connection(("127.0.0.1", command.port), PATIENCE_SECONDS)
    connection.sendall(
        f"CONNECT {authority} HTTP/1.1\r\nProxy-Authorization: {credential}\r\n"
        f"X-Sluice-Trace: {'c' * 32}\r\n\r\n".encode()
    )
    assert connection.recv(12) in (b"HTTP/1.1 200", b"HTTP/1.1 403")
    return connection


def ledger() -> list[Connection]:
    with platform_scope("test"):
        return list(Connection.objects.order_by("opened_at"))


def test_open_tunnel_is_on_record_and_ended_when_the_process_is_asked_to_stop(
    allowed, command, far_side
):
    with tunnel(command, allowed, far_side.authority):
        wait_until(lambda: len(ledger()) == 1)
        (opened,) = ledger()
        code = command.end(signal.SIGTERM)

    (ended,) = ledger()
    assert code == 0
    assert (opened.trace_id, opened.rule_id, opened.closed_at) == ("c" * 32, "acme/docs/1", None)
    assert opened.snat_address == "127.120.1.1"
    assert (ended.pk, ended.closed_at is not None) == (opened.pk, True)
    assert not accepts_unix(command.admin_socket)


def test_denied_connection_is_on_record_with_its_rule(allowed, command):
    with tunnel(command, allowed, "127.0.0.2:80"):
        wait_until(lambda: len(ledger()) == 1)

    (denied,) = ledger()
    assert (denied.verdict, denied.rule_id) == (Verdict.DENIED, "acme/default-deny")


def test_killed_process_leaves_nothing_open_and_nothing_allowed(allowed, command, far_side):
    with tunnel(command, allowed, far_side.authority):
        wait_until(lambda: len(ledger()) == 1)
        command.end(signal.SIGKILL)
    assert ledger()[0].closed_at is None

    command.start()

    wait_until(lambda: ledger()[0].closed_at is not None)
    assert "was restarted" in ledger()[0].message
    reply = AdminClient(command.admin_socket, name="egress").call("GET", "/tenants")
    assert reply.body["tenants"] == {}
    fill(allowed)
    with tunnel(command, allowed, far_side.authority):
        wait_until(lambda: len(ledger()) == 2)


def test_taken_address_is_told_in_one_sentence(command):
    second = subprocess.run(
        [sys.executable, "manage.py", "run_egress"],
        cwd=django_settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        env={
            **os.environ,
            "SLUICE_EGRESS_ADDRESS": f"127.0.0.1:{command.port}",
            "SLUICE_EGRESS_ADMIN": f"{command.admin_socket}.2",
            "SLUICE_ACCESS_LOG_SOCKET": f"{command.log_socket}.2",
        },
    )

    assert second.returncode == 1
    assert "CommandError: The egress proxy cannot listen on 127.0.0.1" in second.stderr
    assert "Traceback" not in second.stderr


def test_reconcile_command_says_how_each_placement_ended(acme):
    cluster = ClusterFactory(name="far", flavour="spk")
    PlacementFactory(tenant=acme, cluster=cluster)
    out = StringIO()

    call_command("reconcile", "acme", stdout=out)

    assert out.getvalue() == "acme on far: OutOfSync, Degraded, generation 0 of 0\n"


def test_reconcile_command_refuses_an_unknown_tenant(db):
    with pytest.raises(CommandError, match="no placement of nobody"):
        call_command("reconcile", "nobody")
