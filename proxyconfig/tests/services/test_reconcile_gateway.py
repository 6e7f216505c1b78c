"""A cluster of any Gateway API proxy: connected, checked, and programmed on a real API server."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cryptography.fernet import Fernet
from django.conf import settings

from proxyconfig.models import ClusterAccess, Placement
from proxyconfig.models.access import AccessMethod
from proxyconfig.services import cluster_access
from proxyconfig.services.reconcile import reconcile
from proxyconfig.tests.services.wishes import network, wish, with_ingress
from tenants.domain.states import Health, SyncState
from tenants.models import platform_scope
from tenants.tests.factories import ClusterFactory

pytestmark = [pytest.mark.django_db, pytest.mark.kube]

GATEWAYS = "/apis/gateway.networking.k8s.io/v1"
NETWORKING = "/apis/networking.k8s.io/v1"


@pytest.fixture
def east(ada, broker, kube_server, settings):
    """A cluster that an administrator connected, and a worker checked."""
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    cluster = ClusterFactory(name="east", flavour="gateway")
    connect(ada, cluster, kube_server)
    return cluster


def connect(ada, cluster, kube_server, *, user: str = "admin") -> None:
    wish = cluster_access.Wish(
        method=AccessMethod.KUBECONFIG,
        credential=kube_server.kubeconfig(user),
        gateway_class="front",
        proxy_namespaces=("kube-system",),
    )
    kube_server.call(
        "POST",
        f"{GATEWAYS}/gatewayclasses",
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "metadata": {"name": "front"},
            "spec": {"controllerName": "example.org/front"},
        },
    )
    with ada.acting() as actor:
        cluster_access.save(cluster, wish, actor=actor)
    cluster_access.check(cluster.pk)


def wanted(tenant, cluster, namespace):
    held = network(tenant, cluster, address="10.20.0.9")
    space = replace(held.namespaces[0], name=namespace)
    return replace(held, namespaces=(space,), snat_pools=())


def looked(tenant) -> Placement:
    with platform_scope("test"):
        pk = Placement.objects.get(tenant=tenant).pk
    reconcile(pk)
    with platform_scope("test"):
        return Placement.objects.get(pk=pk)


def specs(kube_server, namespace, plural, root=GATEWAYS) -> list[dict]:
    found = kube_server.call("GET", f"{root}/namespaces/{namespace}/{plural}").body
    return [item["spec"] for item in found["items"]]


def test_policy_becomes_a_gateway_a_route_and_default_deny(acme, east, kube_server, kube_namespace):
    wish(acme, with_ingress(wanted(acme, east, kube_namespace)))

    first = looked(acme)
    second = looked(acme)

    assert first.sync_state == SyncState.IN_SYNC, first.conditions
    assert first.health == Health.PROGRESSING, "no proxy has taken it yet"
    assert second.inventory == first.inventory
    (gateway,) = specs(kube_server, kube_namespace, "gateways")
    assert gateway["gatewayClassName"] == "front"
    assert gateway["addresses"] == [{"type": "IPAddress", "value": "10.20.0.9"}]
    assert [listener["port"] for listener in gateway["listeners"]] == [8080]
    (route,) = specs(kube_server, kube_namespace, "httproutes")
    assert route["rules"][0]["backendRefs"][0]["name"] == "rag"
    policies = specs(kube_server, kube_namespace, "networkpolicies", NETWORKING)
    assert {kind for policy in policies for kind in policy["policyTypes"]} == {"Ingress", "Egress"}


def manifests() -> list[dict]:
    """What the how-to has an administrator of the cluster apply."""
    text = (Path(settings.BASE_DIR) / "docs" / "how-to" / "connect-a-cluster.md").read_text()
    (block,) = re.findall(r"<<'YAML'\n(.*?)^YAML$", text, re.MULTILINE | re.DOTALL)
    return list(yaml.safe_load_all(block))


def test_rights_of_the_how_to_are_enough_and_all_are_needed(
    acme, ada, east, kube_server, kube_namespace
):
    group = "rbac.authorization.k8s.io"
    rbac = f"/apis/{group}/v1"
    (role,) = manifests()
    assert kube_server.call("POST", f"{rbac}/clusterroles", role).status in (201, 409)
    binding = {
        "apiVersion": role["apiVersion"],
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "sluice"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "sluice",
        },
        "subjects": [{"kind": "User", "name": "worker", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    connect(ada, east, kube_server, user="worker")
    with platform_scope("test"):
        missing = ClusterAccess.objects.get(cluster=east).problems
    assert kube_server.call("POST", f"{rbac}/clusterrolebindings", binding).status == 201
    cluster_access.check(east.pk)
    with platform_scope("test"):
        access = ClusterAccess.objects.get(cluster=east)
    held = wanted(acme, east, kube_namespace)
    wish(acme, with_ingress(held))
    filled = looked(acme)
    wish(acme, replace(held, namespaces=(), virtual_addresses=()))
    emptied = looked(acme)

    needed = {problem["what"].split()[-1] for problem in missing}
    assert {"gateways", "httproutes", "networkpolicies", "front", "kube-system"} <= needed
    assert access.problems == []
    assert (filled.sync_state, emptied.sync_state) == (SyncState.IN_SYNC, SyncState.IN_SYNC)
    assert specs(kube_server, kube_namespace, "gateways") == []


def test_what_is_wanted_no_more_is_taken_away_and_nothing_else(
    acme, east, kube_server, kube_namespace
):
    foreign = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "foreign", "labels": {"sluice.dev/tenant": "acme"}},
        "spec": {"parentRefs": [{"name": "theirs"}]},
    }
    made = kube_server.call("POST", f"{GATEWAYS}/namespaces/{kube_namespace}/httproutes", foreign)
    assert made.status == 201, made
    held = wanted(acme, east, kube_namespace)
    wish(acme, with_ingress(held))
    looked(acme)

    wish(acme, held)
    after = looked(acme)

    assert after.sync_state == SyncState.IN_SYNC
    assert specs(kube_server, kube_namespace, "gateways") == []
    (left,) = specs(kube_server, kube_namespace, "httproutes")
    assert left["parentRefs"][0]["name"] == "theirs"


def test_suspended_tenant_keeps_default_deny_and_nothing_that_opens(
    acme, east, kube_server, kube_namespace
):
    """A namespace without any NetworkPolicy would be open both ways."""
    wish(acme, with_ingress(wanted(acme, east, kube_namespace)))
    looked(acme)
    with platform_scope("test"):
        type(acme).objects.filter(pk=acme.pk).update(is_paused=True, is_suspended=True)

    suspended = looked(acme)
    policies = specs(kube_server, kube_namespace, "networkpolicies", NETWORKING)
    with platform_scope("test"):
        type(acme).objects.filter(pk=acme.pk).update(is_paused=False, is_suspended=False)
    back = looked(acme)

    assert suspended.sync_state == SyncState.SUSPENDED
    (deny,) = policies
    assert {*deny["policyTypes"]} == {"Ingress", "Egress"}
    assert "kube-system" not in str(deny.get("ingress"))
    assert (back.sync_state, back.drift_count) == (SyncState.IN_SYNC, 0)
    assert len(specs(kube_server, kube_namespace, "gateways")) == 1


def test_cluster_that_nobody_connected_is_a_condition(acme, broker, kube_namespace):
    west = ClusterFactory(name="west", flavour="gateway")
    wish(acme, with_ingress(wanted(acme, west, kube_namespace)))

    placement = looked(acme)

    (condition,) = [one for one in placement.conditions if one["type"] == "Reachable"]
    assert condition["status"] == "False"
    assert "Cluster west is not connected yet" in condition["message"]
