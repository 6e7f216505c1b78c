"""The ledger of connections: what the proxies report becomes rows.

Reports may come twice, late, or in one batch with their own end; a row is found by the proxy's own
id, an end is never taken back, and a denial is an end. Opens its own platform scope.
"""

import ipaddress
import logging
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.utils import timezone

from proxyconfig.domain.connections import ConnectionEvent, ConnectionStage
from proxyconfig.models import Connection
from tenants.domain.states import Direction
from tenants.models.scoped import platform_scope
from tenants.models.tenant import Tenant

logger = logging.getLogger(__name__)

_LATER = [
    *("snat_address", "destination_host", "destination_address", "destination_port", "detail"),
    *("bytes_sent", "bytes_received", "verdict", "rule_id", "message", "closed_at"),
]


def record(events: Sequence[ConnectionEvent]) -> int:
    """Write reports to the ledger; the same ones again change nothing. Four queries at most.

    A report of a tenant that is not known (any more) is dropped, and the log says how many.

    Returns:
        How many connections the reports were about, without those dropped.
    """
    if not events:
        return 0
    newest = _newest(events)
    with platform_scope("connection ledger"):
        slugs = {event.tenant for event in newest}
        ids = dict(Tenant.objects.filter(slug__in=slugs).values_list("slug", "pk"))
        rows = [_row(event, ids[event.tenant]) for event in newest if event.tenant in ids]
        Connection.objects.bulk_create(
            [row for row in rows if row.closed_at is None], ignore_conflicts=True
        )
        Connection.objects.bulk_create(
            [row for row in rows if row.closed_at is not None],
            update_conflicts=True,
            unique_fields=["proxy_id"],
            update_fields=_LATER,
        )
    if dropped := len(newest) - len(rows):
        unknown = ", ".join(sorted(slugs - ids.keys()))
        logger.warning("%d reports of unknown tenants were dropped: %s", dropped, unknown)
    return len(rows)


def close_left_open(message: str) -> int:
    """End the outbound connections that the last proxy process left open when it was killed.

    Call it before a new process lets anything out.

    Returns:
        How many there were.
    """
    with platform_scope("connection ledger"):
        return Connection.objects.filter(
            closed_at__isnull=True, direction=Direction.OUT.value
        ).update(closed_at=timezone.now(), message=message)


def forget(before: datetime, *, batch: int = 1000) -> int:
    """Delete up to ``batch`` of the oldest connections that closed before; how many.

    Rows come in the order of time, so the oldest are found without a scan.
    """
    with platform_scope("connection ledger"):
        oldest = Connection.objects.order_by("pk").values_list("pk", "closed_at")[:batch]
        ids = [pk for pk, closed_at in oldest if closed_at is not None and closed_at < before]
        return Connection.objects.filter(pk__in=ids).delete()[0]


def _newest(events: Iterable[ConnectionEvent]) -> list[ConnectionEvent]:
    """One report for each connection, its end where the batch has it, in order of proxy id.

    One statement cannot write a row twice, and rows locked in one order cannot deadlock.
    """
    newest: dict[str, ConnectionEvent] = {}
    for event in events:
        known = newest.get(event.proxy_id)
        if known is None or known.stage is ConnectionStage.OPENED:
            newest[event.proxy_id] = event
    return [newest[proxy_id] for proxy_id in sorted(newest)]


def _row(event: ConnectionEvent, tenant_id: int) -> Connection:
    is_open = event.stage is ConnectionStage.OPENED
    return Connection(
        tenant_id=tenant_id,
        proxy_id=uuid.UUID(event.proxy_id),
        trace_id=event.trace_id,
        direction=event.direction.value,
        source_address=_address(event.source_address),
        snat_address=_address(event.snat_address),
        destination_host=event.destination_host[:253],
        destination_address=_address(event.destination_address),
        destination_port=event.destination_port,
        detail=event.detail[:300],
        bytes_sent=event.bytes_sent,
        bytes_received=event.bytes_received,
        verdict=event.verdict.value,
        rule_id=event.rule_id[:200],
        message=event.message,
        opened_at=event.opened_at,
        closed_at=None if is_open else event.closed_at or event.opened_at,
    )


def _address(text: str) -> str | None:
    """An address as the database takes it; one strange line must not cost a whole batch."""
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None
