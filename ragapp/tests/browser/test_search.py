"""The search page, as a reader sees it."""

import pytest
from playwright.sync_api import expect

from ragapp.models import Document
from ragapp.tests.factories import CorpusFactory, indexed
from tenants.models import tenant_scope

pytestmark = [pytest.mark.browser, pytest.mark.model]

TEXTS = [
    "A SNAT pool is a set of addresses that a tenant's connections leave from.",
    "Default deny: a tenant without an egress policy reaches nothing outside.",
    "The proxy answers within a second after a change was applied.",
]


@pytest.fixture
def corpus(acme, embedder):
    corpus = CorpusFactory(tenant=acme, name="handbook")
    document = indexed(corpus, TEXTS, embedder.embed_documents(TEXTS))
    with tenant_scope(acme.pk):
        Document.objects.filter(pk=document.pk).update(title="Egress guide")
    return corpus


def test_search_leads_to_the_passage_in_its_document(tab, bob, acme, corpus):
    reader = tab(bob.user)

    reader.open(f"/t/{acme.slug}/search/")
    reader.look("search-empty")
    reader.page.get_by_role("searchbox", name="Search for").fill("snat pools of a tenant")
    reader.page.get_by_role("button", name="Search").click()

    first = reader.page.get_by_role("listitem").filter(has_text="Meaning").first
    expect(first).to_contain_text("A SNAT pool is a set")
    expect(first.locator("mark").first).to_have_text("SNAT")
    expect(first.get_by_text("#1")).to_have_count(2)
    reader.look("search-results")
    first.get_by_role("link").click()
    expect(reader.page.get_by_text("A SNAT pool is a set")).to_be_visible()


def test_search_that_filters_leave_nothing_says_so(tab, bob, acme, corpus):
    reader = tab(bob.user)

    reader.open(f"/t/{acme.slug}/search/?q=snat&title=nowhere&label=team:net")

    expect(reader.page.get_by_text("Nothing that you may read fits these filters")).to_be_visible()
    reader.look("search-filtered")
