"""A question whose real engine worker is killed while it writes the answer."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.utils import timezone

from ragapp.models import Channel, Corpus, ModelKind, Run, UsageEntry
from ragapp.services import embedding, language_models, runs
from ragapp.tests.conftest import acme, alice, cluster, egress, embedder
from ragapp.tests.factories import CorpusFactory, indexed
from ragapp.tests.services.test_train import wait_for
from tenants.domain.actor import Actor
from tenants.domain.roles import PlatformRole
from tenants.domain.states import AnswerEnd, OperationState
from tenants.models import platform_scope, tenant_scope
from tests.wire import reader, server
from tests.wire.test_reader import PERFECT, key_of
from workers.tests.test_proxyconfig import queue

__all__ = ["acme", "alice", "cluster", "egress", "embedder", "queue"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.model,
    pytest.mark.usefixtures("services", "queue", "embedder"),
]

KEY = key_of(8)
PLATFORM = Actor(name="test", platform_role=PlatformRole.ADMIN)


@contextmanager
def engine_worker(**environment):
    """The worker as it is deployed: threads on its own queue; killed at the end, in mid-answer."""
    command = [sys.executable, "-m", "celery", "-A", "workers.celery", "worker"]
    worker = subprocess.Popen(
        [*command, "-Q", "engine", "-P", "threads", "-c", "2", "--without-gossip"],
        env={**os.environ, **environment},
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(60)


@pytest.fixture
def corpus(acme):
    made = CorpusFactory(tenant=acme, name="docs", web=False)
    indexed(made, [passage.text for passage in KEY.passages])
    return made


def served_by(corpus: Corpus, wire: server.WireServer) -> None:
    """Have the corpus answered by the model on this server."""
    values = {
        "kind": ModelKind.SERVER,
        "location": reader.MODEL,
        "base_url": f"{wire.url}/v1/",
        "context_tokens": 16_000,
    }
    with platform_scope("test"):
        language_models.save("reader", values, actor=PLATFORM)
    with tenant_scope(corpus.tenant_id):
        Corpus.objects.filter(pk=corpus.pk).update(model="reader")
    corpus.model = "reader"


def reread(run: Run) -> Run:
    with tenant_scope(run.tenant_id):
        return Run.objects.get(pk=run.pk)


def test_answer_outlives_its_worker(acme, alice, corpus):
    with server.serving(reader.build("127.0.0.1:0", KEY, skill=PERFECT, token_seconds=0.5)) as slow:
        served_by(corpus, slow)
        with alice.acting() as actor:
            question = KEY.questions[0].text
            run = runs.ask(acme, question, actor=actor, channel=Channel.API, corpus=corpus)
        with engine_worker():
            wait_for(lambda: reread(run).answer)
    assert reread(run).state == OperationState.RUNNING

    with server.serving(reader.build("127.0.0.1:0", KEY, skill=PERFECT)) as quick:
        served_by(corpus, quick)
        with engine_worker():
            assert runs.sweep_stale(timezone.now() + timedelta(seconds=60)).requeued == 1
            wait_for(lambda: reread(run).has_ended)

    ended = reread(run)
    assert (ended.state, ended.attempts, ended.end) == ("Succeeded", 2, AnswerEnd.FOUND)
    assert "7000" in ended.answer
    with tenant_scope(acme.pk):
        entries = list(UsageEntry.objects.order_by("attempt"))
    assert [(entry.attempt, entry.requests) for entry in entries] == [(1, 0), (2, 1)]
    assert ended.usage["tokens_in"] == entries[1].tokens_in


def test_questions_that_wait_hold_up_no_embedding_and_are_all_answered(acme, alice, corpus):
    with server.serving(reader.build("127.0.0.1:0", KEY, skill=PERFECT, token_seconds=0.2)) as slow:
        served_by(corpus, slow)
        with alice.acting() as actor:
            asked = [
                runs.ask(acme, question.text, actor=actor, channel=Channel.API, corpus=corpus)
                for question in KEY.questions[:3]
            ]
        with engine_worker(SLUICE_ANSWERS_AT_ONCE="1"):
            wait_for(lambda: any(reread(run).answer for run in asked))
            with alice.acting() as actor:
                job = embedding.submit(acme, ["A pool of addresses."], actor=actor)
            embedded = asyncio.run(embedding.reply(job))
            has_ended = [reread(run).has_ended for run in asked]
            wait_for(lambda: all(reread(run).has_ended for run in asked))

    assert len(embedded.vectors) == 1
    assert not all(has_ended)
    assert {reread(run).state for run in asked} == {OperationState.SUCCEEDED}
