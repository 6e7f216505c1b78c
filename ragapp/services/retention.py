"""What is kept how long: runs with their traces, and the single lines of the usage ledger.

The text of web pages that a run cites goes with the run, and a conversation, whose title is a
question, with the last of its runs. The daily sums of usage are kept for good.
A sweep deletes the oldest rows in small batches, each in a transaction of its own, so nobody waits
for it and a killed sweep has lost nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef

from ragapp.models import Conversation, EmbeddingCall, Run, UsageEntry
from tenants.domain.states import ENDED_OPERATIONS
from tenants.models.scoped import platform_scope

BATCH = 500
# What one sweep deletes at most of one kind; the next one goes on.
MOST_BATCHES = 200
_ENDED = [state.value for state in sorted(ENDED_OPERATIONS)]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What one sweep deleted, as counts of rows."""

    runs: int
    usage_entries: int


def sweep(now: datetime, *, batch: int = BATCH) -> Forgotten:
    """Delete what is older than the settings say; what is still going on is never too old."""
    _dead_calls(now)
    return Forgotten(
        runs=_repeat(lambda: _old_runs(_before(now, settings.KEEP_RUNS_DAYS), batch)),
        usage_entries=_repeat(lambda: _old_entries(_before(now, settings.KEEP_USAGE_DAYS), batch)),
    )


def _before(now: datetime, days: int | None) -> datetime | None:
    return None if days is None else now - timedelta(days=days)


def _repeat(delete_batch: Callable[[], int]) -> int:
    total = 0
    for _ in range(MOST_BATCHES):
        deleted = delete_batch()
        total += deleted
        if not deleted:
            break
    return total


def _old_runs(before: datetime | None, batch: int) -> int:
    """Delete up to ``batch`` of the oldest; rows come in the order of time, so none is scanned."""
    if before is None:
        return 0
    with platform_scope("retention"):
        oldest = Run.objects.order_by("pk").values_list("pk", "created_at", "state")[:batch]
        ids = [pk for pk, created_at, state in oldest if created_at < before and state in _ENDED]
        # Its feedback goes with it, so the count is taken before.
        Run.objects.filter(pk__in=ids).delete()
        _empty_conversations(before, batch)
    return len(ids)


def _empty_conversations(before: datetime, batch: int) -> None:
    """Delete up to ``batch`` of those that nothing is left of; their titles are questions too."""
    runs = Run.objects.filter(conversation=OuterRef("pk"))
    # Locked: whoever goes on with one now notes the time first, and it is left alone then.
    empty = Conversation.objects.select_for_update().filter(~Exists(runs), asked_at__lt=before)
    Conversation.objects.filter(pk__in=list(empty.values_list("pk", flat=True)[:batch])).delete()


def _old_entries(before: datetime | None, batch: int) -> int:
    if before is None:
        return 0
    with platform_scope("retention"):
        ids = list(UsageEntry.objects.filter(at__lt=before).values_list("pk", flat=True)[:batch])
        UsageEntry.objects.filter(pk__in=ids).delete()
    return len(ids)


def _dead_calls(now: datetime) -> None:
    """Delete calls for vectors whose worker died; they hold nothing any more."""
    with platform_scope("retention"):
        EmbeddingCall.objects.filter(expires_at__lt=now).delete()
