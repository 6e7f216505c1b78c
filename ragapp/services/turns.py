"""Whose question is answered next: tenants take turns, however many questions one of them has.

A message to the engine worker says that there is something to answer, not what: the worker picks
when it has a thread free. So a tenant with thirty questions waiting delays itself, and another's
first question is next.
"""

import itertools
import threading
from collections.abc import Sequence

from django.db.models import Count, Min, Q

from ragapp.models import Run
from tenants.domain.states import OperationState
from tenants.models.scoped import platform_scope

_lock = threading.Lock()
_clock = itertools.count(1)
# When a tenant had its last turn in this process; a new process begins anew.
_last_turn_by_tenant: dict[int, int] = {}


def pick() -> int | None:
    """The id of the queued run whose turn it is; None when nothing waits.

    Its tenant is the one with the fewest runs under way, among equals the one whose last turn is
    longest ago, then the one that has waited longest; of its runs the oldest comes first.
    """
    with platform_scope("run turns"):
        waiting = _waiting()
        if not waiting:
            return None
        with _lock:
            tenant_id, run_id = min(waiting, key=_rank)[1:3]
            _last_turn_by_tenant[tenant_id] = next(_clock)
        return run_id


def is_anybody_waiting() -> bool:
    """Whether a run is queued."""
    with platform_scope("run turns"):
        return Run.objects.filter(state=OperationState.QUEUED.value).exists()


def _waiting() -> Sequence[tuple[int, int, int]]:
    """Runs under way, tenant and oldest queued run, for each tenant that has one queued."""
    queued, running = Q(state=OperationState.QUEUED.value), Q(state=OperationState.RUNNING.value)
    return list(
        Run.objects.filter(queued | running)
        .order_by()
        .values("tenant_id")
        .annotate(under_way=Count("pk", filter=running), oldest=Min("pk", filter=queued))
        .filter(oldest__isnull=False)
        .values_list("under_way", "tenant_id", "oldest")
    )


def _rank(waiting: tuple[int, int, int]) -> tuple[int, int, int]:
    under_way, tenant_id, run_id = waiting
    return under_way, _last_turn_by_tenant.get(tenant_id, 0), run_id
