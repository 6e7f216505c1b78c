"""Runs from the question to the end: blocked, written, stopped, and healed after a death."""

import json
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from proxyconfig.facade import egress_endpoint
from ragapp.models import Channel, Run
from ragapp.services import corpora, runs
from ragapp.services.answer import answer, claim
from ragapp.services.runs import Entrance, ask
from ragapp.services.web import WayOut, page, rank, search
from ragapp.tests.factories import CorpusFactory, RunFactory, indexed
from ragapp.tests.outside import html, site
from tenants.domain.states import AnswerEnd, OperationState
from tenants.errors import ConflictError, InvalidError, NotVisibleError
from tenants.models import tenant_scope
from tests.wire.server import Reply, as_json

QUESTION = "What is a SNAT pool for?"
TEXT = "A SNAT pool holds the source addresses that a tenant goes out with."


def asked(person, **options) -> Run:
    with person.acting() as actor:
        return ask(
            person.tenant,
            options.pop("question", QUESTION),
            actor=actor,
            channel=Channel.API,
            **options,
        )


def reread(run) -> Run:
    with tenant_scope(run.tenant_id):
        return Run.objects.get(pk=run.pk)


def wait_for(is_so) -> None:
    """Return once it is so; fails after a minute."""
    for _ in range(600):
        if is_so():
            return
        time.sleep(0.1)
    pytest.fail("it did not come to be so within a minute")


def kinds(run) -> list[str]:
    return [entry["kind"] for entry in run.entries]


@pytest.mark.django_db
def test_question_makes_a_run_and_wakes_the_engine(alice, broker):
    with broker.taking() as sent:
        run = asked(alice)

    assert sent == [("ragapp.answer_run", run.pk)]
    assert (run.state, run.question, len(run.trace_id)) == (OperationState.QUEUED, QUESTION, 32)


@pytest.mark.django_db
def test_way_in_is_the_first_line_of_the_trace(alice):
    came = Entrance(Channel.INGRESS, "127.0.0.9", "acme/web")
    with alice.acting() as actor:
        run = ask(alice.tenant, QUESTION, actor=actor, channel=came)

    first = run.entries[0]
    assert (first["source"], first["rule"], run.channel) == ("127.0.0.9", "acme/web", "ingress")


@pytest.mark.django_db
@pytest.mark.parametrize("question", ["", "   ", "\0", "x" * 4001])
def test_question_without_words_or_without_end_is_refused(alice, question):
    with alice.acting() as actor, pytest.raises(InvalidError):
        ask(alice.tenant, question, actor=actor, channel=Channel.API)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services", "generator")
def test_untrained_tenant_without_egress_is_told_who_can_open_it(alice, egress):
    egress.deny(alice.tenant)
    run = asked(alice)

    answer(run.pk)

    ended = reread(run)
    assert (ended.state, ended.end) == (OperationState.SUCCEEDED, AnswerEnd.BLOCKED)
    assert "No egress policy of the tenant acme allows 127.30.0.10:8081" in ended.answer
    assert "NetOps of acme can add" in ended.answer
    assert "acme/default-deny" in ended.end_message
    assert kinds(ended) == ["ingress", "route", "outbound", "end"]
    assert ended.route == "web"
    event = egress.process.ledger.wait(lambda event: event.trace_id == run.trace_id)
    assert event.rule_id == "acme/default-deny"


@pytest.mark.model
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services", "generator", "embedder")
def test_local_run_searches_grades_and_writes(alice, egress):
    egress.deny(alice.tenant)
    indexed(CorpusFactory(tenant=alice.tenant), [TEXT])
    run = asked(alice)

    answer(run.pk)

    ended = reread(run)
    assert ended.state == OperationState.SUCCEEDED
    assert {"route", "search", "grade", "model", "end"} <= set(kinds(ended))
    hits = next(entry for entry in ended.entries if entry["kind"] == "search")["hits"]
    assert (hits[0]["dense_rank"], hits[0]["lexical_rank"]) == (1, 1)
    assert ended.usage["prompt_tokens"] > 0
    assert ended.usage["tokens_out"] > 0
    assert [citation["text"] for citation in ended.citations] == [""]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services", "generator")
def test_run_that_has_ended_is_not_answered_again(alice, egress):
    egress.deny(alice.tenant)
    run = asked(alice)
    answer(run.pk)
    ended = reread(run)

    answer(run.pk)
    answer(987654321)

    assert reread(run).ended_at == ended.ended_at


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services")
def test_missing_model_fails_the_run_in_words(alice, settings):
    settings.GENERATOR = "/nowhere/at/all"
    run = asked(alice)

    answer(run.pk)

    failed = reread(run)
    assert failed.state == OperationState.FAILED
    assert "/nowhere/at/all" in failed.error


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services", "generator")
def test_stop_of_a_running_answer_keeps_its_trace(alice, egress, settings):
    egress.allow(alice.tenant)
    asked_for = threading.Event()
    stopped = threading.Event()

    def slow(request) -> Reply:
        asked_for.set()
        stopped.wait(60)
        return as_json({"results": []})

    with site(slow) as far:
        settings.SEARCH_URL = far.url
        run = asked(alice)
        working = threading.Thread(target=_answer_and_close, args=(run.pk,))
        working.start()
        assert asked_for.wait(60)
        with alice.acting() as actor:
            runs.request_stop(run, actor=actor)
        beaten = reread(run).heartbeat_at
        # The beat after the request has read it.
        wait_for(lambda: reread(run).heartbeat_at > beaten + timedelta(seconds=1))
        stopped.set()
        working.join(60)

    ended = reread(run)
    assert ended.state == OperationState.CANCELLED
    assert "route" in kinds(ended)


@pytest.mark.django_db
def test_stop_of_a_queued_run_is_at_once(alice):
    run = asked(alice)

    with alice.acting() as actor:
        runs.request_stop(run, actor=actor)
        with pytest.raises(ConflictError, match="already ended"):
            runs.request_stop(run, actor=actor)

    assert reread(run).state == OperationState.CANCELLED


@pytest.mark.django_db
def test_sweep_queues_a_run_without_heartbeat_again_and_then_gives_up(alice, broker):
    now = timezone.now()
    silent = now - timedelta(minutes=1)
    running = {"tenant": alice.tenant, "state": OperationState.RUNNING, "heartbeat_at": silent}
    once = RunFactory(**running, attempts=1)
    twice = RunFactory(**running, attempts=2)
    stopped = RunFactory(**running, attempts=1, cancel_requested_at=silent)
    alive = RunFactory(**{**running, "heartbeat_at": now}, attempts=1)

    with broker.taking() as sent:
        swept = runs.sweep_stale(now)

    assert (swept.requeued, swept.failed) == (1, 1)
    assert sent == [("ragapp.answer_run", once.pk)]
    assert reread(once).state == OperationState.QUEUED
    assert reread(twice).state == OperationState.FAILED
    assert "died 2 times" in reread(twice).error
    assert reread(stopped).state == OperationState.CANCELLED
    assert reread(alive).state == OperationState.RUNNING


@pytest.mark.django_db
def test_sweep_sends_a_lost_message_again_but_not_at_once(alice, broker):
    run = RunFactory(tenant=alice.tenant)
    later = run.created_at + timedelta(seconds=30)

    with broker.taking() as at_once:
        runs.sweep_stale(run.created_at)
    with broker.taking() as sent:
        runs.sweep_stale(later)
        runs.sweep_stale(later)

    assert (at_once, sent) == ([], [("ragapp.answer_run", run.pk)])


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services", "generator")
def test_run_whose_worker_died_is_answered_by_the_next(alice, egress):
    egress.deny(alice.tenant)
    run = RunFactory(
        tenant=alice.tenant,
        state=OperationState.RUNNING,
        attempts=1,
        answer="Half of an ans",
        heartbeat_at=timezone.now() - timedelta(minutes=1),
    )

    runs.sweep_stale(timezone.now())
    answer(run.pk)

    ended = reread(run)
    assert (ended.state, ended.attempts) == (OperationState.SUCCEEDED, 2)
    assert "Half of" not in ended.answer
    assert kinds(ended)[0] == "ingress"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services")
def test_question_whose_corpus_is_deleted_while_it_waits_is_not_asked_everywhere(alice):
    indexed(CorpusFactory(tenant=alice.tenant), [TEXT])
    corpus = CorpusFactory(tenant=alice.tenant, name="handbook")
    run = asked(alice, corpus=corpus)
    with alice.acting() as actor:
        corpora.delete_corpus(corpus, actor=actor)

    answer(run.pk)

    failed = reread(run)
    assert (failed.state, failed.corpus_id) == (OperationState.FAILED, None)
    assert failed.error == (
        "The corpus handbook was deleted before this was answered. Ask again in another one."
    )
    assert kinds(failed) == ["ingress"]


@pytest.mark.django_db
def test_beginnings_of_a_later_attempt_come_after_all_of_an_earlier_one(alice):
    run = RunFactory(tenant=alice.tenant, attempts=1, restarts=1)

    # The attempt before began anew up to four times; its row may know of none of them.
    assert claim(run.pk).restarts == reread(run).restarts == 101
    assert claim(RunFactory(tenant=alice.tenant).pk).restarts == 0


@pytest.mark.django_db
def test_run_of_another_tenant_is_not_visible(alice, charlie):
    run = asked(charlie)

    with alice.acting(), pytest.raises(NotVisibleError):
        runs.visible_run(run.trace_id)
    with charlie.acting():
        assert runs.visible_run(run.trace_id) == run


@pytest.mark.django_db
def test_hits_can_be_stored_whatever_a_page_calls_itself(alice, egress, settings):
    found = {"url": "http://x/\0", "title": "a\0\ud800b", "content": "c\udfff"}
    # Escaped in JSON, as half a surrogate pair can only come.
    said = json.dumps({"results": [found]}).encode()
    egress.allow(alice.tenant)
    way = WayOut("acme", "c" * 32, egress_endpoint(alice.tenant))

    with site(lambda request: Reply(200, said, "application/json")) as far:
        settings.SEARCH_URL = far.url
        (hit,) = search(QUESTION, 3, way=way).hits

    assert [hit.url, hit.title, hit.snippet] == ["http://x/\ufffd", "a\ufffd\ufffdb", "c\ufffd"]


@pytest.mark.model
@pytest.mark.django_db
def test_web_route_searches_reads_and_ranks(alice, egress, embedder, settings):
    egress.allow(alice.tenant)
    way = WayOut("acme", "b" * 32, egress_endpoint(alice.tenant))

    def answers(request) -> Reply:
        if request.path == "/search":
            found = {"url": f"{far.url}/pools", "title": "Pools", "content": "about pools"}
            bad = {"url": "javascript:alert(1)", "title": "x", "content": ""}
            return as_json({"query": request.query["q"], "results": [bad, found]})
        return html("Pools", "Nothing about the matter at all, only filler.", TEXT)

    with site(answers) as far:
        settings.SEARCH_URL = far.url
        hits = search(QUESTION, 3, way=way)
        pages = [page(hit.url, way=way) for hit in hits.hits]
        passages = rank(QUESTION, pages, 2, embedder=embedder)

    assert [hit.url for hit in hits.hits] == [f"{far.url}/pools"]
    assert TEXT in passages[0].text
    assert pages[0].document.text[passages[0].start : passages[0].end] == passages[0].text
    assert passages[0].url == f"{far.url}/pools"
    assert passages[0].chunk_id is None


def _answer_and_close(run_id: int) -> None:
    try:
        answer(run_id)
    finally:
        connection.close()
