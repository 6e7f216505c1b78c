"""Retention: what is too old goes in batches; sums, and what goes on, stay."""

from datetime import timedelta

from django.utils import timezone

from ragapp.models import Conversation, Feedback, Run, UsageDay, UsageEntry
from ragapp.services import retention
from ragapp.tests.factories import (
    ConversationFactory,
    FeedbackFactory,
    RunFactory,
    UsageDayFactory,
    UsageEntryFactory,
)
from tenants.domain.states import OperationState
from tenants.models import platform_scope

NOW = timezone.now()


def run(tenant, age: timedelta, state=OperationState.SUCCEEDED) -> Run:
    made = RunFactory(tenant=tenant, state=state)
    with platform_scope("test"):
        Run.objects.filter(pk=made.pk).update(created_at=NOW - age)
    return made


def kept() -> set[int]:
    with platform_scope("test"):
        return set(Run.objects.values_list("pk", flat=True))


def test_ended_runs_go_when_their_days_are_over(acme, globex, settings):
    settings.KEEP_RUNS_DAYS = 30
    over, just = timedelta(days=30, seconds=1), timedelta(days=30, seconds=-60)
    old = [run(acme, over), run(globex, over, OperationState.FAILED), run(acme, over)]
    FeedbackFactory(run=old[0])
    waiting = run(acme, over, OperationState.QUEUED)
    young = run(acme, just)

    forgotten = retention.sweep(NOW, batch=2)

    assert forgotten.runs == 3
    assert kept() == {waiting.pk, young.pk}
    with platform_scope("test"):
        assert not Feedback.objects.exists()


def test_conversation_goes_with_the_last_of_its_runs(acme, globex, settings):
    settings.KEEP_RUNS_DAYS = 30
    over = timedelta(days=31)
    gone, going_on = (
        ConversationFactory(tenant=tenant, asked_at=NOW - over) for tenant in (globex, acme)
    )
    young = ConversationFactory(tenant=acme, asked_at=NOW)
    for conversation, age in ((gone, over), (going_on, over), (going_on, timedelta(days=1))):
        made = run(conversation.tenant, age)
        with platform_scope("test"):
            Run.objects.filter(pk=made.pk).update(conversation=conversation)

    assert retention.sweep(NOW).runs == 2

    with platform_scope("test"):
        assert set(Conversation.objects.all()) == {going_on, young}


def test_more_than_a_batch_goes_in_one_sweep(acme, settings):
    settings.KEEP_RUNS_DAYS = 1
    for _ in range(7):
        run(acme, timedelta(days=2))

    assert retention.sweep(NOW, batch=3).runs == 7
    assert retention.sweep(NOW, batch=3).runs == 0


def test_lines_of_the_ledger_go_and_their_sums_stay(acme, settings):
    settings.KEEP_USAGE_DAYS = 10
    UsageEntryFactory(tenant=acme, at=NOW - timedelta(days=11))
    young = UsageEntryFactory(tenant=acme, at=NOW)
    day = UsageDayFactory(tenant=acme, day=(NOW - timedelta(days=900)).date())

    assert retention.sweep(NOW).usage_entries == 1

    with platform_scope("test"):
        assert UsageEntry.objects.get() == young
        assert UsageDay.objects.get() == day


def test_none_keeps_for_ever(acme, settings):
    settings.KEEP_RUNS_DAYS = settings.KEEP_USAGE_DAYS = None
    old = run(acme, timedelta(days=9000))

    assert retention.sweep(NOW) == retention.Forgotten(runs=0, usage_entries=0)
    assert kept() == {old.pk}
