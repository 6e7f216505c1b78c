"""The page of a cluster: its connection is entered, tested by a worker, and never shown again."""

import re

import pytest
from cryptography.fernet import Fernet
from django.urls import reverse

from portal.tests.test_pages import INLINE
from proxyconfig.models import ClusterAccess
from proxyconfig.services import cluster_access
from tenants.domain.roles import PlatformRole
from tenants.models import platform_scope
from tenants.tests.factories import ClusterFactory
from tenants.tests.people import person

pytestmark = pytest.mark.django_db
PAGE = "/platform/clusters/east/"


@pytest.fixture(autouse=True)
def east(settings):
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    return ClusterFactory(name="east", flavour="gateway")


def typed(**values: str) -> dict[str, str]:
    return {
        "method": "token",
        "server": "https://127.0.0.1:1",
        "credential": "s3cret-token",
        "gateway_class": "traefik",
        "proxy_namespaces": "traefik, ingress",
        "drift_policy": "heal",
        **values,
    }


def test_connection_is_saved_tested_and_its_credential_never_shown(ada, east, broker):
    saved = ada.client.post(PAGE, typed())
    waiting = ada.client.get(PAGE)
    cluster_access.check(east.pk)
    tested = ada.client.get(PAGE)

    assert (saved.status_code, saved["Location"]) == (302, PAGE)
    assert 'hx-trigger="every 1s"' in waiting.text
    assert "cannot be reached: Connection refused" in tested.text
    assert 'hx-trigger="every 1s"' not in tested.text
    assert "s3cret-token" not in waiting.text + tested.text
    assert tested.context["form"]["proxy_namespaces"].value() == "traefik, ingress"
    assert not INLINE.search(tested.text)


def test_state_alone_is_what_the_page_asks_for_again(ada, broker):
    ada.client.post(PAGE, typed())

    part = ada.client.get(PAGE, headers={"HX-Request": "true"})

    assert part.text.lstrip().startswith("<section")
    assert '<form method="post" class="panel"' not in part.text


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        ({"credential": ""}, "credential", "Enter the kubeconfig or the token."),
        ({"server": "10.0.0.1"}, "server", "must begin with https://"),
        ({"method": "kubeconfig", "credential": "nonsense"}, "credential", "not a kubeconfig"),
        ({"gateway_class": "Not A Name"}, "gateway_class", "Use the name of a GatewayClass"),
        ({"proxy_namespaces": ""}, "proxy_namespaces", "required"),
        ({"proxy_namespaces": "a, ../b"}, "proxy_namespaces", "Use names of namespaces"),
        ({"method": "carrier pigeon"}, "method", "Select a valid choice"),
    ],
)
def test_what_reaches_nothing_is_said_at_its_field(ada, broker, wrong, field, says):
    refused = ada.client.post(PAGE, typed(**wrong))

    assert refused.status_code == 400
    assert "s3cret-token" not in refused.text
    assert says in " ".join(refused.context["form"].errors[field])
    with platform_scope("test"):
        assert not ClusterAccess.objects.exists()


def test_staff_read_it_and_administrators_change_it(ada, alice, acme, broker):
    ada.client.post(PAGE, typed())
    check = reverse("proxyconfig:cluster-check", args=["east"])
    nora, otto = (
        person(name, acme, None, platform_role=role)
        for name, role in (("nora", PlatformRole.NETOPS), ("otto", PlatformRole.AUDITOR))
    )

    for who, may_check in ((nora, True), (otto, False)):
        page = who.client.get(PAGE)
        assert page.status_code == 200
        assert re.search(r"<fieldset disabled>", page.text)
        assert (check in page.text) is may_check
        assert who.client.post(PAGE, typed()).status_code == 403
        assert who.client.post(check).status_code == (302 if may_check else 403)
    assert alice.client.get(PAGE).status_code in (403, 404)


def test_local_proxy_has_nothing_to_connect(ada, cluster):
    page = ada.client.get(f"/platform/clusters/{cluster.name}/")

    assert "Nothing to connect" in page.text
    assert ada.client.get("/platform/clusters/nowhere/").status_code == 404
