"""Where the egress process listens: stale files, neighbours, and who may open what."""

import asyncio
import socket
import stat

import pytest

from proxyconfig.targets.local.egress_server import EgressConfig, serve
from proxyconfig.tests.targets.local_processes import EgressProcess, entry, rule
from tenants.errors import PermanentError


async def nobody(events: object) -> None:
    """A ledger that is never asked."""


def start(**config: object) -> None:
    """Run a second process, which is expected to give up."""
    asyncio.run(serve(EgressConfig(**config), nobody))


def test_only_our_own_user_can_open_the_admin_socket(egress):
    mode = (egress.folder / "egress.sock").stat().st_mode

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_the_socket_of_a_dead_process_is_replaced(tmp_path):
    with EgressProcess() as first:
        path = first.folder / "stale.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        with EgressProcess(admin_socket=str(path)) as second:
            assert second.admin.call("GET", "/tenants").is_ok
        assert not path.exists()


def test_a_second_process_does_not_take_the_first_ones_place(egress):
    with pytest.raises(PermanentError, match="Another egress process already listens"):
        start(host="127.0.0.1", port=0, admin_socket=egress.admin_socket)

    assert egress.admin.call("GET", "/tenants").is_ok


def test_a_taken_port_is_named(egress, tmp_path):
    host, port = egress.address

    with pytest.raises(PermanentError, match=f"cannot listen on 127.0.0.1 port {port}"):
        start(host=host, port=port, admin_socket=str(tmp_path / "a"))


def test_what_is_no_socket_is_left_alone(tmp_path):
    file = tmp_path / "precious"
    file.write_text("data")

    with pytest.raises(PermanentError, match="is not a socket"):
        start(host="127.0.0.1", port=0, admin_socket=str(file))

    assert file.read_text() == "data"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PermanentError, match="cannot be made"):
        start(host="127.0.0.1", port=0, admin_socket=str(tmp_path / "no" / "a"))


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/tenants", None, 200),
        ("GET", "/tenants/acme", None, 404),
        ("DELETE", "/tenants/acme", None, 404),
        ("PUT", "/tenants/acme", {"tenant": "globex"}, 400),
        ("PUT", "/tenants/acme", entry("acme"), 201),
        ("POST", "/tenants/acme", {}, 405),
        ("GET", "/elsewhere", None, 404),
        ("GET", "/tenants/..", None, 404),
    ],
)
def test_admin_answers(egress, method, path, body, status):
    assert egress.admin.call(method, path, body).status == status


def test_a_refused_entry_leaves_the_old_one(egress):
    before = entry("acme", rule(networks=["127.0.0.1/32"]))
    egress.admin.call("PUT", "/tenants/acme", before)

    egress.admin.call("PUT", "/tenants/acme", entry("acme", rule(ports="all")))

    assert egress.admin.call("GET", "/tenants/acme").body == before
    assert egress.admin.call("PUT", "/tenants/acme", before).status == 200
