"""Plans that wait for a person: whose they are, what they hold, and how they end.

The rows of plans are read and ended here; ``judging`` says what one would do, ``plans`` makes them
and ``decisions`` decides on them.
"""

from collections.abc import Iterable

from django.db.models import Q, QuerySet
from django.utils import timezone

from proxyconfig.domain import guardrails, manifest, objects
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.objects import Key
from proxyconfig.models import Placement, Plan
from proxyconfig.services import revisions
from proxyconfig.services.rows import build_intent
from tenants import locks
from tenants.domain.actor import Actor
from tenants.domain.states import ChangeState
from tenants.errors import ConflictError, ForbiddenError, InvalidError, NotVisibleError
from tenants.models.tenant import Tenant

EXPIRED = "rule:expired"
_UNDECIDED = Q(state=ChangeState.AWAITING_APPROVAL.value)


def open_change_sets(tenant: Tenant, actor: Actor) -> QuerySet[Plan]:
    """The actor's own waiting plans, which another edit of theirs can join; newest first."""
    return authored(tenant, actor).filter(_UNDECIDED).exclude(expires_at__lte=timezone.now())


def authored(tenant: Tenant, actor: Actor) -> QuerySet[Plan]:
    """The actor's own plans, in whatever state; newest first."""
    rows = Plan.objects.filter(tenant=tenant)
    if actor.user_id is None:
        return rows.filter(author_id=None, author_name=actor.name)
    return rows.filter(author_id=actor.user_id)


def pending(tenant: Tenant) -> dict[Key, list[Plan]]:
    """The plans that wait, by each object that they touch; one query."""
    found: dict[Key, list[Plan]] = {}
    for plan in waiting(tenant).order_by("pk").defer("base", "intent", "entries"):
        for change in plan.changes:
            found.setdefault(Key(change["collection"], change["name"]), []).append(plan)
    return found


def intent_with(tenant: Tenant, plan: Plan | None) -> Intent:
    """What is in force, with what a change set makes of it.

    Raises:
        ConflictError: ``plan-decided``: it waits no more.
    """
    current = build_intent(tenant)
    if plan is None:
        return current
    unexpired(plan)
    base = revisions.read(plan.base, tenant.pk) if plan.base else current
    return objects.merge(base, current, revisions.read(plan.intent, tenant.pk)).intent


def has_written(plan: Plan, *, actor: Actor) -> bool:
    """True when the actor authored the plan, and so may not approve it."""
    return is_author(plan, actor)


def needs_grant(plan: Plan) -> bool:
    """True when only somebody who may grant private networks can approve the plan."""
    return any(found["code"] == guardrails.PRIVATE_DESTINATION for found in plan.findings)


def waiting(tenant: Tenant) -> QuerySet[Plan]:
    return Plan.objects.filter(_UNDECIDED, tenant=tenant)


def lock_tenant(tenant: Tenant) -> Tenant:
    """The tenant's row, then its placements: what every change of a plan takes first."""
    locked = locks.tenant(tenant.pk)
    locks.rows(locks.Level.PLACEMENT, Placement.objects.filter(tenant=locked))
    return locked


def stored(tenant: Tenant, plan: Plan) -> Plan:
    """The row as it is now, without a lock.

    Raises:
        NotVisibleError: the tenant has no such plan.
    """
    return _only(Plan.objects.filter(pk=plan.pk, tenant=tenant), plan)


def awaiting(tenant: Tenant, plan: Plan) -> Plan:
    """The row, locked.

    Raises:
        NotVisibleError: the tenant has no such plan.
        ConflictError: it no longer awaits a decision.
    """
    row = Plan.objects.filter(pk=plan.pk, tenant=tenant)
    current = _only(locks.rows(locks.Level.PLAN, row), plan)
    current.tenant = plan.tenant
    if not current.awaits_decision:
        raise _decided(current)
    return current


def _only(rows: Iterable[Plan], plan: Plan) -> Plan:
    for current in rows:
        return current
    raise NotVisibleError(f"There is no {plan} here. See the list of plans.")


def unexpired(current: Plan) -> Plan:
    """The plan, where it still awaits a decision and its time is not over.

    The sweep ends an expired plan some minutes late; until then it is refused in the same words.

    Raises:
        ConflictError: it is decided, or expired.
    """
    if not current.awaits_decision or current.is_expired:
        raise _decided(current)
    return current


def _decided(plan: Plan) -> ConflictError:
    name = str(plan).capitalize()
    if plan.is_expired or plan.decided_by == EXPIRED:
        message = f"{name} has expired, so there is nothing to decide. Make a new plan."
    else:
        message = (
            f"{name} is {plan.state} by now, so there is nothing to decide. See the list of plans."
        )
    return ConflictError(message, code="plan-decided")


def own_change_set(tenant: Tenant, plan: Plan, actor: Actor) -> Plan:
    return own(awaiting(tenant, plan), plan, actor)


def own(current: Plan, plan: Plan, actor: Actor) -> Plan:
    """The waiting plan, which is the actor's own and what they read.

    Raises:
        ForbiddenError: it is somebody else's.
        ConflictError: it does not wait any more, or is not what they read.
    """
    unexpired(current)
    if not is_author(current, actor):
        raise ForbiddenError(
            f"{str(current).capitalize()} is {current.author_name}'s. Make a plan of your own."
        )
    return readable(current, plan.intent_hash)


def readable(current: Plan, read: str) -> Plan:
    """The plan, where it is still what somebody read.

    Raises:
        ConflictError: it is not.
    """
    stored = manifest.intent_hash(proposal_of(current))
    if current.intent_hash != read or stored != current.intent_hash:
        raise ConflictError(
            f"{str(current).capitalize()} is not what you read: its content changed since. Read"
            " it again.",
            code="plan-changed",
        )
    return current


def is_author(plan: Plan, actor: Actor) -> bool:
    """By account; the name alone counts for Sluice itself, which has none."""
    if plan.author_id is None and actor.is_system:
        return plan.author_name == actor.name
    return plan.author_id is not None and plan.author_id == actor.user_id


def end(plan: Plan, state: ChangeState, *, by: str, comment: str = "") -> None:
    plan.state, plan.decided_by, plan.decided_at = state.value, by, timezone.now()
    plan.decision_comment = comment
    plan.expires_at = None
    plan.save(update_fields=["state", "decided_by", "decided_at", "decision_comment", "expires_at"])


def required(text: str, field: str) -> str:
    if "\0" in text:
        message = f"The {field} has a NUL character in it."
        raise InvalidError(message, fields={field: [message]})
    if text.strip():
        return text.strip()
    message = f"Say why: the {field} stands in the audit log and in the tenant's history."
    raise InvalidError(message, fields={field: [message]}, code="reason-missing")


def base_of(plan: Plan) -> Intent:
    if plan.base is None:
        return Intent(tenant=plan.tenant.slug)
    return revisions.read(plan.base, plan.tenant_id)


def proposal_of(plan: Plan) -> Intent:
    return revisions.read(plan.intent, plan.tenant_id)
