"""Usage, as NetOps see it."""

import pytest
from playwright.sync_api import expect

from ragapp.tests.api.test_usage import used
from tenants.tests.factories import ApiTokenFactory, QuotaFactory

pytestmark = pytest.mark.browser


def test_netops_see_what_was_used_and_limit_a_token(tab, alice, acme):
    ApiTokenFactory(tenant=acme, name="ci", user=alice.user)
    QuotaFactory(tenant=acme, resource="requests-per-day", limit=2)
    for number in range(2):
        used(acme, f"{number:032x}", tokens_in=12_000, tokens_out=3_400, milliseconds=5200)
    used(acme, "f" * 32, tokens_in=700, used_by="token:ci", corpus="docs", model="large")
    reader = tab(alice.user)

    reader.open("/t/acme/usage/")
    reader.look("usage")
    reader.page.get_by_label("What").select_option(label="Requests per day")
    reader.page.get_by_label("Whose").select_option(label="ci")
    reader.page.get_by_label("Limit", exact=False).last.fill("1")
    reader.page.get_by_role("button", name="Set", exact=True).click()

    expect(reader.page.get_by_text("token ci")).to_be_visible()


def test_empty_usage_says_what_will_stand_there(tab, bob, acme):
    reader = tab(bob.user)

    reader.open("/t/acme/usage/")
    reader.look("usage-empty")

    expect(reader.page.get_by_text("Nothing was used in these days")).to_be_visible()


def test_platform_admin_compares_tenants(tab, ada, acme, globex):
    used(acme, "a" * 32, tokens_in=12_345, tokens_out=678, milliseconds=999)
    used(globex, "b" * 32, tokens_in=99)
    reader = tab(ada.user)

    reader.open("/usage/")
    reader.look("usage-overview")

    expect(reader.page.get_by_role("link", name="acme")).to_be_visible()
