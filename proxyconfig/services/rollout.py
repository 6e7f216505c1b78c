"""How far a plan has come on the proxies: what one worker reports while it applies a revision.

One Operation follows each revision, for people to watch; every placement of the tenant reports on
it, and the plan counts as applied once the last of them is settled.
"""

import time

from django.utils import timezone

from proxyconfig.models import Plan
from proxyconfig.services import placements
from tenants import audit, locks
from tenants.domain.actor import system
from tenants.domain.states import ChangeState, OperationState
from tenants.domain.steps import Progress
from tenants.locks import Level
from tenants.models.operation import Operation, OperationKind
from tenants.models.tenant import Tenant
from tenants.services import operations

# People who watch a long apply see a step after this long at most.
WRITE_EVERY_SECONDS = 1.0

_APPLYING, _APPLIED, _FAILED = ChangeState.APPLYING, ChangeState.APPLIED, ChangeState.FAILED
# From which states a plan comes to which, and how its operation ends then.
_FROM = {
    _APPLYING: {ChangeState.APPROVED},
    _APPLIED: {ChangeState.APPROVED, _APPLYING, _FAILED},
    _FAILED: {ChangeState.APPROVED, _APPLYING},
}
_ENDS = {_APPLIED: OperationState.SUCCEEDED, _FAILED: OperationState.FAILED}


class Rollout:
    """Steps are gathered in memory; ``write`` stores them. Without a plan it reports nothing.

    Args:
        plan_id: of the revision that is being applied; None when there is nothing to report.
        generation: the plan is applied once no placement of the tenant is behind this.
    """

    def __init__(self, tenant: Tenant, plan_id: int | None, *, generation: int) -> None:
        self._tenant, self._plan_id, self._generation = tenant, plan_id, generation
        self._gathered = self._written = Progress()
        self._written_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        """True when somebody who watches should see what was gathered."""
        waited = time.monotonic() - self._written_at
        return self._plan_id is not None and waited >= WRITE_EVERY_SECONDS

    def step(self, name: str, message: str = "", *, done: int | None = None) -> None:
        """Note one step; ``done`` objects of the plan are done by now."""
        count = self._gathered.done if done is None else done
        self._gathered = self._gathered.at(name, message, done=count, now=timezone.now())

    def write(self, state: ChangeState, *, message: str = "") -> None:
        """Bring plan and operation to what is known; in the transaction that holds the placement.

        Args:
            state: Applying, Applied (here; elsewhere it may go on) or Failed.
            message: why it failed.
        """
        if self._plan_id is None:
            return
        if state is _APPLIED and not placements.is_settled(self._tenant, self._generation):
            state = _APPLYING
        has_moved = self._move_plan(self._plan_id, state, message)
        # Every open apply of the tenant: what a dead worker left of an older plan ends with it.
        rows = Operation.objects.filter(
            tenant=self._tenant, kind=OperationKind.APPLY, ended_at__isnull=True
        )
        for operation in locks.rows(Level.OPERATION, rows):
            if operation.target_id == self._plan_id:
                self._report(operation, _ENDS.get(state) if has_moved else None, message)
            elif has_moved and state is _APPLIED:
                nothing = Progress()
                operations.report(operation, nothing, since=nothing, end=OperationState.CANCELLED)
        self._written, self._written_at = self._gathered, time.monotonic()

    def _report(self, operation: Operation, end: OperationState | None, message: str) -> None:
        operations.report(
            operation,
            self._gathered,
            since=self._written,
            end=end,
            error=message if end is OperationState.FAILED else "",
        )

    def _move_plan(self, plan_id: int, state: ChangeState, message: str) -> bool:
        (plan,) = locks.rows(Level.PLAN, Plan.objects.filter(pk=plan_id))
        if plan.state not in _FROM[state]:
            return False
        plan.state = state.value
        plan.save(update_fields=["state"])
        if state is not _APPLYING:
            actor = system("reconcile", trace_id=plan.trace_id)
            detail = {"message": message} if message else {}
            audit.record(actor, f"plan.{state.value.lower()}", plan, detail=detail)
        return True
