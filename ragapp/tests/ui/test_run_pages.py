"""Questions, answers and traces on pages."""

from dataclasses import dataclass

import pytest
from django.urls import reverse

from ragapp.models import Chunk, Document, Run
from ragapp.services import corpora
from ragapp.tests.factories import ConversationFactory, CorpusFactory, RunFactory, indexed
from ragapp.ui.trace import Trace
from tenants.domain.states import AnswerEnd, OperationState
from tenants.models import tenant_scope

TEXT = "A SNAT pool is a set of addresses."


@dataclass(frozen=True)
class Answered:
    run: Run
    document: Document


@pytest.fixture
def answered(acme) -> Answered:
    """A run that was answered from one passage of a corpus."""
    document = indexed(CorpusFactory(tenant=acme, name="docs"), [TEXT])
    with tenant_scope(acme.pk):
        chunk = Chunk.objects.get(document_id=document.pk)
    citation = {
        "number": 1,
        "is_cited": True,
        "source": "local",
        "title": "SNAT",
        "section": ["Reference"],
        "page": None,
        "url": document.url,
        "chunk_id": chunk.id,
        "document_id": document.pk,
        "start": 0,
        "end": len(TEXT),
        "score": 0.9,
        "text": "",
    }
    run = RunFactory(
        tenant=acme,
        state=OperationState.SUCCEEDED.value,
        end=AnswerEnd.FOUND.value,
        answer=f"{TEXT} [1]",
        sentences=[
            {"text": TEXT, "support": "Cited", "passages": [1]},
            {"text": "It is green.", "support": "Unsupported", "passages": []},
        ],
        citations=[citation],
    )
    return Answered(run, document)


def test_question_leads_to_its_own_page_and_carries_the_trace_of_the_click(alice):
    response = alice.client.post(reverse("ragapp:ask", args=["acme"]), {"question": "Why?"})

    trace_id = response.headers["X-Trace-Id"]
    assert response.headers["Location"] == reverse("ragapp:ask-run", args=["acme", trace_id])


def test_empty_question_is_refused_on_the_form(alice):
    response = alice.client.post(reverse("ragapp:ask", args=["acme"]), {"question": "  "})

    assert list(response.context["form"].errors) == ["question"]


def test_corpus_of_another_tenant_cannot_be_chosen(alice, globex):
    CorpusFactory(tenant=globex, name="secret")

    response = alice.client.post(
        reverse("ragapp:ask", args=["acme"]), {"question": "Why?", "corpus": "secret"}
    )

    assert list(response.context["form"].errors) == ["corpus"]


def test_running_question_is_shown_live_and_the_partial_alone_to_htmx(alice):
    run = RunFactory(tenant=alice.tenant, state=OperationState.RUNNING.value, answer="A SNAT")
    url = reverse("ragapp:ask-run", args=["acme", run.trace_id])

    page = alice.client.get(url)
    partial = alice.client.get(url, headers={"HX-Request": "true"})

    stream = reverse("ragapp:run-events", args=["acme", run.trace_id])
    assert f'data-stream="{stream}"' in page.text
    assert "<html" not in partial.text


def test_citation_opens_the_passage_and_an_unsupported_sentence_is_marked(answered, alice):
    url = reverse("ragapp:ask-run", args=["acme", answered.run.trace_id])

    response = alice.client.get(url)

    assert 'href="#source-1"' in response.text
    assert f"<mark>{TEXT}</mark>" in response.text
    assert "claim-unsupported" in response.text


def test_passage_of_a_deleted_document_is_gone_from_old_answers(answered, alice):
    with alice.acting() as actor:
        corpora.delete_document(answered.document, actor=actor)

    response = alice.client.get(reverse("ragapp:ask-run", args=["acme", answered.run.trace_id]))

    assert response.context["answer"].sources[0].is_removed
    assert f"<mark>{TEXT}</mark>" not in response.text


def test_what_the_model_wrote_is_never_markup(alice):
    run = RunFactory(
        tenant=alice.tenant,
        state=OperationState.SUCCEEDED.value,
        end=AnswerEnd.FOUND.value,
        sentences=[{"text": "<img src=x hx-get=/>", "support": "Cited", "passages": []}],
    )

    response = alice.client.get(reverse("ragapp:run-detail", args=["acme", run.trace_id]))

    assert "&lt;img src=x" in response.text
    assert "<img" not in response.text


def test_trace_page_reloads_whole_when_its_live_part_has_ended(answered, alice):
    url = reverse("ragapp:run-detail", args=["acme", answered.run.trace_id])

    response = alice.client.get(url, headers={"HX-Request": "true"})

    assert response.headers["HX-Location"]


def test_citation_opens_the_page_of_a_long_document_that_has_its_passage(alice):
    document = indexed(CorpusFactory(tenant=alice.tenant), [f"Passage {n}." for n in range(60)])
    url = reverse("ragapp:document-detail", args=["acme", document.pk])

    response = alice.client.get(url, {"passage": "55"})

    assert response.context["page"].number == 2


def test_save_and_train_starts_nothing_when_a_source_is_no_url(alice):
    response = alice.client.post(
        reverse("ragapp:corpus-create", args=["acme"]),
        {"name": "docs", "urls": "not a url", "then": "train"},
    )

    with alice.acting():
        trained = corpora.Corpus.objects.count()
    assert list(response.context["form"].errors) == ["urls"]
    assert trained == 0


def test_trace_places_each_step_where_it_began_and_sums_the_model():
    trace = Trace(
        [
            {"kind": "route", "at_ms": 5, "way": "local", "reasons": ["Known: snat."]},
            {
                "kind": "model",
                "at_ms": 1500,
                "ms": 1400,
                "model": "tiny",
                "purpose": "answer",
                "tokens_in": 30,
                "tokens_out": 70,
            },
            {"kind": "from-the-future", "at_ms": 1600},
        ]
    )

    assert [(line.start_ms, line.ms) for line in trace.rows] == [(5, 0), (100, 1400)]
    assert (trace.total_ms, trace.tokens_in, trace.tokens_out) == (1500, 30, 70)
    assert trace.model_calls[0].rate == 50


def test_follow_up_shows_the_conversation_before_it(alice, acme):
    thread = ConversationFactory(tenant=acme, owner="alice")
    said = {"tenant": acme, "conversation": thread, "state": OperationState.SUCCEEDED.value}
    RunFactory(**said, question="What is SNAT?", answer="A pool.", end=AnswerEnd.FOUND.value)
    run = RunFactory(**said, question="And why?", end=AnswerEnd.NOT_FOUND.value)

    page = alice.client.get(reverse("ragapp:ask-run", args=["acme", run.trace_id]))
    posted = alice.client.post(
        reverse("ragapp:ask", args=["acme"]), {"question": "When?", "conversation": thread.pk}
    )

    assert [turn.question for turn in page.context["earlier"]] == ["What is SNAT?"]
    assert f'name="conversation" value="{thread.pk}"' in page.content.decode()
    with tenant_scope(acme.pk):
        asked = Run.objects.get(trace_id=posted.headers["X-Trace-Id"])
    assert asked.conversation_id == thread.pk


def test_conversation_of_a_colleague_is_neither_shown_nor_joined(bob, acme):
    thread = ConversationFactory(tenant=acme, owner="alice")
    run = RunFactory(tenant=acme, conversation=thread, state=OperationState.SUCCEEDED.value)

    page = bob.client.get(reverse("ragapp:ask-run", args=["acme", run.trace_id]))
    refused = bob.client.post(
        reverse("ragapp:ask", args=["acme"]), {"question": "When?", "conversation": thread.pk}
    )

    assert (page.context["earlier"], list(page.context["threads"])) == ([], [])
    assert "of yours" in refused.content.decode()


def test_the_exact_span_of_a_claim_is_marked(alice, acme, answered):
    run = answered.run
    run.sentences[0]["spans"] = [{"passage": 1, "start": 2, "end": 11}]
    with tenant_scope(acme.pk):
        run.save(update_fields=["sentences"])

    page = alice.client.get(reverse("ragapp:ask-run", args=["acme", run.trace_id]))

    assert "<mark>SNAT pool</mark>" in page.content.decode()
    assert "2 to 11" in page.content.decode()
