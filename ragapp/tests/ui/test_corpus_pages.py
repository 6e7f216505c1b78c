"""Pages of corpora and documents: what their forms do, and what they refuse."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from ragapp.models import Corpus, Document, Source, Upload
from ragapp.services import corpora
from ragapp.tests.factories import CorpusFactory, DocumentFactory, SourceFactory, indexed
from tenants.models import Operation, tenant_scope

pytestmark = pytest.mark.django_db

FORM = {
    "name": "handbook",
    "description": "",
    "urls": "http://docs.example/a",
    "sources": "sitemap http://docs.example/s.xml 50\ncrawl http://docs.example/v2/",
    "schedule": "daily",
    "dense_weight": "0.3",
    "passages": "4",
    "model": "",
    "instructions": "Be brief.",
    "web": "on",
    "then": "save",
}


def url(name, *args):
    return reverse(f"ragapp:{name}", args=["acme", *args])


def file(name="notes.txt", content=b"A SNAT pool is a set of addresses."):
    return SimpleUploadedFile(name, content, "text/plain")


def test_form_makes_what_it_shows_again(alice):
    made = alice.client.post(url("corpus-create"), FORM)

    assert made.headers["Location"] == url("corpus-detail", "handbook")
    with tenant_scope(alice.tenant.pk):
        corpus = Corpus.objects.get()
        kinds = list(corpus.sources.order_by("kind").values_list("kind", "most_pages"))
    assert kinds == [("crawl", 10_000), ("page", 10_000), ("sitemap", 50)]
    assert (corpus.dense_weight, corpus.passages, corpus.web, corpus.rerank) == (
        0.3,
        4,
        True,
        False,
    )
    assert (corpus.schedule, corpus.train_at is not None) == ("daily", True)
    shown = alice.client.get(url("corpus-edit", "handbook")).context["form"].initial
    assert {name: shown[name] for name in ("urls", "instructions", "passages")} == {
        "urls": FORM["urls"],
        "instructions": "Be brief.",
        "passages": 4,
    }
    assert sorted(shown["sources"].splitlines()) == sorted(FORM["sources"].splitlines())


def test_corpus_called_new_has_its_page_beside_that_of_a_new_one(alice):
    alice.client.post(url("corpus-create"), {**FORM, "name": "new"})

    shown = alice.client.get(url("corpus-detail", "new"))
    empty = alice.client.get(url("corpus-create"))

    assert shown.context["corpus"].name == "new"
    assert empty.context["form"].initial.get("name") != "new"


def test_line_that_is_no_source_is_named_and_nothing_is_saved(alice):
    answer = alice.client.post(
        url("corpus-create"), {**FORM, "sources": "sitemap\nspider http://x/"}
    )

    assert [error[:7] for error in answer.context["form"].errors["sources"]] == [
        "Line 1:",
        "Line 2:",
    ]
    with tenant_scope(alice.tenant.pk):
        assert not Corpus.objects.exists()


def test_files_are_kept_and_trained_together(alice, acme, broker):
    corpus = CorpusFactory(tenant=acme, name="docs")

    with broker.taking() as sent:
        alice.client.post(
            url("corpus-upload", "docs"), {"file": [file(), file("b.txt")], "then": "train"}
        )

    assert len(sent) == 1
    with tenant_scope(acme.pk):
        assert sorted(Upload.objects.values_list("name", flat=True)) == ["b.txt", "notes.txt"]
        assert Operation.objects.filter(target_id=corpus.pk).count() == 1


def test_upload_without_a_file_or_with_a_large_one_keeps_nothing(alice, acme, settings):
    settings.UPLOAD_BYTES = 40
    CorpusFactory(tenant=acme, name="docs")
    address = url("corpus-upload", "docs")

    empty = alice.client.post(address, {}, follow=True)
    large = alice.client.post(address, {"file": [file(), file("b.txt", b"x" * 41)]}, follow=True)

    assert "This field is required." in empty.text
    assert "b.txt has 41 bytes; a file has at most 40." in large.text
    with tenant_scope(acme.pk):
        assert not Upload.objects.exists()


def test_original_is_given_back_as_a_file_to_keep(alice, acme):
    CorpusFactory(tenant=acme, name="docs")
    alice.client.post(
        url("corpus-upload", "docs"), {"file": file("é.html", b"<script>alert(1)</script>")}
    )
    with tenant_scope(acme.pk):
        document = Document.objects.get()

    answer = alice.client.get(url("document-original", document.pk))

    assert answer.content == b"<script>alert(1)</script>"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename*=")


def test_documents_are_filtered_and_the_chosen_deleted(alice, acme):
    corpus = CorpusFactory(tenant=acme, name="docs")
    kept = indexed(corpus, ["alpha"])
    failed = DocumentFactory(corpus=corpus, state="Failed", title="Broken", error="It was down.")
    SourceFactory(corpus=corpus, url=failed.url)
    with tenant_scope(acme.pk):
        corpora.count(corpus.pk, documents=1)

    page = alice.client.get(url("corpus-detail", "docs"), {"state": "Failed", "text": "broken"})
    chosen = {"document": [failed.pk, "x", "0"]}
    asked = alice.client.post(url("corpus-documents-delete", "docs"), chosen)
    with tenant_scope(acme.pk):
        before = Document.objects.count()
    alice.client.post(url("corpus-documents-delete", "docs"), {**chosen, "confirmed": "yes"})

    assert list(page.context["page"]) == [failed]
    assert (asked.context["documents"], before) == ([failed], 2)
    with tenant_scope(acme.pk):
        assert list(Document.objects.all()) == [kept]
        assert not Source.objects.exists()


def test_retry_from_the_page_trains_this_document(alice, acme, broker):
    document = DocumentFactory(corpus__tenant=acme, state="Failed", error="It was down.")

    with broker.taking() as sent:
        alice.client.post(url("document-retry", document.pk))

    assert len(sent) == 1
    with tenant_scope(acme.pk):
        document.refresh_from_db()
    assert (document.state, document.error) == ("Queued", "")


def test_file_is_deleted_only_when_it_is_confirmed(alice, acme):
    CorpusFactory(tenant=acme, name="docs")
    alice.client.post(url("corpus-upload", "docs"), {"file": file()})
    with tenant_scope(acme.pk):
        document = Document.objects.get()

    asked = alice.client.post(url("document-delete", document.pk))
    with tenant_scope(acme.pk):
        assert Upload.objects.exists()
    alice.client.post(url("document-delete", document.pk), {"confirmed": "yes"})

    assert "kept nowhere else in Sluice." in asked.text
    with tenant_scope(acme.pk):
        assert not Upload.objects.exists()
        assert not Document.objects.exists()


def test_readers_and_labels_are_saved_and_shown_again(alice, acme):
    document = DocumentFactory(corpus__tenant=acme)

    alice.client.post(
        url("document-edit", document.pk),
        {"readers": "user:bob\nrole:devops\nuser:bob\n", "labels": "team: net\nurl:http://a"},
    )

    with tenant_scope(acme.pk):
        document.refresh_from_db()
    assert document.readers == ["role:devops", "user:bob"]
    assert document.labels == {"team": "net", "url": "http://a"}
    shown = alice.client.get(url("document-edit", document.pk)).context["form"].initial
    assert shown == {"readers": "role:devops\nuser:bob", "labels": "team:net\nurl:http://a"}


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"readers": "everybody"}, "readers", "names no reader"),
        ({"labels": "team"}, "labels", "write it as name:value"),
        ({"labels": "a:1\na:2"}, "labels", "stands here twice"),
        ({"labels": ":x"}, "labels", "is empty"),
    ],
)
def test_odd_readers_and_labels_are_named_at_their_field(alice, acme, given, field, said):
    document = DocumentFactory(corpus__tenant=acme)

    answer = alice.client.post(url("document-edit", document.pk), given)

    assert said in answer.context["form"].errors[field][0]
    with tenant_scope(acme.pk):
        document.refresh_from_db()
    assert (document.readers, document.labels) == ([], {})
