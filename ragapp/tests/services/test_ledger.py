"""Accounting: each attempt once, with what it really used, and sums that equal the ledger."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.db.models import Sum
from django.utils import timezone

from ragapp.models import Channel, Run, UsageDay, UsageEntry
from ragapp.services import ledger, runs
from ragapp.services.answer import answer, claim
from ragapp.tests.factories import CorpusFactory, RunFactory
from tenants.domain.quota import Resource
from tenants.domain.states import OperationState
from tenants.models import tenant_scope
from tenants.services import quotas
from tenants.tests.factories import ApiTokenFactory

QUESTION = "What is a SNAT pool for?"


def call(purpose: str, tokens_in: int, tokens_out: int, model: str = "small") -> dict:
    return {
        "kind": "model",
        "at_ms": 0,
        "ms": 7,
        "model": model,
        "purpose": purpose,
        "tokens_in": tokens_in,
        "tokens_out": tokens_out,
        "finish": "",
    }


def entries(tenant) -> list[UsageEntry]:
    with tenant_scope(tenant.pk):
        return list(UsageEntry.objects.order_by("pk"))


def sums_agree(tenant) -> bool:
    """The day's sums are those of the ledger, by every word, to the last token."""
    words = ("day", "kind", "model", "corpus", "used_by")
    added = {name: Sum(name) for name in ledger.AMOUNTS}
    with tenant_scope(tenant.pk):
        of_entries = (
            UsageEntry.objects.order_by()
            .values(*words)
            .annotate(**{f"sum_{name}": total for name, total in added.items()})
        )
        counted = {tuple(row.values()) for row in of_entries}
        kept = set(UsageDay.objects.values_list(*words, *ledger.AMOUNTS))
    return counted == kept


def test_attempt_is_charged_by_model_and_purpose(acme):
    token = ApiTokenFactory(tenant=acme)
    run = RunFactory(
        tenant=acme, corpus=CorpusFactory(tenant=acme, name="docs"), token=token, attempts=1
    )
    trace = [call("prompt", 100, 0), call("grade", 10, 1), call("answer", 5, 20), call("x", 1, 2)]
    other = [call("rewrite", 3, 4, model="large")]
    with tenant_scope(acme.pk):
        ledger.record_attempt(
            run,
            trace + other,
            attempt=1,
            state=OperationState.SUCCEEDED,
            now=timezone.now(),
        )
        used = quotas.standings(acme.pk, token_id=token.pk)

    large, small = entries(acme)
    assert (small.tokens_in, small.tokens_out, small.milliseconds) == (116, 23, 28)
    assert small.tokens_by_purpose["answer_out"] == 20
    assert (large.model, large.tokens_in, large.tokens_out) == ("large", 3, 4)
    assert (small.requests + large.requests, small.corpus, small.token_id) == (1, "docs", token.pk)
    assert sums_agree(acme)
    assert [s.used for s in used if s.resource is Resource.TOKENS_PER_DAY] == [146]


def test_same_attempt_cannot_be_charged_twice(acme):
    run = RunFactory(tenant=acme)
    when = {"attempt": 1, "state": OperationState.FAILED, "now": timezone.now()}
    with tenant_scope(acme.pk):
        ledger.record_attempt(run, [call("answer", 1, 1)], **when)
    with pytest.raises(IntegrityError), tenant_scope(acme.pk):
        ledger.record_attempt(run, [call("answer", 1, 1)], **when)

    assert len(entries(acme)) == 1
    assert sums_agree(acme)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services", "generator")
def test_run_that_ended_is_in_the_ledger_once_and_as_its_row_says(alice, acme, egress):
    egress.deny(acme)
    with alice.acting() as actor:
        run = runs.ask(acme, QUESTION, actor=actor, channel=Channel.API)

    answer(run.pk)
    answer(run.pk)

    (entry,) = entries(acme)
    with tenant_scope(acme.pk):
        ended = Run.objects.get(pk=run.pk)
    assert (entry.trace_id, entry.requests, entry.used_by) == (run.trace_id, 1, "alice")
    assert (entry.tokens_in, entry.tokens_out) == (
        ended.usage["tokens_in"],
        ended.usage["tokens_out"],
    )
    assert sums_agree(acme)


def test_attempt_of_a_dead_worker_is_charged_with_what_its_row_had_seen(acme):
    run = RunFactory(
        tenant=acme,
        state=OperationState.RUNNING,
        attempts=1,
        heartbeat_at=timezone.now() - timedelta(minutes=1),
    )
    with tenant_scope(acme.pk):
        Run.objects.filter(pk=run.pk).update(entries=[*run.entries, call("prompt", 50, 0)])

    runs.sweep_stale(timezone.now())
    runs.sweep_stale(timezone.now())

    (entry,) = entries(acme)
    assert (entry.attempt, entry.tokens_in, entry.requests) == (1, 50, 0)


def test_attempt_that_dies_at_once_is_not_charged_with_what_the_one_before_used(acme):
    run = RunFactory(tenant=acme, state=OperationState.QUEUED, attempts=1)
    with tenant_scope(acme.pk):
        Run.objects.filter(pk=run.pk).update(entries=[*run.entries, call("prompt", 50, 0)])

    assert claim(run.pk) is not None
    runs.sweep_stale(timezone.now() + timedelta(minutes=1))

    (entry,) = entries(acme)
    assert (entry.attempt, entry.tokens_in, entry.requests) == (2, 0, 1)


def test_question_that_was_stopped_in_the_queue_is_a_question(alice, acme):
    with alice.acting() as actor:
        run = runs.ask(acme, QUESTION, actor=actor, channel=Channel.API)
        runs.request_stop(run, actor=actor)

    (entry,) = entries(acme)
    assert (entry.requests, entry.tokens_in, entry.ended_as) == (1, 0, "Cancelled")
    assert sums_agree(acme)


@pytest.mark.django_db(transaction=True)
def test_sums_equal_the_ledger_when_many_end_at_once_and_some_roll_back(acme):
    made = [RunFactory(tenant=acme, attempts=1, asked_by=f"user-{n % 3}") for n in range(24)]
    start = threading.Barrier(8)

    def end(number: int) -> None:
        try:
            if number < 8:
                start.wait(10)
            with tenant_scope(acme.pk):
                ledger.record_attempt(
                    made[number],
                    [call("answer", number, 1, model=f"model-{number % 2}")],
                    attempt=1,
                    state=OperationState.SUCCEEDED,
                    now=timezone.now(),
                )
                if number % 4 == 0:
                    raise KeyError(number)
        except KeyError:
            pass
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(end, range(24)))

    assert len(entries(acme)) == 18
    assert sums_agree(acme)


def test_sums_of_a_period_leave_out_other_days(acme):
    now = timezone.now()
    with tenant_scope(acme.pk):
        for age in (0, 1, 40):
            ledger.record_attempt(
                RunFactory(tenant=acme),
                [call("answer", 10, age)],
                attempt=1,
                state=OperationState.SUCCEEDED,
                now=now - timedelta(days=age),
            )
        last = now.date()
        found = ledger.totals(last - timedelta(days=6), last)
        by_day = ledger.by("day", last - timedelta(days=6), last)

    assert (found.requests, found.tokens_in, found.tokens_out) == (2, 20, 1)
    assert [sums.word for sums in by_day] == [
        (last - timedelta(days=1)).isoformat(),
        last.isoformat(),
    ]
