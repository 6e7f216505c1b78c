"""Reconciling on a real Kubernetes API server: from the placement to the objects and back."""

import pytest

from proxyconfig.domain import inventory
from proxyconfig.domain.compilers import COMPILERS, Compiler
from proxyconfig.domain.conditions import Reason
from proxyconfig.domain.intent import Intent
from proxyconfig.models import Placement
from proxyconfig.services import environment
from proxyconfig.services.reconcile import reconcile
from proxyconfig.targets import TARGETS, TargetKind
from proxyconfig.targets.kube import Connection, KubeSettings, KubeTarget
from proxyconfig.tests.services.conftest import PATIENT
from proxyconfig.tests.services.wishes import network, wish, with_ingress
from proxyconfig.tests.targets.kube import objects
from tenants.domain.states import Health, SyncState
from tenants.models import Tenant, platform_scope

pytestmark = [pytest.mark.django_db, pytest.mark.kube]

MERGE = "application/merge-patch+json"


@pytest.fixture
def settings_of_kube(kube_server) -> dict[str, object]:
    """What the cluster's settings are; a test may change them."""
    return {"connection": Connection.from_kubeconfig(kube_server.kubeconfig())}


@pytest.fixture
def placement(acme, cluster, kube_namespace, settings_of_kube, monkeypatch):
    """Acme with a Gateway, and a route for each listener, on a cluster of flavour ``kube``."""

    def compiled(intent: Intent, *, environment: object):
        ports = [listener.port for listener in intent.listeners]
        if not ports:
            return ()
        front = objects.gateway(kube_namespace, *ports)
        return (front, objects.route(kube_namespace))

    monkeypatch.setitem(COMPILERS, "kube", Compiler(compiled, lambda intent: [], object))
    monkeypatch.setitem(environment.ENVIRONMENTS, "kube", lambda cluster, tenant: None)

    def settings(cluster) -> KubeSettings:
        return KubeSettings(**settings_of_kube)

    monkeypatch.setitem(environment.SETTINGS, "kube", settings)
    monkeypatch.setitem(TARGETS, "kube", TargetKind(KubeTarget, PATIENT))
    cluster.flavour = "kube"
    cluster.save()
    held = network(acme, cluster)
    wish(acme, with_ingress(held))
    yield lambda: look(acme)
    wish(acme, held)
    look(acme)


def look(tenant: Tenant) -> Placement:
    """One look; the placement after it."""
    with platform_scope("test"):
        pk = Placement.objects.get(tenant=tenant).pk
    reconcile(pk)
    with platform_scope("test"):
        return Placement.objects.get(pk=pk)


def conditions(placement: Placement) -> dict[str, tuple[str, str]]:
    return {entry["type"]: (entry["status"], entry["reason"]) for entry in placement.conditions}


def message(placement: Placement, kind: str) -> str:
    return next(entry["message"] for entry in placement.conditions if entry["type"] == kind)


def route_path(namespace: str) -> str:
    return f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/web"


def test_objects_are_there_and_their_inventory_is_kept(placement, kube_server, kube_namespace):
    first = placement()
    route = kube_server.call("GET", route_path(kube_namespace)).body
    second = placement()

    assert (first.sync_state, first.health) == (SyncState.IN_SYNC, Health.PROGRESSING)
    assert conditions(first)["Serving"] == ("Unknown", "Pending")
    records = inventory.parse(first.inventory)
    assert records[objects.route(kube_namespace).identity].uid == route["metadata"]["uid"]
    assert len(records) == 2
    assert second.inventory == first.inventory
    assert kube_server.call("GET", route_path(kube_namespace)).body == route


def test_object_deleted_by_hand_is_drift_and_comes_back(placement, kube_server, kube_namespace):
    placement()
    kube_server.call("DELETE", route_path(kube_namespace))

    after = placement()

    assert conditions(after)["Drifted"] == ("False", "Healed")
    assert f"HTTPRoute {kube_namespace}/web was missing" in after.drift_message
    assert kube_server.call("GET", route_path(kube_namespace)).status == 200


def test_lost_inventory_is_no_drift(placement):
    before = placement()
    with platform_scope("test"):
        Placement.objects.update(inventory=[])

    after = placement()

    assert after.drift_count == 0
    assert after.inventory == before.inventory


def test_conflict_waits_for_a_person_unless_the_cluster_takes_over(
    placement, settings_of_kube, kube_server, kube_namespace
):
    placement()
    path = f"{route_path(kube_namespace)}?fieldManager=kubectl-edit"
    patch = {"spec": {"hostnames": ["b.example"]}}
    kube_server.call("PATCH", path, patch, content_type=MERGE)

    refused = placement()
    settings_of_kube["takes_over"] = True
    healed = placement()

    assert conditions(refused)["Programmed"] == ("False", Reason.CONFLICT)
    assert 'spec.hostnames is managed by "kubectl-edit"' in message(refused, "Programmed")
    assert refused.sync_state == SyncState.DRIFTED
    assert conditions(healed)["Drifted"] == ("False", "Healed")
    assert healed.sync_state == SyncState.IN_SYNC


def test_server_that_is_away_is_unreachable_and_all_goes_on_when_it_is_back(placement, kube_server):
    placement()
    kube_server.kill()
    try:
        away = placement()
    finally:
        kube_server.start()

    back = placement()

    assert conditions(away)["Reachable"] == ("False", "ProxyUnreachable")
    assert "Connection refused" in message(away, "Reachable")
    assert away.sync_state == SyncState.UNKNOWN
    assert (back.sync_state, back.inventory) == (SyncState.IN_SYNC, away.inventory)


def test_credential_that_expired_says_so(placement, settings_of_kube, kube_server):
    server = kube_server.address
    authority = kube_server.certificate_authority
    good = settings_of_kube["connection"]
    settings_of_kube["connection"] = Connection(
        server=server, certificate_authority=authority, token="expired"
    )

    after = placement()
    settings_of_kube["connection"] = good

    assert conditions(after)["Reachable"] == ("False", "CredentialRefused")
    assert after.attempts == 1
