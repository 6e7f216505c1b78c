"""The list of runs, as a reader sees it."""

import pytest
from playwright.sync_api import expect

from ragapp.tests.factories import RunFactory

pytestmark = pytest.mark.browser


def test_run_list_leads_to_the_trace(tab, alice, acme):
    run = RunFactory(tenant=acme, question="What is a SNAT pool for?", state="Succeeded")
    reader = tab(alice.user)

    reader.open(f"/t/{acme.slug}/runs/")
    reader.look("run-list")
    reader.page.get_by_role("link", name="What is a SNAT pool for?").first.click()

    expect(reader.page.get_by_text(run.trace_id).first).to_be_visible()
