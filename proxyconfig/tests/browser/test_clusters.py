"""A cluster is added and connected with a mouse; the page says when Sluice can work there."""

import pytest
from cryptography.fernet import Fernet
from playwright.sync_api import expect

from proxyconfig.services import cluster_access
from tenants.models import Cluster
from tenants.tests.factories import UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.kube]


def test_cluster_is_connected_in_the_portal(tab, transactional_db, kube_server, settings, broker):
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    platform = tab(UserFactory(username="ada", is_superuser=True, is_staff=True))
    page = platform.page
    platform.open("/platform/address-space/clusters/")
    page.get_by_role("link", name="Add cluster").click()
    page.get_by_label("Name", exact=True).fill("east")
    page.get_by_label("Proxy").select_option("gateway")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="east", exact=True).click()
    expect(page.get_by_text("Not connected yet")).to_be_visible()

    page.get_by_label("Kubeconfig or token").fill(kube_server.kubeconfig())
    page.get_by_label("GatewayClass").fill("missing")
    page.get_by_label("Namespaces of the proxy").fill("kube-system")
    page.get_by_role("button", name="Save and test").click()
    cluster_access.check(Cluster.objects.get(name="east").pk)

    expect(page.get_by_text("GatewayClass missing")).to_be_visible()
    platform.look("cluster-connected")
