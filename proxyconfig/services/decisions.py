"""Deciding on a plan that waits: approve, refuse, withdraw, or let it expire.

An approval merges the plan with what became current since it was made, asks everything again, and
runs the same writer as an edit that needed nobody. The other ends have nothing to undo.
"""

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from proxyconfig.domain import grants
from proxyconfig.models import Plan
from proxyconfig.services import change_sets, judging
from proxyconfig.services.publishing import publish
from proxyconfig.services.rows import build_intent
from tenants import audit, locks
from tenants.access import require
from tenants.domain.actor import Actor, system
from tenants.domain.roles import Action
from tenants.domain.states import ChangeState
from tenants.errors import ForbiddenError
from tenants.models.scoped import platform_scope
from tenants.services import claims


def approve(plan: Plan, *, actor: Actor, comment: str, grant: bool = False, read: str = "") -> Plan:
    """Make a waiting plan current, merged with what became current since it was made.

    Args:
        read: the ``intent_hash`` of the plan that the actor read, if it is known.
        grant: grant the private networks that it reaches; a platform administrator's right.

    Raises:
        InvalidError: no comment was given.
        ForbiddenError: the actor may not approve it, or has written it.
        ConflictError: ``plan-decided``, also once it expired; ``plan-changed``: not what the actor
            read; ``plan-stale``: it does not fit what is in force any more, as the message says.
    """
    comment = change_sets.required(comment, "comment")
    require(actor, Action.APPROVE_PLAN)
    if grant:
        require(actor, Action.GRANT_PRIVATE)
    with transaction.atomic():
        tenant = change_sets.lock_tenant(plan.tenant)
        waiting = change_sets.unexpired(change_sets.awaiting(tenant, plan))
        current = change_sets.readable(waiting, read or plan.intent_hash)
        if change_sets.is_author(current, actor):
            raise ForbiddenError(
                f"You authored {current}, so another person must approve it: a NetOps member of"
                f" {tenant} or of the platform."
            )
        before = build_intent(tenant)
        after = judging.merged(current, before)
        if grant:
            after = grants.with_grants(before, after, by=actor.name, at=timezone.now())
        judging.check_again(tenant, current, before, after, actor=actor, grant=grant)
        change_sets.end(current, ChangeState.APPROVED, by=actor.name, comment=comment)
        audit.record(actor, "plan.approved", current, reason=comment, detail={"granted": grant})
        publish(tenant, current, before, after, actor=actor)
    plan.tenant.generation = tenant.generation
    return current


def refuse(plan: Plan, *, actor: Actor, comment: str) -> Plan:
    """Turn a waiting plan down; what was held for it is free again.

    Raises:
        InvalidError: no comment was given.
        ForbiddenError: the actor may not decide on plans.
        ConflictError: the plan is decided already.
    """
    comment = change_sets.required(comment, "comment")
    require(actor, Action.APPROVE_PLAN)
    return _turn_down(plan, ChangeState.REFUSED, "plan.refused", actor=actor, comment=comment)


def cancel(plan: Plan, *, actor: Actor, comment: str = "") -> Plan:
    """Withdraw a waiting plan; what was held for it is free again.

    Raises:
        ForbiddenError: the actor is neither its author nor may decide on plans.
        ConflictError: the plan is decided already.
    """
    if not change_sets.is_author(plan, actor):
        require(actor, Action.APPROVE_PLAN)
    return _turn_down(plan, ChangeState.CANCELLED, "plan.cancelled", actor=actor, comment=comment)


def expire(now: datetime, *, limit: int = 100) -> int:
    """End the plans that waited too long; how many. Opens its own scopes, one for each plan."""
    with platform_scope("expire plans"):
        due = Plan.objects.filter(state=ChangeState.AWAITING_APPROVAL.value, expires_at__lte=now)
        rows = due.select_related("tenant").defer("base", "intent", "entries")
        waiting = list(rows.order_by("expires_at", "pk")[:limit])
    return sum(_expire(plan, now) for plan in waiting)


def _expire(plan: Plan, now: datetime) -> bool:
    """End one plan in a transaction of its own: each holds the locks of one tenant only."""
    comment = f"Nobody decided within {settings.CHANGE_SET_DAYS} days."
    with platform_scope("expire plans"):
        tenant = change_sets.lock_tenant(plan.tenant)
        rows = change_sets.waiting(tenant).filter(pk=plan.pk, expires_at__lte=now)
        if not locks.rows(locks.Level.PLAN, rows):
            return False
        claims.release(plan.pk)
        change_sets.end(plan, ChangeState.CANCELLED, by=change_sets.EXPIRED, comment=comment)
        audit.record(system("expire-change-sets"), "plan.expired", plan, reason=comment)
    return True


def _turn_down(plan: Plan, state: ChangeState, event: str, *, actor: Actor, comment: str) -> Plan:
    with transaction.atomic():
        # Whatever it holds by now, and were it unreadable: to end it changes nothing in force.
        current = change_sets.awaiting(change_sets.lock_tenant(plan.tenant), plan)
        claims.release(current.pk)
        change_sets.end(current, state, by=actor.name, comment=comment)
        audit.record(actor, event, current, reason=comment)
    return current
