"""The real proxy behind the services."""

from collections.abc import Iterator

import pytest

from proxyconfig.domain.compilers import COMPILERS
from proxyconfig.services import environment
from proxyconfig.targets import TARGETS
from proxyconfig.targets.local import LocalSettings, LocalTarget
from proxyconfig.tests.services.local_proxy import Backend, InterruptedTarget, LocalProxy
from proxyconfig.tests.targets.local_processes import CaddyProcess, EgressProcess


@pytest.fixture
def local_proxy(caddy: CaddyProcess, settings) -> Iterator[LocalProxy]:
    """Caddy without any server, an empty egress proxy, and a backend; the settings name them."""
    caddy.admin.call("POST", "/config/", caddy.base)
    settings.CADDY_ADMIN_SOCKET = caddy.admin_socket
    settings.ACCESS_LOG_SOCKET = caddy.log_socket
    with EgressProcess() as egress:
        settings.EGRESS_ADMIN_SOCKET = egress.admin_socket
        settings.INGRESS_SOCKET = str(egress.folder / "ingress.sock")
        settings.EGRESS_ADDRESS = ":".join(map(str, egress.address))
        backend = Backend(settings.INGRESS_SOCKET)
        yield LocalProxy(caddy, egress)
        backend.stop()


@pytest.fixture
def interrupted(local_proxy, cluster, settings, monkeypatch) -> InterruptedTarget:
    """Makes the cluster one of a flavour whose target this is."""
    target = InterruptedTarget(
        LocalTarget(
            LocalSettings(
                caddy_admin=settings.CADDY_ADMIN_SOCKET,
                egress_admin=settings.EGRESS_ADMIN_SOCKET,
                access_log=settings.ACCESS_LOG_SOCKET,
            )
        )
    )
    local_environment = environment.ENVIRONMENTS["local"]
    monkeypatch.setitem(COMPILERS, "interrupted", COMPILERS["local"])
    monkeypatch.setitem(environment.ENVIRONMENTS, "interrupted", local_environment)
    monkeypatch.setitem(TARGETS, "interrupted", lambda _: target)
    cluster.flavour = "interrupted"
    cluster.save()
    return target
