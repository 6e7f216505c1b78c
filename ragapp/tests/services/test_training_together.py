"""Trainings beside people who hand over, delete and read again at the same moment."""

import threading
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection
from django.utils import timezone

from ragapp.models import Corpus, Document, DocumentState
from ragapp.services import corpora, search, serving, uploads
from ragapp.services.training import release_abandoned, train
from ragapp.services.training.lease import Lease
from ragapp.services.training.queue import Queue
from ragapp.services.training.reading import Preparer
from ragapp.services.training.store import Store
from ragapp.services.training.tally import Tally
from ragapp.services.training.work import Read
from ragapp.tests.factories import CorpusFactory, DocumentFactory, UploadFactory
from ragapp.tests.outside import html
from ragapp.tests.services.test_train import (
    PAGES,
    _train_and_close,
    documents,
    ready,
    reread,
    start,
    trained,
    wait_for,
)
from ragapp.tests.services.test_training import assert_counted, corpus, delete, pages, twins
from tenants.domain.quota import Resource
from tenants.domain.states import OperationState
from tenants.models import Operation, QuotaUse, tenant_scope
from tenants.services import operations
from tenants.tests.factories import OperationFactory
from tests.wire.server import Reply

__all__ = ["corpus", "pages", "twins"]

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("embedder")]


@pytest.fixture
def three(twins, alice, pages) -> Corpus:
    """The trained corpus, whose three pages say the same."""
    pages.pages["/deny"] = html(*PAGES["/snat"])
    trained(twins, alice)
    assert len(ready(twins)) == 1
    return twins


def duplicates(corpus) -> list[Document]:
    rows = documents(corpus).values()
    same = (row for row in rows if row.state == DocumentState.DUPLICATE)
    return sorted(same, key=lambda row: row.pk)


def train_what_is_queued(corpus, person) -> None:
    with person.acting():
        operation = Operation.objects.get(ended_at=None)
    train(operation.pk)
    assert search.search(corpus.tenant_id, [corpus.pk], "SNAT pool", k=1)
    assert_counted(corpus)


@pytest.mark.django_db
def test_the_last_of_three_of_one_text_is_found_after_the_others_are_deleted(three, alice):
    (name,) = ready(three)
    second, third = duplicates(three)

    with alice.acting() as actor:
        keys = [documents(three)[name].pk, second.pk]
        corpora.delete_documents(three, keys, actor=actor)
    train_what_is_queued(three, alice)

    assert ready(three) == {third.url.rpartition("/")[2]}


@pytest.mark.django_db
def test_a_duplicate_is_found_after_the_one_in_its_way_failed_to_be_read(three, alice, pages):
    (name,) = ready(three)
    second, third = (row.url.rpartition("/")[2] for row in duplicates(three))
    pages.pages[f"/{second}"] = Reply(500, b"", "text/html")

    delete(documents(three)[name], alice)
    train_what_is_queued(three, alice)

    assert ready(three) == {third}


@pytest.mark.django_db(transaction=True)
def test_a_duplicate_that_is_set_free_while_it_is_looked_at_is_read(twins, alice, pages):
    trained(twins, alice)
    (first,) = ready(twins) - {"deny"}
    (free,) = {"snat", "vlan"} - {first}
    pages.held = f"/{free}"
    operation = start(twins, alice)
    working = threading.Thread(target=_train_and_close, args=(operation.pk,))
    working.start()
    assert pages.asked.wait(120)

    delete(documents(twins)[first], alice)
    pages.let_go.set()
    working.join(120)

    assert reread(operation).state == OperationState.SUCCEEDED
    assert ready(twins) == {free, "deny"}
    assert search.search(twins.tenant_id, [twins.pk], "SNAT pool", k=1)


@pytest.mark.django_db
def test_a_file_that_is_replaced_while_it_is_read_is_read_again(alice, egress):
    corpus = CorpusFactory(tenant=alice.tenant)
    UploadFactory(corpus=corpus, name="plan.txt", content=b"The old plan has one pool.")
    lease = Lease(operations.claim(start(corpus, alice).pk), Tally())
    with tenant_scope(corpus.tenant_id):
        DocumentFactory(corpus=corpus, url="upload:plan.txt", state=DocumentState.QUEUED)
    (wanted,) = Queue(lease, queued_only=False).wanted()
    embedder = serving.embedder()
    read = Preparer(None, "acme", lease.trace_id, embedder).prepare(wanted)
    assert isinstance(read, Read)

    with alice.acting() as actor:
        new = SimpleUploadedFile("plan.txt", b"The new plan has two pools.", "text/plain")
        uploads.save_upload(corpus, new, actor=actor)
    vectors = embedder.embed_documents([chunk.indexed_text for chunk in read.chunks])
    Store(lease, Tally()).read([(wanted, read, vectors)])

    assert documents(corpus)["upload:plan.txt"].state == DocumentState.QUEUED
    with lease.writing():
        assert not Queue(lease, queued_only=True).is_done


def waiting_for_locks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0]


def hand_over(corpus, person, name) -> None:
    with person.acting() as actor:
        file = SimpleUploadedFile(name, f"What {name} says.".encode(), "text/plain")
        uploads.save_upload(corpus, file, actor=actor)


def hand_over_and_close(*args) -> None:
    try:
        hand_over(*args)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_file_that_is_handed_over_and_a_training_do_not_stop_each_other(corpus, alice):
    hand_over(corpus, alice, "first.txt")
    operation = start(corpus, alice)
    training = threading.Thread(target=_train_and_close, args=(operation.pk,))
    uploading = threading.Thread(target=hand_over_and_close, args=(corpus, alice, "second.txt"))

    # Both want room of the tenant's bytes, which somebody else is just taking.
    with alice.acting():
        QuotaUse.objects.select_for_update().get(resource=Resource.CORPUS_BYTES)
        training.start()
        wait_for(lambda: waiting_for_locks() == 1)
        uploading.start()
        wait_for(lambda: waiting_for_locks() == 2)
    training.join(120)
    uploading.join(120)

    assert reread(operation).state == OperationState.SUCCEEDED
    assert set(documents(corpus)) > {"upload:first.txt", "upload:second.txt"}
    assert_counted(corpus)


def break_other_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = current_user AND datname = current_database()"
            " AND pid <> pg_backend_pid()"
        )


def train_until_the_database_is_away(operation_id, said) -> None:
    try:
        train(operation_id)
    except OperationalError as error:
        said.append(error)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_training_whose_database_went_away_is_tried_again(corpus, alice, pages):
    pages.held, said = "/deny", []
    operation = start(corpus, alice)
    working = threading.Thread(target=train_until_the_database_is_away, args=(operation.pk, said))
    working.start()
    assert pages.asked.wait(120)

    break_other_connections()
    working.join(120)
    pages.let_go.set()

    assert said
    assert reread(operation).state == OperationState.RUNNING
    assert operations.sweep_stale(timezone.now() + timedelta(seconds=90)).requeued == 1
    train(operation.pk)
    assert reread(operation).state == OperationState.SUCCEEDED
    assert len(ready(corpus)) == 3
    assert_counted(corpus)


@pytest.mark.django_db
@pytest.mark.parametrize("is_open", [False, True])
def test_nothing_says_that_it_is_read_once_its_training_was_given_up(alice, is_open):
    document = DocumentFactory(
        corpus=CorpusFactory(tenant=alice.tenant), state=DocumentState.READING
    )
    now = timezone.now()
    facts = {"tenant": alice.tenant, "target_id": document.corpus_id}
    OperationFactory(**facts, state="Failed", heartbeat_at=now - timedelta(minutes=2), ended_at=now)
    if is_open:
        OperationFactory(**facts, state="Running", heartbeat_at=now)

    release_abandoned(now)

    with tenant_scope(alice.tenant.pk):
        state = Document.objects.get().state
    assert state == (DocumentState.READING if is_open else DocumentState.QUEUED)
