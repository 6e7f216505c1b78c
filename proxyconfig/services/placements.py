"""Where a tenant is placed, which placements are due, and who may work on one.

Work on a placement is guarded by a lease: a token that the claim gives, that each renewal and the
write that ends the work name again. A worker that lost its lease writes nothing.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from proxyconfig.models import Placement
from tenants.errors import ConflictError
from tenants.models.scoped import platform_scope
from tenants.models.segment import Segment, SnatAddress, VirtualAddress
from tenants.models.tenant import Cluster, Namespace, Tenant

# Longer than any single call to a local proxy, and renewed between calls; short, since the
# placement of a worker that was killed waits for its end.
LEASE_SECONDS = 4.0
# A local proxy is looked at this often; drift is healed one look later at most.
CHECK_EVERY = timedelta(seconds=2)
# How long a sent message may take before the sweep sends another one.
RESEND_AFTER = timedelta(seconds=4)


class LeaseLostError(ConflictError):
    """Another worker has the placement by now: stop, and write nothing."""

    default_code = "lease-lost"


@dataclass(frozen=True, slots=True)
class Lease:
    """One worker's right to one placement."""

    placement_id: int
    token: uuid.UUID


def place(tenant: Tenant) -> list[Cluster]:
    """See that the tenant has a placement on each cluster where it holds anything.

    A tenant that holds nothing yet goes to the only cluster, if there is only one. Six queries.

    Returns:
        The clusters that it is placed on, by name.
    """
    mine = [
        model._default_manager.filter(tenant=tenant).order_by().values_list("cluster_id", flat=True)
        for model in (Namespace, Segment, VirtualAddress, SnatAddress)
    ]
    wanted = set(mine[0].union(*mine[1:]))
    placed = set(Placement.objects.filter(tenant=tenant).values_list("cluster_id", flat=True))
    if not wanted and not placed:
        only = list(Cluster.objects.values_list("pk", flat=True)[:2])
        wanted = set(only) if len(only) == 1 else set()
    Placement.objects.bulk_create(
        [Placement(tenant=tenant, cluster_id=pk) for pk in sorted(wanted - placed)],
        ignore_conflicts=True,
    )
    return list(Cluster.objects.filter(pk__in=wanted | placed).order_by("name"))


def due_placements(now: datetime, limit: int) -> list[int]:
    """The placements to look at now: those behind first, then those due for a check.

    Each is put off by ``RESEND_AFTER`` in the same statement, so that it is found again only when
    its message was lost, and two sweeps at once share the work. Leased ones are left alone. Opens
    its own scope.

    Args:
        limit: at most so many; the longest waiting first.
    """
    with platform_scope("placement sweep"), connection.cursor() as cursor:
        cursor.execute(_DUE, {"now": now, "until": now + RESEND_AFTER, "limit": limit})
        rows = sorted(cursor.fetchall(), key=lambda row: (not row[1], row[2], row[0]))
    return [row[0] for row in rows]


def placements_of(tenant_id: int) -> list[int]:
    """The tenant's placements; none when the tenant is gone. Opens its own scope."""
    with platform_scope("placements of a tenant"):
        rows = Placement.objects.filter(tenant_id=tenant_id)
        return list(rows.order_by("pk").values_list("pk", flat=True))


def claim(placement_id: int) -> Lease | None:
    """Take the lease; None when another worker has it or the placement is gone.

    One statement, in the caller's platform scope; end that before any work begins.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"id": placement_id, "seconds": LEASE_SECONDS})
        row = cursor.fetchone()
    return Lease(placement_id, row[0]) if row else None


def renew(lease: Lease) -> None:
    """The heartbeat: hold the lease for another while. Opens its own scope.

    Raises:
        LeaseLostError: another worker has it by now.
    """
    write(lease, {"lease_until": timezone.now() + timedelta(seconds=LEASE_SECONDS)})


def write(lease: Lease, values: Mapping[str, object]) -> None:
    """Change the placement as the holder of its lease. Opens its own scope.

    Raises:
        LeaseLostError: another worker has it by now; nothing was written.
    """
    with platform_scope("placement write"):
        if not held(lease).update(**values):
            raise LeaseLostError(
                f"Placement {lease.placement_id} is no longer this worker's: its lease ran out and"
                " another one took it, or it is gone. Nothing was written."
            )


def held(lease: Lease) -> QuerySet[Placement]:
    """The placement, as long as the lease holds; inside the caller's scope."""
    return Placement.objects.filter(pk=lease.placement_id, lease_token=lease.token)


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
        SELECT p.id, p.observed_generation < t.generation AS behind, due.next_check_at
          FROM due JOIN proxyconfig_placement p ON p.id = due.id
          JOIN tenants_tenant t ON t.id = p.tenant_id
         ORDER BY behind DESC, due.next_check_at LIMIT %(limit)s
           FOR UPDATE OF p SKIP LOCKED
    )
    UPDATE proxyconfig_placement p SET next_check_at = %(until)s, next_attempt_at = %(until)s
      FROM picked WHERE p.id = picked.id
    RETURNING p.id, picked.behind, picked.next_check_at
"""

_CLAIM = """
    UPDATE proxyconfig_placement
       SET lease_token = gen_random_uuid(),
           lease_until = now() + make_interval(secs => %(seconds)s)
     WHERE id = (SELECT id FROM proxyconfig_placement
                  WHERE id = %(id)s AND (lease_until IS NULL OR lease_until < now())
                    FOR UPDATE SKIP LOCKED)
    RETURNING lease_token
"""
