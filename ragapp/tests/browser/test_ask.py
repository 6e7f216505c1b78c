"""Asking, as a reader sees it: the conversation, the answer with its sources, and the way out."""

import pytest
from playwright.sync_api import expect

from proxyconfig.tests.factories import ConnectionFactory
from ragapp.models import Chunk
from ragapp.tests.factories import ConversationFactory, CorpusFactory, RunFactory, indexed
from tenants.models import tenant_scope
from tenants.tests.factories import QuotaFactory

pytestmark = pytest.mark.browser

TEXT = (
    "Every tenant leaves the cluster from addresses of its own. A SNAT pool is a set of source"
    " addresses for connections that leave the cluster. It has at most 64 of them."
)
CLAIM = "A SNAT pool is a set of source addresses for connections that leave the cluster."


@pytest.fixture
def answered(acme):
    """The second question of a conversation, answered from one passage."""
    corpus = CorpusFactory(tenant=acme, name="docs")
    document = indexed(corpus, [TEXT])
    with tenant_scope(acme.pk):
        chunk = Chunk.objects.get(document_id=document.pk)
    thread = ConversationFactory(tenant=acme, owner="alice", title="What is a VLAN?", corpus=corpus)
    said = {"tenant": acme, "conversation": thread, "corpus": corpus, "state": "Succeeded"}
    RunFactory(**said, question="What is a VLAN?", answer="A tag on a trunk. [1]", end="Found")
    start = TEXT.index(CLAIM)
    run = RunFactory(
        **said,
        question="And what is a SNAT pool for?",
        end="Found",
        route="local",
        answer=f"{CLAIM} [1] It is green.",
        sentences=[
            {
                "text": CLAIM,
                "support": "Cited",
                "passages": [1],
                "spans": [{"passage": 1, "start": start, "end": start + len(CLAIM)}],
            },
            {"text": "It has 99 members.", "support": "Unsupported", "passages": [],
             "missing_literals": ["99"]},
        ],
        citations=[
            {
                "number": 1, "is_cited": True, "source": "local", "title": "SNAT pools",
                "section": ["Reference", "Limits"], "page": 3, "url": document.url,
                "chunk_id": chunk.id, "document_id": document.pk, "start": 0, "end": len(TEXT),
                "score": 0.91, "text": "",
            }
        ],
    )  # fmt: skip
    ConnectionFactory(tenant=acme, trace_id=run.trace_id)
    return run


def test_the_empty_page_offers_questions(tab, alice, acme):
    reader = tab(alice.user)

    reader.open(f"/t/{acme.slug}/ask/")
    reader.look("ask-empty")

    expect(reader.page.get_by_role("button", name="What is a SNAT pool for?")).to_be_visible()


def test_a_citation_opens_its_passage_with_the_exact_span_marked(tab, alice, acme, answered):
    reader = tab(alice.user)

    reader.open(f"/t/{acme.slug}/ask/{answered.trace_id}/")
    reader.page.get_by_role("link", name="Source 1").first.click()

    expect(reader.page.locator("mark")).to_have_text(CLAIM)
    expect(reader.page.get_by_text("What is a VLAN?").first).to_be_visible()
    expect(reader.page.get_by_role("button", name="Follow up")).to_be_visible()
    reader.look("ask-answer")


def test_a_question_that_waits_shows_the_way_and_can_be_stopped(tab, alice, acme):
    run = RunFactory(tenant=acme, question="What is drift?")
    reader = tab(alice.user)

    reader.open(f"/t/{acme.slug}/ask/{run.trace_id}/")
    reader.look("ask-live")
    reader.page.get_by_role("button", name="Stop").click()

    expect(reader.page.get_by_text("Stopped.").first).to_be_visible()


def test_ends_without_an_answer_say_why_and_whom_to_ask(tab, alice, acme):
    blocked = RunFactory(
        tenant=acme,
        question="Who won the cup in 1998?",
        state="Succeeded",
        end="Blocked",
        route="web",
        answer="search.example.org:443 was refused by the rule acme/default-deny.",
        end_message="A netops of acme can add an egress policy for it.",
    )
    sought = RunFactory(
        tenant=acme,
        question="What is a gate valve?",
        state="Succeeded",
        end="NotFound",
        route="local",
        answer="Nothing in the corpus docs answers this. Looked at: SNAT pools.",
    )
    reader = tab(alice.user)

    reader.open(f"/t/{acme.slug}/ask/{blocked.trace_id}/")
    expect(reader.page.get_by_text("acme/default-deny").first).to_be_visible()
    expect(reader.page.get_by_text("A netops of acme can add").first).to_be_visible()
    reader.look("ask-blocked")
    reader.open(f"/t/{acme.slug}/ask/{sought.trace_id}/")
    expect(reader.page.get_by_text("Looked at: SNAT pools.").first).to_be_visible()
    reader.look("ask-not-found")


def test_a_spent_limit_is_shown_with_its_use_and_its_reset(tab, alice, acme):
    QuotaFactory(tenant=acme, resource="requests-per-day", limit=0)
    reader = tab(alice.user)

    reader.open(f"/t/{acme.slug}/ask/")
    reader.page.get_by_label("Question").fill("What is drift?")
    reader.page.get_by_role("button", name="Ask", exact=True).click()

    expect(reader.page.get_by_text("It resets at").first).to_be_visible()
    reader.look("ask-limit")


def test_a_trace_is_reached_from_its_answer(tab, alice, acme, answered):
    reader = tab(alice.user)

    reader.open(f"/t/{acme.slug}/ask/{answered.trace_id}/")
    reader.page.get_by_role("link", name="How it was reached").click()

    expect(reader.page.get_by_role("heading", level=1)).to_contain_text("SNAT pool")
    reader.look("trace")
