"""The choice of a web search service, as MLOps see it."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_a_service_is_chosen_and_a_missing_key_is_told_at_its_field(tab, alice, acme):
    reader = tab(alice.user)

    reader.open(f"/t/{acme.slug}/web-search/")
    reader.look("web-search")
    reader.page.get_by_label("Service").select_option("brave")
    reader.page.get_by_role("button", name="Save").click()
    expect(reader.page.get_by_text("There is no key for brave").first).to_be_visible()
    reader.page.get_by_label("Service").select_option("none")
    reader.page.get_by_role("button", name="Save").click()

    expect(reader.page.get_by_text("Questions ask this service from now on.")).to_be_visible()
