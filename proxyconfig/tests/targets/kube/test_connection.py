"""Connections: what a kubeconfig or a pod gives, and what is refused in which words."""

import base64

import pytest
import yaml

from proxyconfig.targets.kube.connection import Connection
from tenants.errors import InvalidError

PEM = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
ENCODED = base64.b64encode(PEM.encode()).decode()


def kubeconfig(*, cluster: dict | None = None, user: dict | None = None, **top: object) -> str:
    """A kubeconfig of one context named ``here``."""
    entry = {"server": "https://10.0.0.1:6443/", "certificate-authority-data": ENCODED}
    return yaml.safe_dump(
        {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "main", "user": "sluice"}}],
            "clusters": [{"name": "main", "cluster": entry | (cluster or {})}],
            "users": [{"name": "sluice", "user": {"token": "t0k"} if user is None else user}],
        }
        | top
    )


def test_kubeconfig_with_a_token():
    connection = Connection.from_kubeconfig(kubeconfig())

    assert connection == Connection(
        server="https://10.0.0.1:6443", certificate_authority=PEM, token="t0k"
    )
    assert "t0k" not in repr(connection)


def test_kubeconfig_with_a_client_certificate_in_a_named_context():
    user = {"client-certificate-data": ENCODED, "client-key-data": ENCODED}
    text = kubeconfig(user=user, **{"current-context": "elsewhere"})

    connection = Connection.from_kubeconfig(text, context="here")

    assert (connection.client_certificate, connection.client_key) == (PEM, PEM)
    assert connection.token == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid YAML"),
        ("[]", "not a kubeconfig"),
        ("x" * (2 << 20), "more than 1 MiB"),
        (kubeconfig(**{"current-context": ""}), "no current-context"),
        (kubeconfig(**{"current-context": "away"}), "no context named 'away'"),
        (kubeconfig(clusters=[]), "no cluster named 'main'"),
        (kubeconfig(users=None), "no user named 'sluice'"),
        (kubeconfig(cluster={"server": ""}), "has no server"),
        (kubeconfig(cluster={"server": "http://10.0.0.1"}), "must begin with https://"),
        (kubeconfig(cluster={"insecure-skip-tls-verify": True}), "insecure-skip-tls-verify"),
        (kubeconfig(cluster={"certificate-authority": "ca.crt"}), "certificate-authority names"),
        (kubeconfig(cluster={"certificate-authority-data": "bm8="}), "certificate-authority-data"),
        (kubeconfig(cluster={"proxy-url": "http://proxy"}), "proxy-url is not supported"),
        (kubeconfig(user={"exec": {"command": "aws"}}), "credential from exec"),
        (kubeconfig(user={"auth-provider": {}}), "credential from auth-provider"),
        (kubeconfig(user={"tokenFile": "token"}), "tokenFile names a file"),
        (kubeconfig(user={"client-key": "key"}), "client-key names a file"),
        (kubeconfig(user={"username": "admin"}), "has username"),
        (kubeconfig(user={"client-key-data": ENCODED}), "belong together"),
        (kubeconfig(user={}), "There is no credential"),
    ],
)
def test_what_is_missing_or_cannot_be_used_is_named(text, words):
    with pytest.raises(InvalidError, match=words):
        Connection.from_kubeconfig(text)


def test_pod_uses_its_service_account(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (tmp_path / "token").write_text("t0k\n")
    (tmp_path / "ca.crt").write_text(PEM)

    connection = Connection.in_cluster(tmp_path)

    assert connection == Connection(
        server="https://[fd00::1]:443", certificate_authority=PEM, token="t0k"
    )


def test_outside_of_a_pod_the_missing_part_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(InvalidError, match="does not run in a cluster"):
        Connection.in_cluster(tmp_path)

    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(InvalidError, match="automountServiceAccountToken"):
        Connection.in_cluster(tmp_path)
