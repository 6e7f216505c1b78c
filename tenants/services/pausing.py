"""Is a tenant paused? Then its proxies are watched, and left as they are."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from tenants import audit, locks, wake
from tenants.access import require
from tenants.domain.actor import Actor
from tenants.domain.roles import Action
from tenants.errors import InvalidError
from tenants.models.tenant import Tenant

# As the column takes.
_LONGEST = 300


def is_paused(tenant: Tenant, now: datetime) -> bool:
    """True while an operator's pause lasts; one that has an end in the past counts as none."""
    until: datetime | None = getattr(tenant, "paused_until", None)
    return tenant.is_paused and (until is None or now < until)


def pause(tenant: Tenant, *, actor: Actor, reason: str, until: datetime | None = None) -> None:
    """Leave the tenant's proxies as they are until ``until``, or until ``resume``.

    What is approved meanwhile is kept, and applied at the end.

    Raises:
        ForbiddenError: the actor may not set the tenant's guardrails.
        InvalidError: no reason was given, or the end is past.
    """
    require(actor, Action.MANAGE_GUARDRAILS)
    reason = _required(reason)
    if until is not None and until <= timezone.now():
        message = "Choose an end in the future, or leave it empty."
        raise InvalidError(message, fields={"until": [message]})
    with transaction.atomic():
        locked = locks.tenant(tenant.pk)
        locked.is_paused, locked.paused_until = True, until
        locked.paused_reason, locked.paused_by = reason, actor.name
        _save(locked)
        detail = {"until": until.isoformat() if until else None}
        audit.record(actor, "tenant.paused", locked, reason=reason, detail=detail)
    wake.tenant(tenant.pk)


def resume(tenant: Tenant, *, actor: Actor, reason: str) -> None:
    """End the pause now; the proxies get what was approved meanwhile.

    Raises:
        ForbiddenError: the actor may not set the tenant's guardrails.
        InvalidError: no reason was given.
    """
    require(actor, Action.MANAGE_GUARDRAILS)
    reason = _required(reason)
    with transaction.atomic():
        locked = locks.tenant(tenant.pk)
        locked.is_paused, locked.paused_until = False, None
        locked.paused_reason = locked.paused_by = ""
        _save(locked)
        audit.record(actor, "tenant.resumed", locked, reason=reason)
    wake.tenant(tenant.pk)


def _save(tenant: Tenant) -> None:
    tenant.save(update_fields=["is_paused", "paused_until", "paused_reason", "paused_by"])


def _required(reason: str) -> str:
    if not reason.strip():
        message = "Say why: the reason stands in the audit log and beside the pause."
        raise InvalidError(message, fields={"reason": [message]}, code="reason-missing")
    if len(reason.strip()) > _LONGEST:
        message = f"Use at most {_LONGEST} characters."
        raise InvalidError(message, fields={"reason": [message]})
    return reason.strip()
