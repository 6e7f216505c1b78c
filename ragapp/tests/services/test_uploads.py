"""Files that people hand over: names, replacement, limits, and what a delete leaves behind."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection

from ragapp.models import Chunk, Corpus, Document, DocumentState, Posting, Upload
from ragapp.services import corpora, index, uploads
from ragapp.tests.factories import CorpusFactory, DocumentFactory, chunk, indexed, unit
from tenants.errors import InvalidError, QuotaError
from tenants.models import tenant_scope
from tenants.tests.factories import QuotaFactory

pytestmark = pytest.mark.django_db


def file(name="notes.txt", content=b"alpha"):
    return SimpleUploadedFile(name, content, "text/plain")


@pytest.fixture
def corpus(acme) -> Corpus:
    return CorpusFactory(tenant=acme)


def saved(alice, corpus, **values) -> Upload:
    with alice.acting() as actor:
        return uploads.save_upload(corpus, file(**values), actor=actor)


def test_file_of_the_same_name_replaces_and_is_one_document(alice, corpus):
    saved(alice, corpus, content=b"old")
    upload = saved(alice, corpus, content=b"newer")

    with tenant_scope(corpus.tenant_id):
        stored = Upload.objects.get()
        corpus.refresh_from_db()
        states = list(Document.objects.values_list("url", "state"))
    assert (stored.pk, bytes(stored.content), stored.size_bytes) == (upload.pk, b"newer", 5)
    assert states == [("upload:notes.txt", DocumentState.QUEUED)]
    assert corpus.document_count == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"content": b""}, "is empty"),
        ({"name": "\u202e\u200b .."}, "no name that can be shown"),
        ({"content": b"x" * 11}, "has 11 bytes"),
    ],
)
def test_file_that_cannot_be_taken_is_refused_with_words(alice, corpus, settings, values, words):
    settings.UPLOAD_BYTES = 10

    with pytest.raises(InvalidError, match=words):
        saved(alice, corpus, **values)


def test_bytes_of_all_documents_count_and_a_replacement_gives_back(alice, corpus):
    QuotaFactory(tenant=corpus.tenant, resource="corpus-bytes", limit=100)
    DocumentFactory(corpus=corpus, size_bytes=40)
    saved(alice, corpus, content=b"x" * 50)

    with pytest.raises(QuotaError, match="90 of 100 are used"):
        saved(alice, corpus, name="more.txt", content=b"x" * 11)
    saved(alice, corpus, content=b"x" * 60)
    saved(alice, corpus, content=b"x" * 10)
    saved(alice, corpus, name="more.txt", content=b"x" * 50)


@pytest.mark.django_db(transaction=True)
def test_limit_is_exact_where_many_hand_over_at_once(alice, corpus):
    QuotaFactory(tenant=corpus.tenant, resource="corpus-bytes", limit=100)

    def hand_over(number: int) -> bool:
        try:
            saved(alice, corpus, name=f"{number}.txt", content=b"x" * 30)
        except QuotaError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(hand_over, range(6)))

    assert sum(taken) == 3


def test_deleted_file_leaves_nothing_to_find_or_cite(alice, corpus):
    kept = indexed(corpus, ["alpha kept"])
    upload = saved(alice, corpus)
    with tenant_scope(corpus.tenant_id):
        document = Document.objects.get(url=upload.url)
        written = index.write(document, [chunk("alpha gone secretword")], unit(1)[None, :])
        corpora.count(corpus.pk, plus=written)

    with alice.acting() as actor:
        uploads.delete_upload(upload, actor=actor)

    with tenant_scope(corpus.tenant_id):
        assert not Upload.objects.exists()
        assert set(Chunk.objects.values_list("document_id", flat=True)) == {kept.pk}
        assert not Posting.objects.filter(term__startswith="secret").exists()
        assert not Document.objects.filter(pk=document.pk).exists()
        corpus.refresh_from_db()
    assert (corpus.document_count, corpus.chunk_count) == (1, 1)


def test_many_documents_are_deleted_with_their_sources_and_only_of_this_corpus(alice, corpus):
    mine = [indexed(corpus, [f"alpha {number}"]) for number in range(3)]
    other = indexed(CorpusFactory(tenant=corpus.tenant), ["alpha other"])

    with alice.acting() as actor:
        count = corpora.delete_documents(corpus, [mine[0].pk, mine[1].pk, other.pk], actor=actor)

    with tenant_scope(corpus.tenant_id):
        left = set(Chunk.objects.values_list("document_id", flat=True))
    assert (count, left) == (2, {mine[2].pk, other.pk})
