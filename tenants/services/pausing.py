"""Is a tenant paused? Then its proxies are watched, and left as they are.

A suspended tenant is paused with its proxies emptied: nothing of it is served until it resumes.
"""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from tenants import audit, locks, wake
from tenants.access import require
from tenants.domain.actor import Actor
from tenants.domain.roles import Action
from tenants.errors import ConflictError, InvalidError
from tenants.models.tenant import Tenant

# As the column takes.
_LONGEST = 300

_COLUMNS = ("is_paused", "is_suspended", "paused_until", "paused_reason", "paused_by")


def is_paused(tenant: Tenant, now: datetime) -> bool:
    """True while an operator's pause lasts; one that has an end in the past counts as none."""
    until: datetime | None = getattr(tenant, "paused_until", None)
    return tenant.is_paused and (until is None or now < until)


def is_suspended(tenant: Tenant, now: datetime) -> bool:
    """True while the pause lasts and the proxies are to serve nothing."""
    return tenant.is_suspended and is_paused(tenant, now)


def pause(
    tenant: Tenant,
    *,
    actor: Actor,
    reason: str,
    until: datetime | None = None,
    suspends: bool = False,
) -> None:
    """Leave the tenant's proxies as they are until ``until``, or until ``resume``.

    What is approved meanwhile is kept, and applied at the end.

    Args:
        suspends: the proxies are emptied instead.

    Raises:
        ForbiddenError: the actor may not set the tenant's guardrails.
        InvalidError: no reason was given, or the end is past.
        ConflictError: the tenant is suspended, and its emptied proxies have nothing to keep.
    """
    require(actor, Action.MANAGE_GUARDRAILS)
    reason = _required(reason)
    if until is not None and until <= timezone.now():
        message = "Choose an end in the future, or leave it empty."
        raise InvalidError(message, fields={"until": [message]})
    with transaction.atomic():
        locked = locks.tenant(tenant.pk)
        if is_suspended(locked, timezone.now()) and not suspends:
            message = f"Tenant {locked} is suspended, so there is nothing to keep. Resume it first."
            raise ConflictError(message, code="suspended")
        locked.is_paused, locked.paused_until = True, until
        locked.is_suspended = suspends
        locked.paused_reason, locked.paused_by = reason, actor.name
        _save(locked)
        detail = {"until": until.isoformat() if until else None}
        event = "tenant.suspended" if suspends else "tenant.paused"
        audit.record(actor, event, locked, reason=reason, detail=detail)
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
        locked.is_paused, locked.is_suspended, locked.paused_until = False, False, None
        locked.paused_reason = locked.paused_by = ""
        _save(locked)
        audit.record(actor, "tenant.resumed", locked, reason=reason)
    wake.tenant(tenant.pk)


def _save(tenant: Tenant) -> None:
    tenant.save(update_fields=_COLUMNS)


def _required(reason: str) -> str:
    if not reason.strip():
        message = "Say why: the reason stands in the audit log and beside the pause."
        raise InvalidError(message, fields={"reason": [message]}, code="reason-missing")
    if len(reason.strip()) > _LONGEST:
        message = f"Use at most {_LONGEST} characters."
        raise InvalidError(message, fields={"reason": [message]})
    return reason.strip()
