"""Search by REST: what it finds, for whom, and what it takes."""

import threading

import pytest

from ragapp.models import Document
from ragapp.services import search, serving, vectors
from ragapp.tests.factories import CorpusFactory, indexed
from tenants.errors import TransientError
from tenants.models import tenant_scope

pytestmark = pytest.mark.django_db

BASE = "/api/v1/tenants/acme/search"


@pytest.fixture
def corpus(acme):
    return CorpusFactory(tenant=acme, name="handbook")


@pytest.mark.model
def test_passages_come_with_both_scores_and_ranks(acme, bob, corpus, embedder):
    texts = ["A SNAT pool is a set of addresses.", "Default deny stops all."]
    document = indexed(corpus, texts, embedder.embed_documents(texts))

    answer = bob.client.get(BASE, {"q": "snat pools", "corpus": "handbook", "k": 1}).json()

    (hit,) = answer["results"]
    assert (hit["text"], hit["document_id"], hit["score"]) == (texts[0], document.pk, 1.0)
    assert (hit["dense_rank"], hit["lexical_rank"]) == (1, 1)
    assert answer["search_seconds"] > 0


@pytest.mark.model
def test_reader_without_rights_finds_nothing_of_a_limited_document(
    acme, alice, bob, corpus, embedder
):
    document = indexed(corpus, ["A secret SNAT pool."], embedder.embed_documents(["x"]))
    with tenant_scope(acme.pk):
        Document.objects.filter(pk=document.pk).update(readers=["role:mlops"])

    found = {p: p.client.get(BASE, {"q": "secret"}).json()["results"] for p in (alice, bob)}
    page = bob.client.get("/t/acme/search/", {"q": "secret"})

    assert [len(found[alice]), found[bob]] == [1, []]
    assert "SNAT" not in page.content.decode()


@pytest.mark.model
def test_marked_words_are_the_ones_that_match_and_nothing_is_markup(acme, bob, corpus, embedder):
    text = "Pools \x02of <b>SNAT</b> pool & v1.2.3"
    indexed(corpus, [text], embedder.embed_documents([text]))

    page = bob.client.get("/t/acme/search/", {"q": "snat POOL v1.2.3"}).content.decode()

    assert (
        "<mark>Pools</mark> of &lt;b&gt;<mark>SNAT</mark>&lt;/b&gt; <mark>pool</mark> &amp;"
        " <mark>v1.2.3</mark>"
    ) in page


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({}, "/q"),
        ({"q": ""}, "/q"),
        ({"q": "a\0b"}, "/q"),
        ({"q": "a", "k": 51}, "/k"),
        ({"q": "a", "k": 0}, "/k"),
        ({"q": "a", "first_page": 0}, "/first_page"),
        ({"q": "a", "labels": "nocolon"}, "/labels"),
        ({"q": "a", "fetched_since": "yesterday"}, "/fetched_since"),
        ({"q": "a", "corpos": "x"}, "/corpos"),
    ],
)
def test_what_cannot_be_taken_is_named(bob, query, pointer):
    answer = bob.client.get(BASE, query)

    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_corpus_of_another_tenant_is_not_found(bob, globex):
    CorpusFactory(tenant=globex, name="theirs")

    assert bob.client.get(BASE, {"q": "a", "corpus": "theirs"}).status_code == 404


def test_stranger_finds_no_tenant(charlie):
    assert charlie.client.get(BASE, {"q": "a"}).status_code == 404
    assert charlie.client.get("/t/acme/search/", {"q": "a"}).status_code == 404


@pytest.fixture
def web_tier(services, monkeypatch):
    """A process that has loaded no embedder."""
    monkeypatch.setattr(serving, "has_embedder", lambda: False)


@pytest.mark.model
def test_web_tier_gets_the_vector_from_the_engine_worker(web_tier, embedder, broker, monkeypatch):
    def worker(task, *, args, **_):
        threading.Thread(target=vectors.answer, args=args).start()

    monkeypatch.setattr(vectors.current_app, "send_task", worker)

    given = vectors.of_question("What is a SNAT pool?")

    assert given == vectors.index.as_text(embedder.embed_queries(["What is a SNAT pool?"])[0])


def test_engine_worker_that_is_silent_is_an_error_in_words(web_tier, broker, monkeypatch, bob):
    monkeypatch.setattr(vectors, "WAIT_SECONDS", 0.1)

    with pytest.raises(TransientError, match="engine worker"):
        vectors.of_question("anything")
    page = bob.client.get("/t/acme/search/", {"q": "anything"})

    assert page.status_code == 200
    assert "engine worker" in page.content.decode()


def test_pieces_join_to_the_text():
    assert search._pieces("a \x02b\x03 c") == [("a ", False), ("b", True), (" c", False)]
