"""What a training touches: uploads, duplicates, changes, and documents deleted under its hands."""

import threading

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from ragapp.domain.source_lines import Wanted
from ragapp.models import Chunk, Corpus, Document, DocumentState, Source, Upload
from ragapp.services import corpora, limits, search, uploads
from ragapp.services.training import train
from ragapp.services.training.lease import Lease
from ragapp.services.training.listing import Listing
from ragapp.services.training.tally import Tally
from ragapp.tests.factories import DocumentFactory, UploadFactory
from ragapp.tests.outside import html, site
from ragapp.tests.services.test_train import (
    PAGES,
    _train_and_close,
    asked,
    corpus,
    documents,
    pages,
    ready,
    reread,
    start,
    trained,
    wait_for,
)
from tenants.domain.quota import Resource
from tenants.domain.states import OperationState
from tenants.errors import InvalidError
from tenants.models import Operation, tenant_scope
from tenants.services import operations, quotas
from tests.wire.server import Reply

__all__ = ["corpus", "pages"]

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("embedder")]


def delete(document, person) -> None:
    with person.acting() as actor:
        corpora.delete_document(document, actor=actor)


def chunks_of(corpus) -> list[int]:
    """The document of each chunk."""
    with tenant_scope(corpus.tenant_id):
        return list(Chunk.objects.values_list("document_id", flat=True))


def assert_counted(corpus) -> None:
    """The corpus's counters are the sums that they stand for."""
    with tenant_scope(corpus.tenant_id):
        corpus.refresh_from_db()
        chunks = Chunk.objects.filter(corpus_id=corpus.pk)
        lexemes = sum(chunks.values_list("lexeme_count", flat=True))
        assert corpus.document_count == Document.objects.filter(corpus=corpus).count()
        assert (corpus.chunk_count, corpus.lexeme_count) == (chunks.count(), lexemes)


@pytest.fixture
def twins(corpus, pages) -> Corpus:
    """The corpus, trained never, whose page ``/vlan`` says the same as ``/snat``."""
    pages.pages["/vlan"] = html(*PAGES["/snat"])
    return corpus


@pytest.mark.django_db
def test_an_upload_is_read_like_a_page_and_only_again_when_it_changed(alice, egress):
    with alice.acting() as actor:
        corpus = corpora.save_corpus(alice.tenant, name="files", urls=[], actor=actor)
    upload = UploadFactory(corpus=corpus, name="what? #1.txt")

    first = trained(corpus, alice)
    second = trained(corpus, alice)

    assert (first.state, first.result["documents"]) == (OperationState.SUCCEEDED, 1)
    assert (second.result["documents"], second.result["unchanged"]) == (0, 1)
    (document,) = documents(corpus).values()
    assert (document.url, document.title) == (upload.url, "what? #1.txt")
    assert search.search(corpus.tenant_id, [corpus.pk], "SNAT pool", k=1)


@pytest.mark.django_db
def test_a_page_beyond_the_limit_of_bytes_is_refused_and_what_fitted_stays(
    corpus, alice, ada, pages
):
    trained(corpus, alice)
    urls = [pages.server.url + path for path in pages.pages]
    delete(next(iter(documents(corpus).values())), alice)
    with alice.acting():
        left = limits.corpus_bytes(corpus.tenant_id)
        quotas.set_limit(alice.tenant, Resource.CORPUS_BYTES, left + 1, actor=ada.actor)
    with alice.acting() as actor:
        corpora.save_corpus(alice.tenant, name=corpus.name, urls=urls, actor=actor, corpus=corpus)

    ended = trained(corpus, alice)

    assert (ended.result["failed"], ended.result["unchanged"]) == (1, len(urls) - 1)
    refused = [d for d in documents(corpus).values() if d.state == DocumentState.FAILED]
    assert len(refused) == 1
    assert f"of {left + 1} are used" in refused[0].error


@pytest.mark.django_db
def test_an_uploads_document_takes_the_file_with_it(alice, egress):
    with alice.acting() as actor:
        corpus = corpora.save_corpus(alice.tenant, name="files", urls=[], actor=actor)
    UploadFactory(corpus=corpus)
    trained(corpus, alice)
    (document,) = documents(corpus).values()

    delete(document, alice)

    assert chunks_of(corpus) == []
    assert_counted(corpus)
    with tenant_scope(corpus.tenant_id):
        assert not Upload.objects.exists()


@pytest.mark.django_db
def test_the_same_text_is_indexed_once(twins, alice):
    result = trained(twins, alice).result

    assert (result["documents"], result["duplicates"], result["chunks"]) == (2, 1, 2)
    found = documents(twins)
    assert {found[name].state for name in ("snat", "vlan")} == {
        DocumentState.READY,
        DocumentState.DUPLICATE,
    }
    assert len(chunks_of(twins)) == 2
    assert_counted(twins)
    again = trained(twins, alice).result
    assert (again["documents"], again["duplicates"], again["unchanged"]) == (0, 0, 3)


def of_state(corpus, state) -> Document:
    return next(row for row in documents(corpus).values() if row.state == state)


@pytest.mark.django_db
def test_a_duplicate_takes_the_place_of_the_first_that_is_deleted(twins, alice):
    trained(twins, alice)
    duplicate = of_state(twins, DocumentState.DUPLICATE)
    first = next(
        row
        for row in documents(twins).values()
        if row.text_hash == duplicate.text_hash and row.pk != duplicate.pk
    )

    delete(first, alice)

    with tenant_scope(twins.tenant_id):
        operation = Operation.objects.get(ended_at__isnull=True)
    train(operation.pk)
    assert reread(operation).result["documents"] == 1
    assert ready(twins) == set(documents(twins))
    assert duplicate.pk in chunks_of(twins)
    assert first.pk not in chunks_of(twins)
    assert_counted(twins)


@pytest.mark.django_db
def test_a_duplicate_takes_the_place_of_the_first_that_changes(twins, alice, pages):
    trained(twins, alice)
    duplicate = of_state(twins, DocumentState.DUPLICATE).url.rpartition("/")[2]
    first = {"snat": "vlan", "vlan": "snat"}[duplicate]
    pages.pages[f"/{first}"] = html("Other", "Something else altogether about routed networks.")

    result = trained(twins, alice).result

    assert (result["documents"], result["unchanged"]) == (2, 2)
    assert ready(twins) == {"snat", "vlan", "deny"}
    assert len(set(chunks_of(twins))) == 3
    assert_counted(twins)


@pytest.mark.django_db
def test_what_the_server_says_is_unchanged_is_not_sent_again(corpus, alice, pages):
    def reply(request):
        if request.headers.get("if-none-match") == '"one"':
            return Reply(304, b"", "text/html", headers={"ETag": '"one"'})
        return Reply(200, page.body, page.content_type, headers={"ETag": '"one"'})

    page = pages.pages["/snat"]
    with site(reply, "127.30.9.2:0") as far:
        with alice.acting() as actor:
            corpora.save_corpus(
                alice.tenant, name="handbook", urls=[far.url], actor=actor, corpus=corpus
            )
        trained(corpus, alice)
        result = trained(corpus, alice).result

        assert [seen.headers.get("if-none-match") for seen in far.seen()] == [None, '"one"']
    assert (result["documents"], result["unchanged"]) == (0, 1)


@pytest.mark.django_db
def test_another_embedder_reads_anew_what_the_server_would_say_is_unchanged(corpus, alice, pages):
    def reply(request):
        if request.headers.get("if-none-match"):
            return Reply(304, b"", "text/html", headers={"ETag": '"one"'})
        return Reply(200, page.body, page.content_type, headers={"ETag": '"one"'})

    page = pages.pages["/snat"]
    with site(reply, "127.30.9.2:0") as far:
        with alice.acting() as actor:
            corpora.save_corpus(
                alice.tenant, name="handbook", urls=[far.url], actor=actor, corpus=corpus
            )
        trained(corpus, alice)
        with tenant_scope(corpus.tenant_id):
            Corpus.objects.filter(pk=corpus.pk).update(embedder="another")
        result = trained(corpus, alice).result

    assert (result["documents"], result["unchanged"]) == (1, 0)
    assert len(chunks_of(corpus)) == 1
    assert_counted(corpus)


@pytest.mark.django_db
def test_a_file_that_arrives_while_orphans_are_removed_is_none(alice, egress):
    with alice.acting() as actor:
        corpus = corpora.save_corpus(alice.tenant, name="files", urls=[], actor=actor)
    UploadFactory(corpus=corpus, name="first.txt")
    DocumentFactory(corpus=corpus, tenant=corpus.tenant, url="https://gone.example/")

    class Meanwhile(Lease):
        """Hands a file over as soon as an orphan was removed."""

        def beat(self, stage: str) -> None:
            with tenant_scope(corpus.tenant_id), alice.acting() as actor:
                is_removed = not Document.objects.filter(url__contains="gone").exists()
                if is_removed and not Upload.objects.filter(name="late.txt").exists():
                    file = SimpleUploadedFile("late.txt", b"A late file.", "text/plain")
                    uploads.save_upload(corpus, file, actor=actor)

    operation = operations.claim(start(corpus, alice).pk)
    Listing(Meanwhile(operation, Tally()), Tally(), lambda sources: iter(())).run()

    with tenant_scope(corpus.tenant_id):
        names = set(Document.objects.values_list("url", flat=True))
    assert names == {"upload:first.txt", "upload:late.txt"}


def sitemap(pages, *paths) -> Reply:
    """A sitemap of these pages of the site."""
    places = "".join(f"<url><loc>{pages.server.url}{path}</loc></url>" for path in paths)
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return Reply(200, f'<urlset xmlns="{space}">{places}</urlset>'.encode(), "application/xml")


@pytest.mark.django_db
def test_a_sitemap_that_cannot_be_read_takes_nothing_away(alice, egress, pages):
    egress.allow(alice.tenant)
    pages.pages["/sitemap.xml"] = sitemap(pages, "/snat", "/vlan")
    source = Wanted(f"{pages.server.url}/sitemap.xml", kind="sitemap")
    with alice.acting() as actor:
        corpus = corpora.save_corpus(
            alice.tenant, name="site", urls=[], sources=[source], actor=actor
        )
    assert trained(corpus, alice).result["documents"] == 2

    pages.pages["/sitemap.xml"] = Reply(500, b"", "text/html")
    broken = trained(corpus, alice)
    assert ready(corpus) == {"snat", "vlan"}
    assert "status 500" in broken.result["first_error"]

    pages.pages["/sitemap.xml"] = sitemap(pages, "/vlan", "/deny")
    trained(corpus, alice)
    assert ready(corpus) == {"vlan", "deny"}
    assert_counted(corpus)


@pytest.mark.django_db
def test_one_document_is_read_again_and_no_other_asked_for(corpus, alice, pages):
    pages.pages["/vlan"] = Reply(404, b"", "text/html")
    trained(corpus, alice)
    failed = of_state(corpus, DocumentState.FAILED)
    pages.pages["/vlan"] = html(*PAGES["/vlan"])
    before = len(asked(pages))

    with alice.acting() as actor:
        operation = corpora.start_training(corpus, actor=actor, documents=[failed.pk])
    assert documents(corpus)["vlan"].state == DocumentState.QUEUED
    train(operation.pk)

    ended = reread(operation)
    assert (ended.state, ended.done, ended.total) == (OperationState.SUCCEEDED, 1, 1)
    assert asked(pages)[before:] == ["/vlan"]
    assert ready(corpus) == {"snat", "vlan", "deny"}


@pytest.mark.django_db
def test_documents_of_another_corpus_are_not_read_again(corpus, alice):
    trained(corpus, alice)
    with alice.acting() as actor:
        other = corpora.save_corpus(alice.tenant, name="other", urls=[], actor=actor)
        with pytest.raises(InvalidError):
            corpora.start_training(
                other, actor=actor, documents=[row.pk for row in documents(corpus).values()]
            )


@pytest.mark.django_db(transaction=True)
def test_a_document_that_is_deleted_while_it_is_read_stays_deleted(corpus, alice, pages):
    pages.held = "/vlan"
    operation = start(corpus, alice)
    working = threading.Thread(target=_train_and_close, args=(operation.pk,))
    working.start()
    assert pages.asked.wait(120)
    wait_for(lambda: ready(corpus) == {"snat", "deny"})
    assert documents(corpus)["vlan"].state == DocumentState.READING

    delete(documents(corpus)["vlan"], alice)
    delete(documents(corpus)["snat"], alice)
    pages.let_go.set()
    working.join(120)

    assert reread(operation).state == OperationState.SUCCEEDED
    assert set(documents(corpus)) == {"deny"}
    assert set(chunks_of(corpus)) == {documents(corpus)["deny"].pk}
    assert_counted(corpus)
    with tenant_scope(corpus.tenant_id):
        assert Source.objects.count() == 1
