"""From an empty platform to a tenant with a network and an open address, with a mouse alone."""

import re

import pytest
from playwright.sync_api import expect

from proxyconfig.services.rows import build_intent
from tenants.domain.roles import PlatformRole
from tenants.models import Tenant, User, platform_scope, tenant_scope
from tenants.tests.factories import ClusterFactory, UserFactory

pytestmark = pytest.mark.browser

POOLS = (
    ("virtual", "127.60.0.0/16", "Single addresses"),
    ("snat", "127.61.0.0/16", "Single addresses"),
    ("tenants", "10.224.0.0/12", "Subnets"),
)


@pytest.fixture
def netops(transactional_db) -> User:
    """NetOps of a platform that has a cluster and nothing else."""
    ClusterFactory(name="local")
    return UserFactory(username="pat", platform_role=PlatformRole.NETOPS.value)


def test_network_of_a_first_tenant_is_defined_in_the_portal(tab, netops):
    member = UserFactory(username="nora")
    platform = tab(netops)
    page = platform.page
    the_address_space_is_written_down(platform)
    the_template_is_written(platform)

    platform.open("/platform/tenants/")
    page.get_by_role("link", name="New tenant").first.click()
    page.get_by_label("Name", exact=True).fill("initech")
    page.get_by_label("Display name").fill("Initech")
    page.get_by_label("Template").select_option("standard")
    page.get_by_label("NetOps").first.fill("nora")
    page.get_by_label("Reason").fill("the first customer")
    platform.look("tenant-new")
    page.get_by_role("button", name="Create tenant").click()
    page.wait_for_url(re.compile(r"/t/initech/plans/[0-9]+/$"))
    platform.look("tenant-plan")

    with platform_scope("test"):
        tenant = Tenant.objects.get(slug="initech")
    with tenant_scope(tenant.pk):
        intent = build_intent(tenant)
    assert [entry.address for entry in intent.virtual_addresses] == ["127.60.0.1"]
    assert [pool.addresses for pool in intent.snat_pools] == [("127.61.0.1",)]
    assert [entry.vlan.tag for entry in intent.segments] == [300]
    assert [entry.name for entry in intent.namespaces] == ["initech"]

    platform.open("/platform/address-space/?q=127.60.0.1")
    expect(page.get_by_text("initech").first).to_be_visible()
    platform.look("address-space")

    own = tab(member)  # Signing in ends the other session of this test's client.
    own.open("/t/initech/policies/")
    own.page.get_by_role("link", name="Add ingress").click()
    own.page.get_by_label("Name", exact=True).fill("web")
    own.page.get_by_role("button", name="Review plan").click()
    expect(own.page.get_by_text("Any client can reach 127.60.0.1:8080")).to_be_visible()
    own.page.get_by_label("Reason").fill("open the door")
    own.page.get_by_role("button", name="Apply", exact=True).click()
    own.page.wait_for_url(re.compile(r"/plans/[0-9]+/$"))


def the_address_space_is_written_down(platform) -> None:
    page = platform.page
    for name, prefix, purpose in POOLS:
        platform.open("/platform/address-space/")
        page.get_by_role("link", name="Add pool").first.click()
        page.get_by_label("Name", exact=True).fill(name)
        page.get_by_label("Prefix").fill(prefix)
        page.get_by_label("For", exact=True).select_option(label=purpose)
        page.locator("main").get_by_role("button", name=re.compile("Save|Add|Create")).click()
        expect(page.get_by_role("link", name=name, exact=True).first).to_be_visible()
    platform.open("/platform/address-space/")
    page.get_by_role("link", name="Add VLAN range").first.click()
    page.get_by_label("Name", exact=True).fill("vlans")
    page.get_by_label("Cluster").select_option("local")
    page.get_by_label("First").fill("300")
    page.get_by_label("Last").fill("309")
    page.locator("main").get_by_role("button", name=re.compile("Save|Add|Create")).click()
    expect(page.get_by_role("link", name="vlans", exact=True).first).to_be_visible()


def the_template_is_written(platform) -> None:
    page = platform.page
    platform.open("/platform/templates/")
    page.get_by_role("link", name="Add template").first.click()
    page.get_by_label("Name", exact=True).first.fill("standard")
    page.get_by_label("VLAN range").select_option("vlans")
    page.get_by_label("Subnets").first.fill("tenants /24")
    page.get_by_label("Virtual addresses").first.fill("virtual 1")
    page.get_by_label("SNAT addresses").first.fill("snat 1")
    page.get_by_label("Namespaces").first.fill("{tenant}")
    platform.look("template")
    page.locator("main").get_by_role("button", name=re.compile("Save|Add|Create")).click()
    expect(page.get_by_text("Template standard was saved.")).to_be_visible()
