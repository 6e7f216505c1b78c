"""A training whose real worker is killed, process and children, in the midst of it."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.utils import timezone

from ragapp.models import Chunk, DocumentState
from ragapp.tests.conftest import acme, alice, cluster, egress, embedder
from ragapp.tests.services.test_train import asked, documents, ready, reread, start, wait_for
from ragapp.tests.services.test_training import corpus, pages
from tenants.domain.states import OperationState
from tenants.models import tenant_scope
from tenants.services import operations
from workers.tests.test_proxyconfig import queue

__all__ = ["acme", "alice", "cluster", "corpus", "egress", "embedder", "pages", "queue"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.model,
    pytest.mark.usefixtures("services", "queue", "embedder"),
]


@contextmanager
def ingest_worker(egress_address):
    """The worker as it is deployed: a pool of processes on its own queue; gone at the end."""
    command = [sys.executable, "-m", "celery", "-A", "workers.celery", "worker"]
    worker = subprocess.Popen(
        [*command, "-Q", "ingest", "-c", "1", "--without-gossip", "--without-mingle"],
        env={**os.environ, "SLUICE_EGRESS_ADDRESS": egress_address},
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(60)


def test_training_outlives_its_worker(corpus, alice, pages, settings):
    pages.held = "/deny"
    operation = start(corpus, alice)
    with ingest_worker(settings.EGRESS_ADDRESS):
        assert pages.asked.wait(120)
        wait_for(lambda: ready(corpus) == {"snat", "vlan"})
    pages.let_go.set()
    assert reread(operation).state == OperationState.RUNNING

    with ingest_worker(settings.EGRESS_ADDRESS):
        assert operations.sweep_stale(timezone.now() + timedelta(seconds=90)).requeued == 1
        wait_for(lambda: reread(operation).has_ended)

    ended = reread(operation)
    assert (ended.state, ended.attempts, ended.done) == (OperationState.SUCCEEDED, 2, 3)
    assert asked(pages).count("/snat") == asked(pages).count("/vlan") == 1
    assert {row.state for row in documents(corpus).values()} == {DocumentState.READY}
    with tenant_scope(corpus.tenant_id):
        corpus.refresh_from_db()
        assert corpus.chunk_count == Chunk.objects.count() == 3
