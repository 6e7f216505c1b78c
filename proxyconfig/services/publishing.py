"""Making an intent current: rows, claims, placements and a revision, in one transaction."""

from proxyconfig.domain.intent import Intent
from proxyconfig.models import Plan, Revision
from proxyconfig.services import placements, revisions
from proxyconfig.services.rows import write_rows
from tenants.domain.actor import Actor
from tenants.domain.states import ChangeState
from tenants.models.tenant import Tenant
from tenants.services import claims


def publish(tenant: Tenant, plan: Plan, before: Intent, after: Intent, *, actor: Actor) -> None:
    """Write the rows, and make a revision of them, which wakes the workers."""
    write_rows(tenant, before, after, actor=actor, reason=plan.reason, plan_id=plan.pk)
    claims.release(plan.pk)  # What the merge left over of what was held.
    placements.place(tenant, after)
    revisions.make_current(tenant, plan, after, actor=actor)
    if plan.rolls_back_to is not None:
        undone = Revision.objects.filter(
            tenant=tenant,
            generation__gt=plan.rolls_back_to,
            generation__lte=plan.base_generation,
        )
        Plan.objects.filter(
            pk__in=undone.values("plan_id"), state=ChangeState.APPLIED.value
        ).update(state=ChangeState.ROLLED_BACK.value)
