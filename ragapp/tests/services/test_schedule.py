"""Trainings by the clock: started once when due, never piled up, and nobody else's."""

from datetime import timedelta

import pytest
from django.utils import timezone

from ragapp.models import Corpus, Schedule
from ragapp.services import schedule
from ragapp.tests.factories import CorpusFactory, SourceFactory
from tenants.models import Operation, platform_scope, tenant_scope

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def scheduled(tenant, name="handbook", *, due=True, **fields) -> Corpus:
    corpus = CorpusFactory(
        tenant=tenant,
        name=name,
        schedule=Schedule.DAILY,
        train_at=NOW - timedelta(days=3) if due else NOW + timedelta(minutes=1),
        **fields,
    )
    SourceFactory(corpus=corpus)
    return corpus


def open_trainings() -> list[tuple[int, int]]:
    with platform_scope("test"):
        rows = Operation.objects.filter(ended_at__isnull=True).order_by("pk")
        return list(rows.values_list("tenant_id", "target_id"))


def reread(corpus) -> Corpus:
    with tenant_scope(corpus.tenant_id):
        return Corpus.objects.get(pk=corpus.pk)


def test_what_is_due_is_started_once_and_its_time_moves_on(acme, globex):
    one, other = scheduled(acme), scheduled(globex)
    scheduled(acme, "later", due=False)

    assert schedule.start_due(NOW) == 2
    assert schedule.start_due(NOW) == 0

    assert open_trainings() == [(acme.pk, one.pk), (globex.pk, other.pk)]
    assert reread(one).train_at == NOW + timedelta(days=1)


def test_a_training_that_still_runs_is_waited_for(acme):
    corpus = scheduled(acme)
    schedule.start_due(NOW)

    assert schedule.start_due(NOW + timedelta(days=2)) == 0

    assert len(open_trainings()) == 1
    assert reread(corpus).train_at == NOW + timedelta(days=3)


def test_a_corpus_without_sources_is_passed_over(acme):
    corpus = CorpusFactory(tenant=acme, schedule=Schedule.HOURLY, train_at=NOW)

    assert schedule.start_due(NOW) == 0

    assert reread(corpus).train_at == NOW + timedelta(hours=1)
