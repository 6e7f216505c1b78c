"""Documents of trainings that ended without their worker."""

from datetime import datetime, timedelta

from ragapp.models import Document, DocumentState
from ragapp.services import corpora
from tenants.domain.states import OperationState
from tenants.models.operation import Operation, OperationKind
from tenants.models.scoped import platform_scope, tenant_scope

# A training that the sweep of operations gave up was last heard of some minutes ago.
_REACH = timedelta(minutes=15)


def release_abandoned(now: datetime) -> int:
    """Queue what still says that it is being read though its training has ended; how many."""
    with platform_scope("documents of ended trainings"):
        ended = Operation.objects.filter(
            kind=OperationKind.TRAIN,
            state__in=[OperationState.FAILED.value, OperationState.CANCELLED.value],
            heartbeat_at__gte=now - _REACH,
        )
        places = set(ended.values_list("tenant_id", "target_id"))
    return sum([_release(tenant_id, corpus_id or 0) for tenant_id, corpus_id in places])


def _release(tenant_id: int, corpus_id: int) -> int:
    with tenant_scope(tenant_id):
        trainings = Operation.objects.filter(kind=OperationKind.TRAIN, target_id=corpus_id)
        if not corpora.hold(corpus_id) or trainings.filter(ended_at__isnull=True).exists():
            return 0
        reading = Document.objects.filter(corpus_id=corpus_id, state=DocumentState.READING)
        return reading.update(state=DocumentState.QUEUED)
