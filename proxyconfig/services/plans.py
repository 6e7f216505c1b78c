"""Plans: every change of intent, from the wish to the revision that workers reconcile.

``propose`` freezes what the rows say now, compiles it, compares it with the current revision and
asks the guardrails. Without a finding a rule approves at once; else a second person decides. Only
an approved plan becomes a revision and raises the tenant's generation.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from proxyconfig.domain import guardrails, manifest
from proxyconfig.domain import plan as changes
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.problems import Problem
from proxyconfig.domain.validation import blocking, validate
from proxyconfig.models import EgressRule, Plan, Revision
from proxyconfig.services import environment, placements, revisions
from proxyconfig.services.intent import build_intent, restore_rows
from tenants import audit
from tenants.access import require
from tenants.domain.actor import Actor, system
from tenants.domain.roles import Action
from tenants.domain.states import ChangeState
from tenants.errors import ConflictError, ForbiddenError, InvalidError
from tenants.models.tenant import Tenant

RULE = "rule:auto-apply"
NO_CHANGE = "rule:no-change"
# How a plan ends that leaves the rows as its base revision has them; applied: without a change.
_RESTORED = (ChangeState.REFUSED, ChangeState.CANCELLED, ChangeState.APPLIED)


@dataclass(frozen=True, slots=True)
class _Draft:
    """What a plan is made of, before it is a row."""

    before: Intent
    after: Intent
    change: changes.Plan
    findings: tuple[guardrails.Finding, ...]

    @property
    def is_empty(self) -> bool:
        return self.before == self.after


def lock(tenant: Tenant) -> Tenant:
    """Take the tenant's row, so that its plans are made one after the other; ends with the
    transaction.
    """
    # A full row lock would also stop every insert that refers to the tenant, and deadlock with
    # a worker that has just written a plan and now wants to write its audit entry.
    return Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)


def propose(tenant: Tenant, *, actor: Actor, reason: str) -> Plan:
    """Make a plan of what the tenant's rows say now; older open plans are superseded.

    The plan is approved when the guardrails find nothing, and awaits approval when they do. One
    that changes nothing against the current revision ends as applied, without a new revision.

    Raises:
        InvalidError: no reason was given, or the rows together make no valid intent.
    """
    reason = _required(reason, "reason")
    with transaction.atomic():
        locked = lock(tenant)
        clusters = placements.place(locked)
        draft = _draft(locked, revisions.current_intent(locked), {c.flavour for c in clusters})
        plan = _plan(locked, draft, actor=actor, reason=reason)
        plan.save()
        audit.record(actor, "plan.proposed", plan, reason=reason, detail={"summary": plan.summary})
        revisions.supersede(locked, actor=actor, states=revisions.OPEN, newer=plan)
        if draft.is_empty:
            _decide(plan, ChangeState.APPLIED, by=NO_CHANGE)
        elif not draft.findings:
            _decide(plan, ChangeState.APPROVED, by=RULE)
            audit.record(system("auto-apply", trace_id=actor.trace_id), "plan.approved", plan)
            revisions.make_current(locked, plan, draft.after, actor=actor)
    tenant.generation = locked.generation
    return plan


def preview(tenant: Tenant, change: Callable[[], object]) -> Plan:
    """The plan that ``change`` would lead to; everything is rolled back, and the plan is no row.

    ``change`` saves rows or calls any service. Model instances that it touches keep their new
    values in memory: read them anew afterwards.

    Raises:
        SluiceError: whatever ``change`` or the validation of its result raises.
    """
    with transaction.atomic():
        locked = lock(tenant)
        before = revisions.current_intent(locked)
        change()
        flavours = {cluster.flavour for cluster in placements.place(locked)}
        draft = _draft(locked, before, flavours)
        plan = _plan(locked, draft, actor=system("preview"), reason="")
        transaction.set_rollback(True)
    return plan


def approve(plan: Plan, *, actor: Actor, comment: str) -> Plan:
    """Make a waiting plan current. A platform administrator's approval grants what it reaches.

    Raises:
        InvalidError: no comment was given.
        ForbiddenError: the actor may not approve, or has written the plan or a part of it.
        ConflictError: the plan is decided, stale, or not the one that the actor saw.
    """
    comment = _required(comment, "comment")
    require(actor, Action.APPROVE_PLAN)
    with transaction.atomic():
        tenant = lock(plan.tenant)
        current = _awaiting(plan)
        if has_written(current, actor=actor):
            raise ForbiddenError(
                f"You proposed {current} or a part of it yourself, so a second person has to"
                f" approve it. Ask another NetOps of {tenant}."
            )
        _check_fresh(tenant, current)
        granted = _grant(tenant, current, actor)
        _decide(current, ChangeState.APPROVED, by=actor.name, comment=comment)
        audit.record(actor, "plan.approved", current, reason=comment, detail={"granted": granted})
        intent = build_intent(tenant)
        revisions.make_current(tenant, current, intent, actor=actor)
    return current


def refuse(plan: Plan, *, actor: Actor, comment: str) -> Plan:
    """Turn a waiting plan down; the rows go back to what the current revision says.

    Raises:
        InvalidError: no comment was given.
        ForbiddenError: the actor may not decide on plans.
        ConflictError: the plan is decided already.
    """
    comment = _required(comment, "comment")
    require(actor, Action.APPROVE_PLAN)
    return _turn_down(plan, ChangeState.REFUSED, "plan.refused", actor=actor, comment=comment)


def cancel(plan: Plan, *, actor: Actor, comment: str = "") -> Plan:
    """Withdraw a waiting plan; the rows go back to what the current revision says.

    Raises:
        ForbiddenError: the actor is neither its author nor may decide on plans.
        ConflictError: the plan is decided already.
    """
    if not _is_author(plan, actor):
        require(actor, Action.APPROVE_PLAN)
    return _turn_down(plan, ChangeState.CANCELLED, "plan.cancelled", actor=actor, comment=comment)


def rollback(revision: Revision, *, actor: Actor, reason: str) -> Plan:
    """Wish for an older revision's intent again, through the same gates as any other change.

    Raises:
        InvalidError: no reason was given.
        ConflictError: it is current already, or something in it has another owner by now.
    """
    reason = _required(reason, "reason")
    with transaction.atomic():
        tenant = lock(revision.tenant)
        undone = Revision.objects.filter(tenant=tenant, generation__gt=revision.generation)
        if not undone.exists():
            raise ConflictError(
                f"Revision {revision.generation} is the current one; there is nothing to roll"
                " back.",
                code="revision-current",
            )
        undone_plans = list(undone.values_list("plan_id", flat=True))
        restore_rows(tenant, manifest.from_mapping(revision.intent), actor=actor)
        audit.record(actor, "revision.restored", revision, reason=reason)
        plan = propose(tenant, actor=actor, reason=reason)
        if plan.state == ChangeState.APPROVED:
            Plan.objects.filter(pk__in=undone_plans, state=ChangeState.APPLIED.value).update(
                state=ChangeState.ROLLED_BACK.value
            )
    return plan


def has_written(plan: Plan, *, actor: Actor) -> bool:
    """True when the actor proposed the plan, or one that waited and that it took up.

    A plan holds all that the rows say, so another person's harmless change would otherwise carry
    the actor's own past the second pair of eyes.
    """
    same_base = Plan.objects.filter(
        tenant=plan.tenant_id, base_generation=plan.base_generation, pk__lt=plan.pk
    )
    # Each of these put the rows back to the revision, so nothing from before is left in the plan.
    restored = same_base.filter(state__in=[state.value for state in _RESTORED]).first()
    carried = same_base.filter(state=ChangeState.SUPERSEDED.value)
    if restored is not None:
        carried = carried.filter(pk__gt=restored.pk)
    parts = [plan, *carried.only("author_id", "author_name")]
    return any(_is_author(part, actor) for part in parts)


def _draft(tenant: Tenant, before: Intent, flavours: set[str]) -> _Draft:
    after = build_intent(tenant)
    problems = blocking([*validate(after), *environment.unsupported(flavours, after)])
    if problems:
        raise _invalid(problems)
    change = changes.diff(
        environment.compile_all(flavours, after, tenant_id=tenant.pk),
        environment.compile_all(flavours, before, tenant_id=tenant.pk),
    )
    proposal = guardrails.Proposal(tenant.auto_apply, before, after, change)
    found = guardrails.findings(proposal) if after != before else ()
    return _Draft(before, after, change, found)


def _plan(tenant: Tenant, draft: _Draft, *, actor: Actor, reason: str) -> Plan:
    state = ChangeState.AWAITING_APPROVAL if draft.findings else ChangeState.PLANNED
    return Plan(
        tenant=tenant,
        state=state.value,
        author_id=actor.user_id,
        author_name=actor.name,
        reason=reason,
        base_generation=tenant.generation,
        intent=manifest.to_mapping(draft.after),
        intent_hash=manifest.intent_hash(draft.after),
        summary=draft.change.summary,
        entries=[entry.plain() for entry in draft.change.changing],
        findings=[finding.plain() for finding in draft.findings],
        trace_id=actor.trace_id,
    )


# What a manifest calls a field, and what the drafts of ``policies`` call it.
_FIELDS = {
    "virtualAddress": "virtual_address",
    "protocol": "protocol",
    "port": "port",
    "namespace": "namespace",
    "service": "service",
    "hostnames": "hostnames",
    "pathPrefix": "path_prefix",
    "sources": "allowed_sources",
    "rules": "rules",
    "name": "name",
}
_RULE = re.compile(r"\.rules\[([0-9]+)\]")


def _invalid(problems: Sequence[Problem]) -> InvalidError:
    """All complaints at the fields that people fill in, in words without the manifest's paths."""
    fields: dict[str, list[str]] = {}
    for problem in problems:
        fields.setdefault(_field(problem.path), []).append(_words(problem))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    message = f"The change cannot be taken: {_words(problems[0])}{more}."
    return InvalidError(message, fields=fields, code="intent.invalid")


def _words(problem: Problem) -> str:
    """The complaint; one about a rule says which, since a form has one field for all of them."""
    rule = _RULE.search(problem.path)
    return f"rule {int(rule[1]) + 1}: {problem.message}" if rule else problem.message


def _field(path: str) -> str:
    """The draft's field for a manifest's path; "" where there is none."""
    words = [word.partition("[")[0] for word in path.split(".")]
    if len(words) > 1 and words[1] == "listeners" and len(words) == 2:
        return "port"
    return next((_FIELDS[word] for word in words[2:] if word in _FIELDS), "")


def _required(text: str, field: str) -> str:
    if text.strip():
        return text.strip()
    message = f"Say why: the {field} stands in the audit log and in the tenant's history."
    raise InvalidError(message, fields={field: [message]}, code="reason-missing")


def _awaiting(plan: Plan) -> Plan:
    """The row, locked.

    Raises:
        ConflictError: it no longer awaits a decision, or is not what the caller read.
    """
    current = Plan.objects.select_for_update().get(pk=plan.pk, tenant=plan.tenant)
    if not current.awaits_decision:
        raise ConflictError(
            f"{current} is {current.state} by now, so there is nothing to decide. Look at the"
            " list of plans for the one that took its place.",
            code="plan-decided",
        )
    stored = manifest.intent_hash(manifest.from_mapping(current.intent))
    if current.intent_hash not in (plan.intent_hash,) or stored != current.intent_hash:
        raise ConflictError(
            f"{current} is not what you read: its content changed since. Read it again.",
            code="plan-changed",
        )
    return current


def _check_fresh(tenant: Tenant, plan: Plan) -> None:
    rows = manifest.intent_hash(build_intent(tenant))
    if plan.base_generation == tenant.generation and rows == plan.intent_hash:
        return
    raise ConflictError(
        f"{plan} was made against generation {plan.base_generation} and {tenant} has moved on since"
        f" (generation {tenant.generation}). Plan again, and have the new plan approved.",
        code="plan-stale",
        data={"plan": plan.pk, "generation": tenant.generation},
    )


def _is_author(plan: Plan, actor: Actor) -> bool:
    if plan.author_id is not None and actor.user_id is not None:
        return plan.author_id == actor.user_id
    return plan.author_name == actor.name


def _grant(tenant: Tenant, plan: Plan, actor: Actor) -> int:
    """Grant the private networks that the plan reaches; how many rules that were."""
    intent = manifest.from_mapping(plan.intent)
    wanted = [(policy.name, rule.order) for policy, rule in guardrails.ungranted(intent)]
    if not wanted:
        return 0
    if not actor.is_platform_admin:
        raise ForbiddenError(
            f"{plan} reaches private networks, which only a platform administrator may grant. Ask"
            " one to approve it."
        )
    rules = EgressRule.objects.filter(tenant=tenant, granted_at__isnull=True)
    ids = [
        rule.pk
        for rule in rules.select_related("policy")
        if (rule.policy.name, rule.order) in wanted
    ]
    return EgressRule.objects.filter(pk__in=ids).update(
        granted_by=actor.user_id, granted_at=timezone.now()
    )


def _decide(plan: Plan, state: ChangeState, *, by: str, comment: str = "") -> None:
    plan.state, plan.decided_by, plan.decided_at = state.value, by, timezone.now()
    plan.decision_comment = comment
    plan.save(update_fields=["state", "decided_by", "decided_at", "decision_comment"])


def _turn_down(plan: Plan, state: ChangeState, event: str, *, actor: Actor, comment: str) -> Plan:
    with transaction.atomic():
        tenant = lock(plan.tenant)
        current = _awaiting(plan)
        _decide(current, state, by=actor.name, comment=comment)
        restore_rows(tenant, revisions.current_intent(tenant), actor=actor)
        audit.record(actor, event, current, reason=comment)
    return current
