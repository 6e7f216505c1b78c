"""The append-only log: one call for each thing that somebody did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db import models
from django.utils import timezone

from tenants.domain.actor import Actor
from tenants.models.audit import AuditEntry
from tenants.models.scoped import current_scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing of several that were done at once, to something that is named by its values."""

    event: str
    object_type: str
    object_name: str
    detail: Mapping[str, object] = field(default_factory=dict)


def record_all(actor: Actor, lines: Sequence[Line], *, tenant_id: int, reason: str = "") -> None:
    """Add an entry for each line, in their order and in one statement; else as ``record``."""
    now = timezone.now()
    AuditEntry.objects.bulk_create(
        AuditEntry(
            tenant_id=tenant_id,
            at=now,
            actor=actor.name,
            is_platform_staff=actor.is_platform_staff,
            event=line.event,
            object_type=line.object_type,
            object_name=line.object_name[:200],
            reason=reason,
            detail=dict(line.detail),
            trace_id=actor.trace_id,
        )
        for line in lines
    )


def record(
    actor: Actor,
    event: str,
    subject: models.Model | None = None,
    *,
    reason: str = "",
    detail: Mapping[str, object] | None = None,
) -> AuditEntry:
    """Add an entry, in the caller's transaction and scope; a sealer chains it within a second.

    Args:
        event: ``<noun>.<past participle>``.
        subject: is named by its ``audit_name`` where it has one, since every member of the tenant
            reads the log, also who may not see the subject.
        detail: facts for machines; never secrets.
    """
    entry = AuditEntry(
        tenant_id=_tenant_id(subject),
        at=timezone.now(),
        actor=actor.name,
        is_platform_staff=actor.is_platform_staff,
        event=event,
        object_type=subject._meta.model_name or "" if subject is not None else "",
        object_id=str(subject.pk) if subject is not None else "",
        object_name=_name(subject)[:200] if subject is not None else "",
        reason=reason,
        detail=dict(detail or {}),
        trace_id=actor.trace_id,
    )
    entry.save(force_insert=True)
    return entry


def _name(subject: models.Model) -> str:
    return str(getattr(subject, "audit_name", subject))


def _tenant_id(subject: models.Model | None) -> int | None:
    scope = current_scope()
    if scope.tenant_id is not None:
        return scope.tenant_id
    if subject is None:
        return None
    if subject._meta.label == "tenants.Tenant":
        return int(subject.pk)
    owner = getattr(subject, "tenant_id", None)
    return None if owner is None else int(owner)
