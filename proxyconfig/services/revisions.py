"""Revisions: what is current, and how a plan becomes it.

``plans`` makes a plan current here. One Operation follows each revision, for people to watch;
``rollout`` reports on it.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from proxyconfig.domain import manifest
from proxyconfig.domain.intent import Intent
from proxyconfig.models import Placement, Plan, Revision
from proxyconfig.services import placements
from tenants import audit, locks, wake
from tenants.domain.actor import Actor, system
from tenants.domain.states import ChangeState
from tenants.locks import Level
from tenants.models.operation import Operation, OperationKind
from tenants.models.tenant import Cluster, Tenant
from tenants.services import operations

# Decided, and not yet on every proxy.
UNDERWAY = (ChangeState.APPROVED, ChangeState.APPLYING)


@dataclass(frozen=True, slots=True)
class Current:
    """What workers shall bring about: the intent of a generation, and the plan that led to it.

    Attributes:
        plan_id: None while the tenant has no revision, and for a generation that no plan raised.
    """

    generation: int
    intent: Intent
    plan_id: int | None


def current(tenant: Tenant) -> Current:
    """The newest revision; an empty intent, which denies everything, while there is none.

    Raises:
        InvalidError: it cannot be read.
    """
    row = Revision.objects.filter(tenant=tenant).order_by("-generation").first()
    if row is None:
        return Current(tenant.generation, Intent(tenant=tenant.slug), None)
    return Current(tenant.generation, intent_of(row), row.plan_id)


def intent_of(revision: Revision) -> Intent:
    """A revision's intent, whatever version of Sluice wrote it.

    Raises:
        InvalidError: it cannot be read.
    """
    return read(revision.intent, revision.tenant_id)


def read(stored: Any, tenant_id: int) -> Intent:  # Any: JSON.
    """An intent that a plan or revision of a tenant keeps.

    Raises:
        InvalidError: it cannot be read.
    """
    is_present = isinstance(stored, dict) and stored.get("apiVersion") == manifest.API_VERSION
    return manifest.from_stored(stored, home="" if is_present else _home(tenant_id))


def _home(tenant_id: int) -> str:
    """The cluster of what an intent of an earlier version kept without naming one."""
    rows = Placement.objects.filter(tenant_id=tenant_id).order_by("pk")
    name = rows.values_list("cluster__name", flat=True).first()
    return name or Cluster.objects.order_by("pk").values_list("name", flat=True).first() or "local"


def make_current(tenant: Tenant, plan: Plan, intent: Intent, *, actor: Actor) -> Revision:
    """Raise the generation with a new revision, and wake workers; in the caller's transaction.

    Plans that are still being applied are superseded: the new revision has all that they have.
    Where the tenant has no placement nobody would ever report, so the plan counts as applied.

    Args:
        intent: what the rows say now.
    """
    supersede(tenant, actor=actor, newer=plan)
    revision = Revision(
        tenant=tenant,
        generation=tenant.raise_generation(),
        plan=plan,
        intent=manifest.to_mapping(intent),
        intent_hash=manifest.intent_hash(intent),
        author_name=plan.author_name,
        reason=plan.reason,
    )
    revision.save()
    if not Placement.objects.filter(tenant=tenant).exists():
        _end_at_once(plan, actor)
        return revision
    operations.start_operation(
        tenant,
        OperationKind.APPLY,
        f"Apply revision {revision.generation}: {plan.summary}"[:200],
        actor=actor,
        target_id=plan.pk,
        total=len(plan.entries),
        unit="objects",
    )
    placements.make_due(tenant)
    wake.tenant(tenant.pk)  # Sent after commit; a lost one costs a sweep, not a change.
    return revision


def _end_at_once(plan: Plan, actor: Actor) -> None:
    plan.state = ChangeState.APPLIED.value
    plan.save(update_fields=["state"])
    detail = {"message": "The tenant is on no cluster."}
    audit.record(system("reconcile", trace_id=actor.trace_id), "plan.applied", plan, detail=detail)


def supersede(tenant: Tenant, *, actor: Actor, newer: Plan) -> None:
    """Close the tenant's other plans that are being applied."""
    rows = Plan.objects.filter(tenant=tenant, state__in=[state.value for state in UNDERWAY])
    stale = list(rows.exclude(pk=newer.pk).order_by("pk").values_list("pk", flat=True))
    if not stale:
        return
    Plan.objects.filter(pk__in=stale).update(state=ChangeState.SUPERSEDED.value)
    # Locked before they are looked at: one that somebody else ends now needs no asking.
    open_work = _open_applies(tenant).filter(target_id__in=stale)
    for operation in locks.rows(Level.OPERATION, open_work):
        operations.ask_to_stop(operation, actor=actor)


def _open_applies(tenant: Tenant) -> QuerySet[Operation]:
    return Operation.objects.filter(tenant=tenant, kind=OperationKind.APPLY, ended_at__isnull=True)
