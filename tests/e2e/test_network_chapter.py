"""Define a tenant's network: from an empty platform to a reachable address, with a mouse alone.

The steps of docs/tutorial/define-a-tenants-network.md, in its order and with its names; only the
ports are free ones. Nothing is asked of the REST API. The names and addresses are not the demo's,
so that the chapter also works beside it.
"""

import re
from collections.abc import Callable

import httpx2
import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import free_port
from tests.e2e.portal import Portal
from tests.e2e.service import is_reachable
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

PASSWORD = "four-quiet-otters-9"
GIVEN, TAKEN = "127.50.0.1", "127.50.0.2"
PEOPLE = {"pat": "netops", "nora": "", "dan": ""}


def test_network_of_a_tenant_is_defined_from_an_empty_platform(
    portal: Portal, enter: Callable[[str, str], Portal], anybody: httpx2.Client
) -> None:
    port = free_port(TAKEN)
    url = f"http://{TAKEN}:{port}/healthz"
    people_get_accounts(portal)
    pat = enter("pat", PASSWORD)
    the_address_space_is_defined(pat)
    a_template_says_what_a_tenant_gets(pat)
    a_tenant_is_made_from_it(pat)
    nora = enter("nora", PASSWORD)
    a_segment_is_added(nora)
    a_virtual_address_is_added(nora)
    assert not is_reachable(TAKEN, port)
    a_policy_opens_the_address(nora, port)
    until(lambda: is_reachable(TAKEN, port), "the virtual address answers")
    assert anybody.get(url).json() == {"tenant": "initech"}
    the_guardrails_are_tightened(pat)
    plan = a_change_beyond_them_waits(nora, port)
    only_allowed_clients_get_in(anybody, url)
    it_is_approved(pat, plan, port)
    until(lambda: client_from("127.0.0.9", url).is_success, "any client may connect")
    devops_see_no_network_buttons(nora, enter)
    what_is_in_use_stays(nora)


def people_get_accounts(admin: Portal) -> None:
    for name, role in PEOPLE.items():
        admin.choose("People", "Add person")
        admin.save({"User name": name, "Password": PASSWORD, "Platform role": role})


def the_address_space_is_defined(pat: Portal) -> None:
    for name, prefix, purpose in (
        ("in", "127.50.0.0/24", "addresses"),
        ("out", "127.60.0.0/24", "addresses"),
        ("subnets", "10.200.0.0/16", "subnets"),
    ):
        pat.choose("Address space", "Add pool")
        pat.save({"Name": name, "Prefix": prefix, "For": purpose})
    pat.choose("Add VLAN range")
    pat.save({"Name": "racks", "Cluster": "local", "First tag": "200", "Last tag": "299"})
    pat.shoot("address-space")


def a_template_says_what_a_tenant_gets(pat: Portal) -> None:
    pat.choose("Templates", "Add template")
    pat.save(
        {
            "Name": "small",
            "VLAN range": "racks",
            "Subnets": "subnets /24",
            "Virtual addresses": "in 1",
            "SNAT addresses": "out 1",
            "Namespaces": "{tenant}",
        }
    )


def a_tenant_is_made_from_it(pat: Portal) -> None:
    pat.choose("Tenants", "New tenant")
    pat.save(
        {
            "Name": "initech",
            "Display name": "Initech",
            "Template": "small",
            "NetOps": "nora",
            "Reason": "The first customer.",
        },
        button="Create tenant",
    )
    pat.page.wait_for_url(re.compile(r"/t/initech/plans/[0-9]+/$"))
    said = pat.text()
    assert "Segment initech-vlan" in said
    assert GIVEN in said
    assert "127.60.0.1" in said


def a_segment_is_added(nora: Portal) -> None:
    nora.choose("Networks", "Add segment")
    nora.fill({"Name": "storage"})
    assert nora.next_free("VLAN tag") == "201"
    assert nora.next_free("Subnets") == "10.200.1.0/24 10.200.1.1"
    assert "Segment storage" in nora.review()
    nora.apply("The storage network.")


def a_virtual_address_is_added(nora: Portal) -> None:
    nora.choose("Networks", "Add virtual address")
    assert nora.next_free("Address") == TAKEN
    nora.review()
    nora.apply("One more address for clients.")
    nora.choose("Networks")
    assert "1 of 254" in nora.text()
    nora.shoot("networks-defined")


def a_policy_opens_the_address(nora: Portal, port: int) -> None:
    nora.choose("Policies", "Add ingress")
    nora.fill(
        {
            "Name": "web",
            "Virtual address": TAKEN,
            "Port": str(port),
            "Allowed sources": "127.0.0.0/30",
        }
    )
    assert f"127.0.0.0/30 can reach {TAKEN}:{port}" in nora.review()
    nora.apply("The first clients.")


def the_guardrails_are_tightened(pat: Portal) -> None:
    pat.choose("Settings", "Guardrails")
    pat.save({"Open ports from": "65536", "Reason": "No address is open to anybody unseen."})


def a_change_beyond_them_waits(nora: Portal, port: int) -> str:
    nora.choose("Policies", "web")
    nora.fill({"Allowed sources": ""})
    said = nora.review()
    assert f"Any client can reach {TAKEN}:{port}" in said
    assert "Manual approval required" in said
    nora.shoot("plan-review")
    plan = nora.apply("Everybody is welcome.", button="Ask for approval")
    assert "another NetOps member must approve it" in nora.text()

    nora.choose("Policies")
    expect(nora.page.get_by_role("heading", name="Pending")).to_be_visible()
    in_force = nora.page.locator("section[aria-labelledby=ingress]").inner_text()
    assert "127.0.0.0/30" in in_force
    assert "any source" not in in_force
    return plan


def only_allowed_clients_get_in(anybody: httpx2.Client, url: str) -> None:
    assert anybody.get(url).status_code == 200
    assert client_from("127.0.0.9", url).status_code == 403


def it_is_approved(pat: Portal, plan: str, port: int) -> None:
    pat.choose("Plans")
    pat.page.locator(f"a[href='{plan}']").first.click()
    expect(pat.page.get_by_text(f"Any client can reach {TAKEN}:{port}", exact=True)).to_be_visible()
    pat.shoot("plan-decide")
    pat.page.get_by_label("Comment").fill("Agreed.")
    pat.page.get_by_role("button", name="Approve and apply").click()
    expect(pat.page.get_by_role("heading", name="On the proxy")).to_be_visible()


def devops_see_no_network_buttons(nora: Portal, enter: Callable[[str, str], Portal]) -> None:
    nora.choose("Settings")
    nora.save({"User name": "dan", "Role": "devops"}, button="Add member")
    dan = enter("dan", PASSWORD)
    dan.choose("Networks")
    expect(dan.page.get_by_role("link", name="storage", exact=True)).to_be_visible()
    expect(dan.page.get_by_role("link", name=re.compile("^Add "))).to_have_count(0)
    dan.choose("storage")
    expect(dan.page.get_by_text("You can view this, but not change it.")).to_be_visible()
    expect(dan.page.get_by_role("button", name="Review plan")).to_have_count(0)
    dan.choose("Policies")
    expect(dan.page.get_by_role("link", name="Add ingress", exact=True)).to_be_visible()


def what_is_in_use_stays(nora: Portal) -> None:
    nora.choose("Policies", "Add egress")
    nora.fill({"Name": "docs", "Destinations": "docs.example.org:443"})
    nora.page.locator("summary").filter(has_text="Advanced").click()
    nora.fill({"SNAT pool": "default"})
    nora.review()
    nora.apply("Where the documents are.")

    nora.choose("Networks", "default", "Delete")
    expect(nora.page.get_by_role("alert")).to_contain_text("egress policy docs")
    nora.choose("Networks")
    expect(nora.page.get_by_role("link", name="default", exact=True)).to_be_visible()


def client_from(source: str, url: str) -> httpx2.Response:
    transport = httpx2.HTTPTransport(local_address=source)
    with httpx2.Client(transport=transport, timeout=30) as client:
        return client.get(url)
