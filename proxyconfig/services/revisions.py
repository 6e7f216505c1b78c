"""Revisions: what is current, and how far a plan has come on the tenant's placements.

``plans`` makes a plan current here; the reconciler reports here when it begins to apply one and
when it has settled. One Operation follows each revision, for people to watch.
"""

import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from django.db.models import QuerySet

from proxyconfig.domain import manifest
from proxyconfig.domain.intent import Intent
from proxyconfig.models import Plan, Revision
from proxyconfig.services import placements
from tenants import audit, wake
from tenants.domain.actor import Actor, system
from tenants.domain.states import ChangeState, OperationState
from tenants.models.operation import Operation, OperationKind
from tenants.models.scoped import tenant_scope
from tenants.models.tenant import Tenant
from tenants.services import operations

# Wishes that nobody has decided on yet.
OPEN = (ChangeState.DRAFT, ChangeState.PLANNED, ChangeState.AWAITING_APPROVAL)
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
    """The newest revision; an empty intent, which denies everything, while there is none."""
    row = Revision.objects.filter(tenant=tenant).order_by("-generation").first()
    if row is None:
        return Current(tenant.generation, Intent(tenant=tenant.slug), None)
    return Current(tenant.generation, manifest.from_mapping(row.intent), row.plan_id)


def current_intent(tenant: Tenant) -> Intent:
    """The intent that workers reconcile now."""
    return current(tenant).intent


def make_current(tenant: Tenant, plan: Plan, intent: Intent, *, actor: Actor) -> Revision:
    """Raise the generation with a new revision, and wake workers; in the caller's transaction.

    Args:
        intent: the plan's, with the grants that its approval gave.
    """
    supersede(tenant, actor=actor, states=(*OPEN, *UNDERWAY), newer=plan)
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
    operations.start_operation(
        tenant,
        OperationKind.APPLY,
        f"Apply revision {revision.generation}: {plan.summary}",
        actor=actor,
        target_id=plan.pk,
        total=len(plan.entries),
        unit="objects",
    )
    placements.make_due(tenant)
    wake.tenant(tenant.pk)  # Sent after commit; a lost one costs a sweep, not a change.
    return revision


def supersede(
    tenant: Tenant, *, actor: Actor, states: Collection[ChangeState], newer: Plan
) -> None:
    """Close the tenant's other plans in these states: the newer one has all that they have."""
    rows = Plan.objects.filter(tenant=tenant, state__in=[state.value for state in states])
    stale = list(rows.exclude(pk=newer.pk).values_list("pk", flat=True))
    if not stale:
        return
    Plan.objects.filter(pk__in=stale).update(state=ChangeState.SUPERSEDED.value)
    for operation in _open_applies(tenant).filter(target_id__in=stale):
        operations.ask_to_stop(operation, actor=actor)


class Rollout:
    """A worker's report on the revision that it applies; without a plan it reports nothing.

    Each call opens its own scope, so that people see it while the work goes on.
    """

    def __init__(self, tenant: Tenant, plan_id: int | None) -> None:
        self._tenant = tenant
        self._plan_id = plan_id
        self._operation: Operation | None = None

    def begin(self) -> None:
        """The plan is being applied."""
        if self._plan_id is None:
            return
        with tenant_scope(self._tenant.pk):
            begun = Plan.objects.filter(pk=self._plan_id, state=ChangeState.APPROVED.value).update(
                state=ChangeState.APPLYING.value
            )
        self._take_operation()
        if begun:
            self.step("plan", message="Compared with what the proxy holds")

    def step(self, name: str, *, message: str = "", done: int | None = None) -> None:
        """Note one step, which is the operation's heartbeat too."""
        if self._operation is None:
            return
        try:
            operations.progress(self._operation, step=name, message=message, done=done)
        except operations.OperationCancelledError:
            # A newer revision took over, or somebody cancelled the report: the proxy is still
            # brought to the current intent, for a half-applied one would be nobody's wish.
            self._end(operations.cancelled)
        except operations.DeadlineError as error:
            self._end(partial(operations.fail, error=error.message))
        except operations.LeaseLostError:
            self._operation = None

    def applied(self) -> None:
        """This placement is done; the plan is, once every placement of the tenant is."""
        if self._plan_id is None:
            return
        with tenant_scope(self._tenant.pk):
            revision = Revision.objects.only("generation").get(plan=self._plan_id)
            if not placements.is_settled(self._tenant, revision.generation):
                return
            done = Plan.objects.filter(
                pk=self._plan_id,
                state__in=[*(state.value for state in UNDERWAY), ChangeState.FAILED.value],
            ).update(state=ChangeState.APPLIED.value)
            if done:
                plan = Plan.objects.get(pk=self._plan_id)
                audit.record(system("reconcile", trace_id=plan.trace_id), "plan.applied", plan)
        if done:
            self._take_operation()
            self._end(operations.finish)
            self._end_older()

    def failed(self, message: str) -> None:
        """It cannot be applied as it is; trying again cannot help."""
        if self._plan_id is None:
            return
        with tenant_scope(self._tenant.pk):
            failed = Plan.objects.filter(
                pk=self._plan_id, state__in=[state.value for state in UNDERWAY]
            ).update(state=ChangeState.FAILED.value)
            if failed:
                plan = Plan.objects.get(pk=self._plan_id)
                actor = system("reconcile", trace_id=plan.trace_id)
                audit.record(actor, "plan.failed", plan, detail={"message": message})
        if failed:
            self._take_operation()
        self._end(partial(operations.fail, error=message))

    def _end(self, end: Callable[[Operation], None]) -> None:
        operation, self._operation = self._operation, None
        if operation is None:
            return
        # Where it has ended otherwise meanwhile, that is all that was wanted.
        with contextlib.suppress(operations.LeaseLostError):
            end(operation)

    def _take_operation(self) -> None:
        """The plan's operation, as far as it has not ended; a queued one is claimed."""
        with tenant_scope(self._tenant.pk):
            operation = _open_applies(self._tenant).filter(target_id=self._plan_id).first()
        if operation is not None and operation.state == OperationState.QUEUED:
            operation = operations.claim(operation.pk)
        self._operation = operation

    def _end_older(self) -> None:
        """End what a dead worker left running of plans that this one superseded."""
        with tenant_scope(self._tenant.pk):
            older = list(_open_applies(self._tenant).exclude(target_id=self._plan_id))
        for operation in older:
            self._operation = operation
            self._end(operations.cancelled)


def _open_applies(tenant: Tenant) -> QuerySet[Operation]:
    return Operation.objects.filter(tenant=tenant, kind=OperationKind.APPLY, ended_at__isnull=True)
