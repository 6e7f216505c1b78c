"""Training by the clock: the sweep that starts what is due."""

from contextlib import suppress
from datetime import datetime

from ragapp.domain.schedule import next_at
from ragapp.models import Corpus, Schedule
from ragapp.services import corpora
from tenants.domain.actor import system
from tenants.errors import ConflictError, InvalidError
from tenants.models.scoped import platform_scope, tenant_scope

# What is left waits for the next sweep.
_MOST_AT_ONCE = 100


def start_due(now: datetime) -> int:
    """Start the trainings whose time has come; how many were started.

    The row's own time is moved on in the transaction that starts the training, so two sweeps start
    it once, and a sweep that died starts it the next time.
    """
    with platform_scope("scheduled trainings"):
        due = list(
            Corpus.objects.filter(train_at__lte=now)
            .exclude(schedule=Schedule.NEVER)
            .order_by("train_at")
            .values_list("tenant_id", "pk")[:_MOST_AT_ONCE]
        )
    return sum(_start(tenant_id, corpus_id, now) for tenant_id, corpus_id in due)


def _start(tenant_id: int, corpus_id: int, now: datetime) -> bool:
    with tenant_scope(tenant_id):
        corpus = (
            Corpus.objects.select_for_update(of=("self",))
            .select_related("tenant")
            .filter(pk=corpus_id, train_at__lte=now)
            .first()
        )
        if corpus is None:
            return False
        # Counted from now: what was missed while nothing ran is made up for once, not many times.
        corpus.train_at = next_at(corpus.schedule, now)
        corpus.save(update_fields=["train_at"])
        # One that runs already, or a corpus without sources, is no reason to try again at once.
        with suppress(ConflictError, InvalidError):
            corpora.start_training(corpus, actor=system("schedule"))
            return True
    return False
