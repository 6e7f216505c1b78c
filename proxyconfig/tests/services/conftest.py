"""The real proxy behind the services."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from proxyconfig.domain.compilers import COMPILERS
from proxyconfig.domain.target import Cadence, Target
from proxyconfig.services import environment
from proxyconfig.targets import TARGETS, TargetKind
from proxyconfig.targets.local import LocalSettings, LocalTarget
from proxyconfig.tests.services.local_proxy import Backend, InterruptedTarget, LocalProxy
from proxyconfig.tests.services.memory_proxy import MemoryTarget
from proxyconfig.tests.targets.local_processes import PATIENCE_SECONDS, CaddyProcess, EgressProcess

# On a busy machine a look may take seconds, and a renewal, which has a connection of its own, sees
# no row of a test that runs in one transaction.
PATIENT = replace(LocalTarget.cadence, lease_seconds=10 * PATIENCE_SECONDS)


@pytest.fixture
def local_proxy(caddy: CaddyProcess, settings, monkeypatch) -> Iterator[LocalProxy]:
    """Caddy without any server, an empty egress proxy, and a backend; the settings name them."""
    monkeypatch.setitem(TARGETS, "local", TargetKind(LocalTarget, PATIENT))
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
    register(monkeypatch, "interrupted", lambda name: target)
    cluster.flavour = "interrupted"
    cluster.save()
    return target


@pytest.fixture
def memories(monkeypatch) -> dict[str, MemoryTarget]:
    """Proxies of the flavour ``memory`` by cluster, made when they are first spoken to."""
    targets: dict[str, MemoryTarget] = defaultdict(MemoryTarget)
    register(monkeypatch, "memory", targets.__getitem__)
    return targets


def register(
    monkeypatch,
    flavour: str,
    make: Callable[[str], Target],
    *,
    cadence: Cadence = PATIENT,
) -> None:
    """A flavour for this test: the local compiler, and a target for each cluster's name."""
    local_environment = environment.ENVIRONMENTS["local"]
    monkeypatch.setitem(COMPILERS, flavour, COMPILERS["local"])
    monkeypatch.setitem(environment.ENVIRONMENTS, flavour, local_environment)
    monkeypatch.setitem(environment.SETTINGS, flavour, lambda cluster: cluster.name)
    monkeypatch.setitem(TARGETS, flavour, TargetKind(make, cadence))
