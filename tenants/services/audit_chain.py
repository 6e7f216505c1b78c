"""Seals audit entries into a chain of hashes, and checks the chain.

Entries are written without a lock. The sealer runs each second, takes what is new in order, and
gives each a sequence number and a SHA-256 over the entry and the hash before it, under an
advisory lock, so the chain never forks. A chain alone cannot show that its end was cut off: keep
the head that ``manage.py audit_verify`` prints outside of the database, and compare.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, timedelta

from django.db import connection
from django.db.models import Max
from django.utils import timezone

from tenants.models.audit import AuditEntry, AuditSeal
from tenants.models.scoped import platform_scope

GENESIS = "0" * 64
# Entries may commit out of order; one that is this far behind the newest seal is never looked for
# again, which keeps a log of millions as quick as one of dozens. ``verify`` would name it.
WINDOW = 100_000
SEAL_WITHIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Verification:
    """What a walk over the chain found.

    Attributes:
        sealed: how many seals were checked.
        head: hash of the last good seal; zeros for an empty chain.
        broken: the first thing that is wrong, in one sentence; "" when the chain holds.
    """

    sealed: int
    head: str
    broken: str = ""

    @property
    def holds(self) -> bool:
        """True when no entry was changed, removed, inserted or left out."""
        return not self.broken


def seal(limit: int) -> int:
    """Chain up to ``limit`` new entries, oldest first; how many were chained.

    0 too when another sealer is at work.
    """
    with platform_scope("audit seal"):
        if not _is_only_sealer():
            return 0
        last = AuditSeal.objects.order_by("-sequence").first()
        newest = AuditSeal.objects.aggregate(newest=Max("entry_id"))["newest"] or 0
        waiting = AuditEntry.objects.filter(pk__gt=newest - WINDOW, seal__isnull=True)
        sequence, previous = (last.sequence, last.hash) if last else (0, GENESIS)
        seals = []
        for entry in waiting.order_by("pk")[:limit]:
            sequence += 1
            previous = chained_hash(sequence, entry, previous)
            seals.append(
                AuditSeal(sequence=sequence, entry=entry, tenant_id=entry.tenant_id, hash=previous)
            )
        AuditSeal.objects.bulk_create(seals)
    return len(seals)


def verify() -> Verification:
    """Walk the whole chain, in constant memory."""
    with platform_scope("audit verify"):
        count, previous = 0, GENESIS
        seals = AuditSeal.objects.order_by("sequence").select_related("entry")
        for row in seals.iterator(chunk_size=2000):
            if row.sequence != count + 1:
                broken = f"Seal {count + 1} is missing: its entry was removed from the chain."
                return Verification(count, previous, broken)
            if chained_hash(row.sequence, row.entry, previous) != row.hash:
                return Verification(count, previous, _changed(row))
            count, previous = row.sequence, row.hash
        return Verification(count, previous, _left_out())


def is_anchored(sequence: int, head: str) -> bool:
    """True when seal ``sequence`` still has the hash that somebody kept outside of the database."""
    with platform_scope("audit verify"):
        return AuditSeal.objects.filter(sequence=sequence, hash=head).exists()


def chained_hash(sequence: int, entry: AuditEntry, previous: str) -> str:
    """SHA-256, hex, over the hash before it and the entry as canonical JSON."""
    canonical = json.dumps(
        {
            "sequence": sequence,
            "id": entry.pk,
            "tenant": entry.tenant_id,
            "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "actor": entry.actor,
            "is_platform_staff": entry.is_platform_staff,
            "event": entry.event,
            "object_type": entry.object_type,
            "object_id": entry.object_id,
            "object_name": entry.object_name,
            "reason": entry.reason,
            "detail": entry.detail,
            "trace_id": entry.trace_id,
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return hashlib.sha256(f"{previous}{canonical}".encode()).hexdigest()


def _is_only_sealer() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('sluice audit seal'), 0)")
        row = cursor.fetchone()
    return bool(row and row[0])


def _changed(row: AuditSeal) -> str:
    return (
        f"Entry {row.entry_id} ({row.entry.event}, {row.entry.at.isoformat()}, seal {row.sequence})"
        " is not what was sealed: it, or the seal before it, was changed."
    )


def _left_out() -> str:
    late = timezone.now() - SEAL_WITHIN
    entry = AuditEntry.objects.filter(seal__isnull=True, at__lt=late).order_by("pk").first()
    if entry is None:
        return ""
    return (
        f"Entry {entry.pk} ({entry.event}, {entry.at.isoformat()}) was never sealed: the sealer"
        " does not run, or somebody removed its seal."
    )
