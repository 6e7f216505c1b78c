"""Where a tenant is placed, and which placements are due.

A tenant has a placement on each cluster that its intent names. One that its intent names no longer
is ending: reconciling empties that proxy of it and, once the proxy confirms, deletes the row.
"""

import json
from datetime import datetime

from django.db import connection
from django.utils import timezone

from proxyconfig.domain.intent import Intent
from proxyconfig.domain.target import UNKNOWN_CADENCE
from proxyconfig.models import Placement
from proxyconfig.targets import TARGETS
from tenants import locks
from tenants.locks import Level
from tenants.models.scoped import platform_scope
from tenants.models.tenant import Cluster, Tenant


def wanted(intent: Intent) -> list[Cluster]:
    """The clusters that a tenant with this intent is to be on, by name.

    An intent that names none goes to the only cluster, if there is only one. One query.
    """
    if intent.clusters:
        return list(Cluster.objects.filter(name__in=intent.clusters).order_by("name"))
    only = list(Cluster.objects.order_by("name")[:2])
    return only if len(only) == 1 else []


def is_ending(cluster: Cluster, intent: Intent) -> bool:
    """True when a placement on ``cluster`` has to go; a query only where the intent names none."""
    if intent.clusters:
        return cluster.name not in intent.clusters
    return Cluster.objects.exclude(pk=cluster.pk).exists()


def place(tenant: Tenant, intent: Intent) -> list[Cluster]:
    """See that the tenant has a placement on each cluster that its intent wants.

    In a transaction that holds the tenant's lock, so that none is deleted meanwhile because it was
    ending; locks the tenant's placements too, by id, before anything else of the tenant.

    Returns:
        Those clusters, by name.
    """
    clusters = wanted(intent)
    rows = locks.rows(Level.PLACEMENT, Placement.objects.filter(tenant=tenant))
    placed = {row.cluster_id for row in rows}
    Placement.objects.bulk_create(
        [Placement(tenant=tenant, cluster=row) for row in clusters if row.pk not in placed]
    )
    return clusters


def due_placements(now: datetime, limit: int) -> list[int]:
    """The placements to look at now: those behind first, then those due for a check.

    Each is put off in the same statement, by its flavour's cadence, so that it is found again only
    when its message was lost, and two sweeps at once share the work. Leased ones are left alone.
    Opens its own scope.

    Args:
        limit: at most so many; the longest waiting first.
    """
    with platform_scope("placement sweep"), connection.cursor() as cursor:
        cursor.execute(_DUE, _due_parameters(now, limit))
        rows = sorted(cursor.fetchall(), key=lambda row: (not row[1], row[2], row[0]))
    return [row[0] for row in rows]


def placements_of(tenant_id: int) -> list[int]:
    """The tenant's placements; none when the tenant is gone. Opens its own scope."""
    with platform_scope("placements of a tenant"):
        rows = Placement.objects.filter(tenant_id=tenant_id)
        return list(rows.order_by("pk").values_list("pk", flat=True))


def make_due(tenant: Tenant) -> None:
    """Have every placement of the tenant looked at now, whatever failed before; in the caller's
    transaction.
    """
    now = timezone.now()
    Placement.objects.filter(tenant=tenant).update(
        attempts=0, next_attempt_at=now, next_check_at=now
    )


def is_settled(tenant: Tenant, generation: int) -> bool:
    """True when no placement of the tenant is behind ``generation``; in the caller's scope."""
    rows = Placement.objects.filter(tenant=tenant, observed_generation__lt=generation)
    return not rows.exists()


def _due_parameters(now: datetime, limit: int) -> dict[str, datetime | str | float]:
    resend = {name: kind.cadence.resend_after.total_seconds() for name, kind in TARGETS.items()}
    return {
        "now": now,
        "resend": json.dumps(resend),
        "resend_unknown": UNKNOWN_CADENCE.resend_after.total_seconds(),
        "limit": limit,
    }


# Two branches, so that each is one range of one index.
_DUE = """
    WITH due AS (
        (SELECT p.id, p.next_check_at FROM proxyconfig_placement p
          WHERE p.next_check_at <= %(now)s AND (p.lease_until IS NULL OR p.lease_until < %(now)s)
          ORDER BY p.next_check_at LIMIT %(limit)s)
        UNION
        (SELECT p.id, p.next_check_at FROM proxyconfig_placement p
           JOIN tenants_tenant t ON t.id = p.tenant_id
          WHERE p.next_attempt_at <= %(now)s AND p.observed_generation < t.generation
            AND (p.lease_until IS NULL OR p.lease_until < %(now)s)
          ORDER BY p.next_attempt_at LIMIT %(limit)s)
    ), picked AS (
        SELECT p.id, p.observed_generation < t.generation AS behind, due.next_check_at,
               %(now)s + make_interval(secs => COALESCE(
                   (%(resend)s::jsonb ->> c.flavour)::float8, %(resend_unknown)s)) AS until
          FROM due JOIN proxyconfig_placement p ON p.id = due.id
          JOIN tenants_tenant t ON t.id = p.tenant_id
          JOIN tenants_cluster c ON c.id = p.cluster_id
         ORDER BY behind DESC, due.next_check_at LIMIT %(limit)s
           FOR NO KEY UPDATE OF p SKIP LOCKED
    )
    UPDATE proxyconfig_placement p SET next_check_at = picked.until, next_attempt_at = picked.until
      FROM picked WHERE p.id = picked.id
    RETURNING p.id, picked.behind, picked.next_check_at
"""
