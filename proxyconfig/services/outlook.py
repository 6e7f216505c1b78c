"""What a waiting plan would do by now: asked when somebody looks at it, before they decide.

It may have been made against an older intent. Its page says what an approval would do to the one
in force, or why it would be refused.
"""

from dataclasses import dataclass

from django.utils import timezone

from proxyconfig.domain import effects, grants, objects
from proxyconfig.domain.intent import Intent
from proxyconfig.models import Plan
from proxyconfig.services import change_sets, compiled, judging
from proxyconfig.services.plans import change_line
from proxyconfig.services.rows import build_intent
from tenants.domain.actor import Actor
from tenants.domain.roles import Action
from tenants.errors import ConflictError, InvalidError


@dataclass(frozen=True, slots=True)
class Outlook:
    """How a waiting plan fits what is in force.

    Attributes:
        refusal: why an approval would be refused as stale; "" when it fits.
        has_moved: something became current since the plan was made.
        shown: the plan, with what it would do now: planned again, where it does not fit. As it was
            made where the result would not be valid.
        is_fresh: ``shown`` is about what is in force now.
    """

    refusal: str
    has_moved: bool
    shown: Plan
    is_fresh: bool = True

    @property
    def is_stale(self) -> bool:
        return bool(self.refusal)


def outlook(plan: Plan, *, actor: Actor) -> Outlook:
    """What an approval of the waiting ``plan`` would do; nothing is written.

    Args:
        actor: who looks; one who may grant private networks can do so with the approval.
    """
    tenant, current = plan.tenant, build_intent(plan.tenant)
    try:
        base, proposal = change_sets.base_of(plan), change_sets.proposal_of(plan)
    except InvalidError as error:  # It is so old that nobody can read it any more.
        return Outlook(error.message, has_moved=True, shown=plan, is_fresh=False)
    refusal = ""
    after = objects.merge(base, current, proposal).intent
    try:
        after = judging.merged(plan, current)
        grant = change_sets.needs_grant(plan) and actor.may(Action.GRANT_PRIVATE)
        checked = grants.with_grants(current, after, by=actor.name, at=timezone.now())
        judging.check_fit(tenant, plan, current, checked if grant else after, grant=grant)
    except ConflictError as error:
        refusal = error.message
    if base == current:
        return Outlook(refusal, has_moved=False, shown=plan)
    if not judging.is_valid(tenant, current, after):
        return Outlook(refusal, has_moved=True, shown=plan, is_fresh=False)
    return Outlook(refusal, has_moved=True, shown=_against(plan, current, after))


def _against(plan: Plan, current: Intent, after: Intent) -> Plan:
    """The plan as if it had been made against what is in force; not to be saved."""
    granted = grants.as_asked(current, after)
    return Plan(
        pk=plan.pk,
        tenant=plan.tenant,
        state=plan.state,
        summary=effects.summary(current, after),
        changes=[change_line(change) for change in objects.difference(current, after)],
        effects=list(effects.effects(current, granted)),
        entries=compiled.proxy_changes(current, granted, tenant=plan.tenant),
        findings=plan.findings,
    )
