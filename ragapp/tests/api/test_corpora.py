"""Corpora, documents and passages by REST, for Alice, Bob and Charlie."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from ragapp.models import Chunk, Corpus
from ragapp.services import search
from ragapp.services.index import as_text
from ragapp.tests.factories import CorpusFactory, DocumentFactory, SourceFactory, indexed, unit
from tenants.models import tenant_scope

pytestmark = pytest.mark.django_db

BASE = "/api/v1/tenants/acme"
BODY = {"name": "handbook", "urls": ["http://docs.example/a", "http://docs.example/b"]}


def post(person, path, body):
    return person.client.post(f"{BASE}/{path}", body, content_type="application/json")


def test_corpus_is_made_read_changed_and_deleted(alice):
    made = post(alice, "corpora", BODY)
    assert (made.status_code, made["Location"]) == (201, f"{BASE}/corpora/handbook")

    changed = alice.client.put(
        made["Location"],
        {**BODY, "dense_weight": 0.4, "urls": ["http://docs.example/c"]},
        content_type="application/json",
    )
    read = alice.client.get(made["Location"]).json()
    assert changed.json() == read
    assert (read["dense_weight"], read["urls"]) == (0.4, ["http://docs.example/c"])

    assert alice.client.delete(made["Location"]).status_code == 204
    assert alice.client.get(f"{BASE}/corpora").json()["results"] == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "Not A Label", "urls": []}, "/name"),
        ({"name": "ok", "urls": ["file:///etc/passwd"]}, "/urls"),
        ({"name": "ok", "urls": ["nonsense"]}, "/urls"),
        ({"name": "ok", "dense_weight": 2}, "/dense_weight"),
        ({"name": "ok", "url": "http://a.example/"}, "/url"),
    ],
)
def test_what_cannot_be_taken_is_named(alice, body, pointer):
    answer = post(alice, "corpora", body)

    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_name_is_taken_once(alice):
    post(alice, "corpora", BODY)

    assert post(alice, "corpora", BODY).status_code == 409


def test_training_is_an_operation(alice, broker):
    post(alice, "corpora", BODY)

    with broker.taking() as sent:
        answer = post(alice, "corpora/handbook/train", {})

    operation = answer.json()
    assert (answer.status_code, operation["state"]) == (202, "Queued")
    assert answer["Location"] == f"{BASE}/operations/{operation['id']}"
    assert sent == [("ragapp.train_corpus", operation["id"])]


def test_reader_looks_and_changes_nothing(alice, bob):
    post(alice, "corpora", BODY)

    assert bob.client.get(f"{BASE}/corpora/handbook").status_code == 200
    assert post(bob, "corpora", {**BODY, "name": "mine"}).status_code == 403
    assert post(bob, "corpora/handbook/train", {}).status_code == 403
    assert bob.client.delete(f"{BASE}/corpora/handbook").status_code == 403


PATHS = ["corpora", "corpora/handbook", "documents", "documents/{document}", "chunks/{chunk}"]


@pytest.mark.parametrize("path", PATHS)
def test_stranger_learns_nothing(alice, charlie, path):
    wanted = path.format(**_made(alice))

    assert charlie.client.get(f"{BASE}/{wanted}").status_code == 404


@pytest.mark.parametrize("path", PATHS)
def test_nobody_is_asked_for_a_token(alice, path):
    wanted = path.format(**_made(alice))

    assert Client().get(f"{BASE}/{wanted}").status_code == 401


@pytest.mark.parametrize("path", [path for path in PATHS if "/" in path])
def test_row_is_not_found_under_another_tenant(alice, charlie, path):
    wanted = path.format(**_made(alice))

    assert charlie.client.get(f"/api/v1/tenants/globex/{wanted}").status_code == 404


def _made(alice) -> dict[str, int]:
    """Something of acme's that could leak."""
    corpus = CorpusFactory(tenant=alice.tenant, name="handbook")
    document = indexed(corpus, ["alpha"])
    with tenant_scope(corpus.tenant_id):
        return {"document": document.pk, "chunk": Chunk.objects.get().id}


def test_passage_opens_at_its_place(alice):
    corpus = CorpusFactory(tenant=alice.tenant)
    document = indexed(corpus, ["A SNAT pool."])
    with tenant_scope(corpus.tenant_id):
        chunk = Chunk.objects.get()

    passage = alice.client.get(f"{BASE}/chunks/{chunk.id}").json()

    assert (passage["text"], passage["url"]) == ("A SNAT pool.", document.url)
    assert (passage["char_start"], passage["char_end"]) == (0, 12)


def test_deleted_document_cannot_be_retrieved_or_opened(alice):
    corpus = CorpusFactory(tenant=alice.tenant)
    document = indexed(corpus, ["A SNAT pool."])
    with tenant_scope(corpus.tenant_id):
        chunk = Chunk.objects.get()

    answer = alice.client.delete(f"{BASE}/documents/{document.pk}")

    assert answer.status_code == 204
    assert alice.client.get(f"{BASE}/chunks/{chunk.id}").status_code == 404
    assert alice.client.get(f"{BASE}/documents").json()["results"] == []
    with tenant_scope(corpus.tenant_id):
        found = search.ranked(corpus.tenant_id, [corpus.pk], "pool", as_text(unit(0)), k=5)
        assert (found, Corpus.objects.get().chunk_count) == ([], 0)


@pytest.mark.parametrize("rows", [1, 3])
def test_query_count_of_documents_does_not_grow(alice, rows, django_assert_num_queries):
    corpus = CorpusFactory(tenant=alice.tenant)
    DocumentFactory.create_batch(rows, corpus=corpus)
    with django_assert_num_queries(13):
        answer = alice.client.get(f"{BASE}/documents?corpus={corpus.name}")

    assert len(answer.json()["results"]) == rows


@pytest.mark.parametrize("rows", [1, 3])
def test_query_count_of_corpora_does_not_grow(alice, rows, django_assert_num_queries):
    for _ in range(rows):
        SourceFactory(corpus=CorpusFactory(tenant=alice.tenant))
    with django_assert_num_queries(13):
        answer = alice.client.get(f"{BASE}/corpora")

    assert len(answer.json()["results"]) == rows


@pytest.mark.parametrize("rows", [1, 3])
def test_query_count_of_one_corpus_does_not_grow(alice, rows, django_assert_num_queries):
    corpus = CorpusFactory(tenant=alice.tenant)
    SourceFactory.create_batch(rows, corpus=corpus)
    with django_assert_num_queries(14):
        answer = alice.client.get(f"{BASE}/corpora/{corpus.name}")

    assert len(answer.json()["urls"]) == rows


def test_readers_of_a_document_are_set_and_hold(acme, alice, bob):
    document = indexed(CorpusFactory(tenant=acme), ["A SNAT pool."])
    with tenant_scope(acme.pk):
        chunk = Chunk.objects.get(document_id=document.pk)
    paths = [f"{BASE}/documents/{document.pk}", f"{BASE}/chunks/{chunk.id}"]
    page = f"/t/acme/documents/{document.pk}/"
    body = {"readers": ["role:devops", "user:dora"], "labels": {"team": "net"}}
    assert [bob.client.get(path).status_code for path in (*paths, page)] == [200, 200, 200]

    changed = alice.client.put(paths[0], body, content_type="application/json")

    assert changed.status_code == 200
    assert {name: changed.json()[name] for name in body} == body
    assert [bob.client.get(path).status_code for path in (*paths, page)] == [404, 404, 404]
    assert bob.client.get(f"{BASE}/documents").json()["results"] == []
    assert [alice.client.get(path).status_code for path in (*paths, page)] == [200, 200, 200]


def test_reader_that_is_none_is_named(acme, alice):
    document = indexed(CorpusFactory(tenant=acme), ["A SNAT pool."])

    answer = alice.client.put(
        f"{BASE}/documents/{document.pk}",
        {"readers": ["everybody"], "labels": {}},
        content_type="application/json",
    )

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/readers")


def upload(person, *files, corpus="handbook"):
    return person.client.post(f"{BASE}/corpora/{corpus}/uploads", {"file": list(files)})


def text_file(name="notes.txt", content=b"A SNAT pool is a set of addresses."):
    return SimpleUploadedFile(name, content, "text/plain")


def test_sitemaps_and_crawls_are_sources_beside_the_pages(alice):
    crawl = {"url": "http://docs.example/v2/", "kind": "crawl", "most_pages": 50}
    sitemap = {"url": "http://docs.example/sitemap.xml", "kind": "sitemap"}
    post(alice, "corpora", {**BODY, "sources": [crawl, sitemap]})

    read = alice.client.get(f"{BASE}/corpora/handbook").json()

    assert read["urls"] == BODY["urls"]
    assert [(row["kind"], row["most_pages"]) for row in read["sources"]] == [
        ("crawl", 50),
        ("sitemap", 10_000),
    ]


@pytest.mark.parametrize(
    "source",
    [
        {"url": "ftp://docs.example/", "kind": "crawl"},
        {"url": "http://a:b@docs.example/", "kind": "sitemap"},
        {"url": "http://docs.example/", "kind": "crawl", "prefix": "http://other.example/"},
    ],
)
def test_source_that_cannot_be_taken_is_named(alice, source):
    answer = post(alice, "corpora", {**BODY, "sources": [source]})

    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/sources"]


def test_settings_that_are_left_out_stay_as_they_are(alice):
    post(alice, "corpora", {**BODY, "dense_weight": 0.3, "instructions": "Be brief.", "web": False})

    alice.client.put(f"{BASE}/corpora/handbook", BODY, content_type="application/json")

    read = alice.client.get(f"{BASE}/corpora/handbook").json()
    assert (read["dense_weight"], read["instructions"], read["web"]) == (0.3, "Be brief.", False)


def test_schedule_says_when_it_trains_next(alice):
    made = post(alice, "corpora", {**BODY, "schedule": "daily"}).json()

    assert (made["schedule"], made["train_at"] is not None) == ("daily", True)


def test_files_are_handed_over_listed_and_deleted(alice):
    post(alice, "corpora", BODY)

    made = upload(alice, text_file("a/b/../One.txt"), text_file("two.txt"))
    listed = alice.client.get(f"{BASE}/corpora/handbook/uploads").json()["results"]
    documents = alice.client.get(f"{BASE}/documents?corpus=handbook").json()["results"]

    assert (made.status_code, [row["name"] for row in made.json()]) == (201, ["One.txt", "two.txt"])
    assert sorted(row["name"] for row in listed) == ["One.txt", "two.txt"]
    assert {(row["url"], row["state"]) for row in documents} == {
        ("upload:One.txt", "Queued"),
        ("upload:two.txt", "Queued"),
    }
    one = f"{BASE}/corpora/handbook/uploads/{listed[0]['id']}"
    assert alice.client.delete(one).status_code == 204
    assert alice.client.get(one).status_code == 404
    assert alice.client.get(f"{BASE}/corpora/handbook").json()["document_count"] == 1


def test_file_that_cannot_be_taken_keeps_the_others_out_too(alice, settings):
    settings.UPLOAD_BYTES = 100
    post(alice, "corpora", BODY)

    answer = upload(alice, text_file(), text_file("large.txt", b"x" * 101))

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/file")
    assert "large.txt has 101 bytes" in answer.json()["errors"][0]["message"]
    assert alice.client.get(f"{BASE}/corpora/handbook/uploads").json()["results"] == []


def test_reader_hands_over_nothing_and_stranger_sees_nothing(alice, bob, charlie):
    post(alice, "corpora", BODY)

    assert upload(bob, text_file()).status_code == 403
    assert upload(charlie, text_file()).status_code == 404


def test_retry_queues_the_document_and_trains(alice, broker):
    post(alice, "corpora", BODY)
    with tenant_scope(alice.tenant.pk):
        corpus = Corpus.objects.select_related("tenant").get(name="handbook")
    document = DocumentFactory(corpus=corpus, state="Failed", error="It was down.", etag="x")

    with broker.taking() as sent:
        answer = post(alice, f"documents/{document.pk}/retry", {})

    assert (answer.status_code, len(sent)) == (202, 1)
    read = alice.client.get(f"{BASE}/documents/{document.pk}").json()
    assert (read["state"], read["error"]) == ("Queued", "")


def test_model_that_is_not_allowed_is_named(alice):
    answer = post(alice, "corpora", {**BODY, "model": "somebodys-own"})

    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/model"]
