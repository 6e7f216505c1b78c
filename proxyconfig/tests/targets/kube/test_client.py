"""Calls to a real API server, and what comes of its refusals and its absence."""

import socket
from dataclasses import replace

import pytest

from proxyconfig.domain.conditions import Reason
from proxyconfig.targets.kube import client as client_module
from proxyconfig.targets.kube.client import Client, client_for
from proxyconfig.targets.kube.connection import Connection
from proxyconfig.targets.kube.errors import ObjectFailedError, ObjectRefusedError
from tenants.errors import PermanentError, TransientError

pytestmark = pytest.mark.kube

GATEWAY = "gateway.networking.k8s.io"
MANAGER = "sluice.acme"


@pytest.fixture
def client(kube_server) -> Client:
    return client_for(Connection.from_kubeconfig(kube_server.kubeconfig()))


def route(namespace: str, **spec: object) -> dict:
    """The smallest HTTPRoute."""
    return {
        "apiVersion": f"{GATEWAY}/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": namespace, "labels": {"team": "acme"}},
        "spec": {"parentRefs": [{"name": "front"}], **spec},
    }


def reason_of(error: Exception) -> Reason:
    return Reason(error.data["reason"])


def test_discovery_knows_versions_paths_and_what_is_absent(client):
    kind = client.discovery.kind(GATEWAY, "HTTPRoute")

    assert kind.versions == ("v1", "v1beta1")
    assert kind.path(namespace="a", name="b") == f"/apis/{GATEWAY}/v1/namespaces/a/httproutes/b"
    assert client.discovery.kind("", "Namespace").path(name="a") == "/api/v1/namespaces/a"
    assert client.discovery.kind(GATEWAY, "FooRoute") is None
    assert client.discovery.kind("nowhere.example", "Foo") is None


def test_object_is_applied_listed_read_and_deleted_by_uid(client, kube_namespace):
    kind = client.discovery.kind(GATEWAY, "HTTPRoute")
    where = {"namespace": kube_namespace, "name": "web"}

    dry = client.apply(kind, route(kube_namespace), manager=MANAGER, is_dry_run=True)
    assert client.read(kind, version="v1", **where) is None
    made = client.apply(kind, route(kube_namespace), manager=MANAGER)
    listed = client.metadata(kind, selector="team=acme", namespace=kube_namespace)
    read = client.read(kind, version="v1", **where)

    assert dry["spec"] == made["spec"] == read["spec"]
    assert [metadata["uid"] for metadata in listed] == [made["metadata"]["uid"]]
    assert listed[0]["managedFields"][0]["manager"] == MANAGER
    with pytest.raises(ObjectFailedError) as other:
        client.delete(kind, **where, uid="00000000-0000-0000-0000-000000000000")
    assert reason_of(other.value) is Reason.CHANGED_MEANWHILE
    assert client.delete(kind, **where, uid=made["metadata"]["uid"]) is None
    assert client.delete(kind, **where, uid=made["metadata"]["uid"]) is None


def test_wrong_content_is_refused_with_the_field(client, kube_namespace):
    kind = client.discovery.kind(GATEWAY, "HTTPRoute")

    with pytest.raises(ObjectRefusedError, match=r"\.spec\.colour: field not declared"):
        client.apply(kind, route(kube_namespace, colour="red"), manager=MANAGER)
    with pytest.raises(ObjectRefusedError, match=r"spec\.hostnames"):
        client.apply(kind, route(kube_namespace, hostnames=["UPPER"]), manager=MANAGER)
    with pytest.raises(ObjectFailedError) as absent:
        client.apply(kind, route("nowhere"), manager=MANAGER)
    assert reason_of(absent.value) is Reason.NAMESPACE_MISSING


def test_namespace_that_ends_takes_nothing_new(client, kube_server, kube_namespace):
    kind = client.discovery.kind(GATEWAY, "HTTPRoute")
    kube_server.call("DELETE", f"/api/v1/namespaces/{kube_namespace}")

    with pytest.raises(ObjectFailedError) as ending:
        client.apply(kind, route(kube_namespace), manager=MANAGER)

    assert reason_of(ending.value) is Reason.NAMESPACE_TERMINATING


def test_credential_without_rights_and_none_at_all(client, kube_server, kube_namespace):
    kind = client.discovery.kind(GATEWAY, "HTTPRoute")
    poor = Connection.from_kubeconfig(kube_server.kubeconfig("nobody"))

    with pytest.raises(ObjectFailedError, match='User "nobody" cannot patch') as forbidden:
        client_for(poor).apply(kind, route(kube_namespace), manager=MANAGER)
    assert reason_of(forbidden.value) is Reason.FORBIDDEN
    with pytest.raises(PermanentError) as expired:
        client_for(replace(poor, token="gone")).get("/api")
    assert reason_of(expired.value) is Reason.CREDENTIAL_REFUSED


def test_server_of_another_authority_is_not_trusted(kube_server):
    connection = Connection.from_kubeconfig(kube_server.kubeconfig())

    with pytest.raises(PermanentError, match="TLS handshake failed") as untrusted:
        Client(replace(connection, certificate_authority="")).get("/api")
    assert reason_of(untrusted.value) is Reason.CERTIFICATE_REFUSED
    with pytest.raises(PermanentError, match="certificates cannot be used"):
        Client(replace(connection, certificate_authority="-----BEGIN nothing"))


def test_client_is_kept_for_a_connection(client, kube_server):
    connection = Connection.from_kubeconfig(kube_server.kubeconfig())

    assert client_for(connection) is client
    assert client_for(replace(connection, token="other")) is not client


def test_server_that_accepts_and_says_nothing_times_out(monkeypatch):
    monkeypatch.setattr(client_module, "CONNECT_SECONDS", 0.2)  # The handshake is part of it.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        quiet = Client(Connection(server=f"https://127.0.0.1:{port}", token="t"))

        with pytest.raises(TransientError) as late:
            quiet.get("/api")

    assert reason_of(late.value) is Reason.TIMED_OUT


def test_killed_server_is_unreachable_and_serves_again_after_its_restart(client, kube_server):
    kube_server.kill()
    try:
        with pytest.raises(TransientError, match="Connection refused") as gone:
            client.get("/api")
    finally:
        kube_server.start()

    assert reason_of(gone.value) is Reason.PROXY_UNREACHABLE
    assert client.get("/api") is not None
