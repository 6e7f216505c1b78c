"""A tenant's network, defined by a person with a mouse, from grants to a policy."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from proxyconfig.models import Placement
from tenants.models import Purpose, platform_scope
from tenants.tests.factories import (
    AddressPoolFactory,
    NamespaceGrantFactory,
    PrefixGrantFactory,
    VlanGrantFactory,
    VlanRangeFactory,
)
from tests.browser.tabs import NARROW, Tab

pytestmark = pytest.mark.browser


@pytest.fixture
def granted(acme, cluster):
    tags = VlanRangeFactory(cluster=cluster, first=200, last=209)
    VlanGrantFactory(tenant=acme, vlan_range=tags)
    for prefix, purpose in (
        ("10.200.0.0/16", Purpose.SUBNETS),
        ("127.50.0.0/24", Purpose.ADDRESSES),
    ):
        PrefixGrantFactory(
            tenant=acme, pool=AddressPoolFactory(prefix=prefix, purpose=purpose.value)
        )
    NamespaceGrantFactory(tenant=acme, cluster=cluster, pattern="acme-*")


def apply(tab, reason: str, *, picture: str = "", button: str = "Apply") -> None:
    tab.page.get_by_role("button", name="Review plan").click()
    expect(tab.page.get_by_role("heading", name="Review the plan")).to_be_visible()
    if picture:
        tab.look(picture)
    tab.page.get_by_label("Reason").fill(reason)
    tab.page.get_by_role("button", name=button, exact=True).click()
    tab.page.wait_for_url(re.compile(r"/plans/[0-9]+/$"))


def test_network_is_defined_and_a_policy_opens_it(tab, alice, granted):
    netops = tab(alice.user)
    page = netops.page
    netops.open("/t/acme/networks/")
    netops.look("networks-empty")

    page.get_by_role("link", name="Add the first segment").click()
    page.get_by_label("Name", exact=True).fill("front")
    page.get_by_role("button", name="Next free VLAN tag").click()
    expect(page.get_by_label("VLAN tag")).to_have_value("200")
    page.get_by_role("button", name="Next free Subnets").click()
    expect(page.get_by_label("Subnets")).to_have_value("10.200.0.0/24 10.200.0.1")
    netops.look("segment-form")
    apply(netops, "the first network", picture="segment-review")
    netops.look("plan-applied")

    netops.open("/t/acme/networks/new/namespaces/")
    page.get_by_label("Name", exact=True).fill("acme-rag")
    apply(netops, "where the service is")
    netops.open("/t/acme/networks/new/virtual-addresses/")
    page.get_by_role("button", name="Next free Address").click()
    apply(netops, "where clients connect")
    netops.open("/t/acme/networks/new/snat-pools/")
    page.get_by_label("Name", exact=True).fill("out")
    page.get_by_role("button", name="Next free Addresses").click()
    apply(netops, "where connections leave from")

    netops.open("/t/acme/policies/")
    netops.look("policies-empty")
    page.get_by_role("link", name="Add ingress").click()
    page.get_by_label("Name", exact=True).fill("web")
    page.get_by_label("Allowed sources").fill("10.0.0.0/8")
    netops.look("ingress-form")
    # Enter sends the form to its review, not to the first button beside a field.
    page.get_by_label("Name", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="Review the plan")).to_be_visible()
    expect(page.get_by_text("can reach 127.50.0.1:8080")).to_be_visible()
    netops.look("ingress-review")
    page.get_by_role("button", name="Edit", exact=True).click()
    apply(netops, "open the door")

    netops.open("/t/acme/networks/")
    expect(page.get_by_role("link", name="front")).to_be_visible()
    expect(page.get_by_text("1 of 254")).to_be_visible()
    netops.look("networks")


def test_private_destination_waits_for_a_platform_administrator(tab, alice, ada, cluster):
    netops = tab(alice.user)
    netops.open("/t/acme/policies/new/egress/")
    netops.page.get_by_label("Name", exact=True).fill("docs")
    netops.page.get_by_label("Destinations").fill("127.30.0.10/32:8081")
    netops.page.get_by_role("button", name="Review plan").click()
    expect(netops.page.get_by_text("Only a platform administrator")).to_be_visible()
    netops.look("egress-review")
    netops.page.get_by_label("Reason").fill("the document site")
    netops.page.get_by_role("button", name="Ask for approval").click()
    netops.page.wait_for_url(re.compile(r"/plans/[0-9]+/$"))
    url = netops.page.url.removeprefix(netops.url)
    netops.open("/t/acme/policies/")
    expect(netops.page.get_by_role("heading", name="Pending")).to_be_visible()
    netops.look("policies-pending")

    admin = tab(ada.user)
    admin.open(url)
    admin.look("plan-decide")
    admin.page.get_by_label(re.compile("Grant")).check()
    admin.page.get_by_label("Comment").fill("fine")
    admin.page.get_by_role("button", name="Approve and apply").click()
    expect(admin.page.get_by_text("Approved", exact=True).first).to_be_visible()

    admin.open("/t/acme/policies/egress/docs/")
    expect(admin.page.get_by_label(re.compile("Grant"))).to_be_checked()
    admin.look("egress-form")


def test_two_tabs_do_not_lose_an_update(tab, alice, granted):
    first = tab(alice.user)
    second = Tab(first.url, first.page.context.new_page())
    first.open("/t/acme/networks/new/segments/")
    first.page.get_by_label("Name", exact=True).fill("front")
    apply(first, "the first network")
    for one in (first, second):
        one.open("/t/acme/networks/segments/front/")
    second.page.get_by_label("Description").fill("the second tab's")
    apply(second, "one more line")

    first.page.get_by_label("Description").fill("the first tab's")
    first.page.get_by_role("button", name="Review plan").click()

    expect(first.page.get_by_text("Somebody changed this meanwhile")).to_be_visible()
    expect(first.page.get_by_label("Description")).to_have_value("the first tab's")
    first.look("segment-moved")
    first.page.get_by_role("button", name="Review again").click()
    expect(first.page.get_by_role("heading", name="Review the plan")).to_be_visible()


def test_paused_tenant_says_what_it_still_serves(tab, alice, acme, cluster):
    with platform_scope("test"):
        type(acme).objects.filter(pk=acme.pk).update(is_paused=True)
        Placement.objects.create(
            tenant=acme, cluster=cluster, observed_generation=3, next_check_at=timezone.now()
        )
    netops = tab(alice.user)

    netops.open("/t/acme/policies/")

    expect(netops.page.get_by_text("Paused: still serving revision 3")).to_be_visible()


CUT_OFF = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth).length"
NARROWEST = "cells => Math.min(...cells.map(cell => cell.clientWidth))"


def test_values_are_whole_on_a_small_screen(tab, alice, ada, network):
    netops = tab(alice.user)
    page = netops.page
    page.set_viewport_size(NARROW)
    netops.open("/t/acme/policies/new/ingress/")
    page.get_by_label("Name", exact=True).fill("public-frontend")
    page.get_by_label("Port", exact=True).fill("80")
    page.get_by_role("button", name="Review plan").click()
    expect(page.get_by_role("heading", name="Review the plan")).to_be_visible()
    assert page.locator(".table-box:has(.diff-fields:visible)").count()
    assert page.locator(".table-box:has(.diff-fields:visible)").evaluate_all(CUT_OFF) == 0
    page.get_by_label("Reason").fill("for readers outside")
    page.get_by_role("button", name="Ask for approval").click()
    page.wait_for_url(re.compile(r"/plans/[0-9]+/$"))
    assert page.locator(".table-box:has(.diff-fields:visible)").evaluate_all(CUT_OFF) == 0

    netops.open("/t/acme/policies/")
    assert page.locator("tbody th.break").evaluate_all(NARROWEST) >= 140

    platform = tab(ada.user)
    platform.page.set_viewport_size(NARROW)
    platform.open("/platform/address-space/grants/")
    line = "cells => Math.max(...cells.map(cell => cell.clientHeight))"
    assert platform.page.locator("tbody td.mono").evaluate_all(line) < 50
