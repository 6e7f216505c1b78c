"""Plans: every change of intent, from the edit to the revision that workers reconcile.

``propose`` runs a pure edit on what is in force and asks rights and guardrails about the result.
Where both are silent the rows become it at once. Else the plan waits as a change set with its base
and its proposal, holding what it allocates, until a person who is not its author decides on it
(``decisions``).
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from proxyconfig.domain import edits, effects, grants, holdings, manifest, objects
from proxyconfig.domain.edits import Edit
from proxyconfig.domain.objects import ObjectChange
from proxyconfig.models import Plan, Revision
from proxyconfig.services import change_sets, compiled, complaints, judging, revisions
from proxyconfig.services.judging import Draft, Seen, Terms
from proxyconfig.services.publishing import publish
from proxyconfig.services.rows import build_intent
from tenants import audit
from tenants.domain.actor import Actor, system
from tenants.domain.quota import Resource
from tenants.domain.states import ChangeState
from tenants.errors import ConflictError
from tenants.models.tenant import Tenant
from tenants.services import claims, quotas

RULE = "rule:auto-apply"
NO_CHANGE = "rule:no-change"


@dataclass(frozen=True, slots=True)
class Preview:
    """What an edit would do; nothing of it is stored.

    Attributes:
        plan: not saved; a finding in it means that the plan would wait.
        seen: ``collection/name`` to the version in force of each object that the edit touches, ""
            where there is none. Given to ``propose`` it makes sure that this is what was reviewed.
        own_changes: of the edit alone, as ``plan.changes`` has those of the change set with it.
    """

    plan: Plan
    seen: dict[str, str]
    own_changes: list[dict[str, Any]]  # Any: JSON.


def propose(  # noqa: PLR0913 - every door of a change answers each of these
    tenant: Tenant,
    edit: Edit,
    *,
    actor: Actor,
    reason: str,
    into: Plan | None = None,
    seen: Seen | None = None,
    grant: bool = False,
    waits: bool = False,
) -> Plan:
    """Run ``edit`` on what is in force; the rows have the result when a rule approves it.

    A plan that changes nothing ends as applied, without a new revision.

    Args:
        into: the actor's own waiting plan that the edit joins; None for one of its own.
        seen: as in ``Preview``: what the edit was made or reviewed against.
        grant: grant the private networks that the change reaches; a platform administrator's right.
        waits: have another person approve it, even where a rule would.

    Raises:
        InvalidError: no reason was given, or the result is no valid intent.
        ForbiddenError: the actor lacks a right that some part of the change needs.
        ConflictError: ``changed-meanwhile``: an object of ``seen`` is another by now; ``taken``,
            ``in-use`` and ``plan-stale`` as their messages say.
        QuotaError: too many plans of the tenant wait already.
    """
    terms = Terms(into, grant, waits)
    wish = _Wish(edit, change_sets.required(reason, "reason"), terms, seen or {})
    return _propose(tenant, wish, actor)


@dataclass(frozen=True, slots=True)
class _Wish:
    """The arguments of ``propose``, and the generation that the edit brings back."""

    edit: Edit
    reason: str
    terms: Terms = field(default_factory=Terms)
    seen: Seen = field(default_factory=dict)
    rolls_back_to: int | None = None


def _propose(tenant: Tenant, wish: _Wish, actor: Actor) -> Plan:
    reason = wish.reason
    with transaction.atomic():
        locked = change_sets.lock_tenant(tenant)
        into = wish.terms.joined
        joined = None if into is None else change_sets.own_change_set(locked, into, actor)
        draft = judging.draft(locked, wish.edit, replace(wish.terms, joined=joined), actor=actor)
        judging.check_seen(draft.before, wish.seen)
        plan = _plan(locked, draft, actor=actor, reason=reason)
        plan.rolls_back_to = wish.rolls_back_to
        if joined is not None:
            plan = _joined(joined, plan)
        if draft.findings:
            with complaints.at_fields(draft.after, draft.about):
                _wait(locked, plan, draft, actor=actor, is_new=joined is None)
        else:
            plan.save()
        audit.record(actor, "plan.proposed", plan, reason=reason, detail={"summary": plan.summary})
        if draft.is_empty:
            claims.release(plan.pk)  # It may have been a change set that this edit emptied.
            change_sets.end(plan, ChangeState.APPLIED, by=NO_CHANGE)
        elif not draft.findings:
            change_sets.end(plan, ChangeState.APPROVED, by=RULE)
            audit.record(system("auto-apply", trace_id=actor.trace_id), "plan.approved", plan)
            with complaints.at_fields(draft.after, draft.about):
                publish(locked, plan, draft.before, draft.after, actor=actor)
    tenant.generation = locked.generation
    return plan


def preview(
    tenant: Tenant,
    edit: Edit,
    *,
    actor: Actor,
    into: Plan | None = None,
    seen: Seen | None = None,
    grant: bool = False,
    waits: bool = False,
) -> Preview:
    """What ``propose`` would do with the same arguments; nothing is written.

    Raises:
        SluiceError: as ``propose``, other than over its reason.
    """
    if into is not None:
        into = change_sets.own(change_sets.stored(tenant, into), into, actor)
    draft = judging.draft(tenant, edit, Terms(into, grant, waits), actor=actor)
    judging.check_seen(draft.before, seen)
    with complaints.at_fields(draft.after, draft.about):
        claims.check(tenant, holdings.claims(draft.after), actor=actor, plan=_pk(into))
    plan = _plan(tenant, draft, actor=actor, reason="")
    seen_now = judging.versions(draft.before, [change.key for change in draft.changes])
    own = [change_line(change) for change in objects.difference(draft.start, draft.after)]
    return Preview(plan, seen_now, own)


def rebase(plan: Plan, *, actor: Actor, reason: str) -> Plan:
    """Plan again: the same proposal against what is in force now, in place of a plan that waits.

    Where both touched an object the plan's own wins, so the new plan's page shows what it undoes.

    Raises:
        ForbiddenError: the actor is not its author.
        SluiceError: as ``propose``.
    """
    with transaction.atomic():
        tenant = change_sets.lock_tenant(plan.tenant)
        current = change_sets.own_change_set(tenant, plan, actor)
        wanted = objects.merge(
            change_sets.base_of(current), build_intent(tenant), change_sets.proposal_of(current)
        ).intent
        claims.release(current.pk)
        reason = change_sets.required(reason, "reason")
        change_sets.end(current, ChangeState.SUPERSEDED, by=actor.name, comment=reason)
        # What became current meanwhile stays, so this brings back no revision as it was.
        is_same = current.base_generation == tenant.generation
        rolls_back_to = current.rolls_back_to if is_same else None
        terms = Terms(waits=judging.is_requested(current))
        wish = _Wish(edits.become(wanted), reason, terms, rolls_back_to=rolls_back_to)
        return _propose(plan.tenant, wish, actor)


def rollback_edit(revision: Revision) -> Edit:
    """The edit that brings an older revision's intent back.

    Raises:
        ConflictError: it is the current one.
    """
    newer = Revision.objects.filter(tenant=revision.tenant, generation__gt=revision.generation)
    if not newer.exists():
        raise ConflictError(
            f"Revision {revision.generation} is the current one; there is nothing to roll back.",
            code="revision-current",
        )
    return edits.become(revisions.intent_of(revision))


def rollback(
    revision: Revision,
    *,
    actor: Actor,
    reason: str,
    seen: Seen | None = None,
    grant: bool = False,
    waits: bool = False,
) -> Plan:
    """Propose an older revision's intent, through the same gates as any other change.

    Grants of private networks that were withdrawn since do not come back with it, unless a
    platform administrator grants them again.

    Raises:
        SluiceError: as ``rollback_edit`` and ``propose``.
    """
    wish = _Wish(
        rollback_edit(revision),
        change_sets.required(reason, "reason"),
        terms=Terms(grant=grant, waits=waits),
        seen=seen or {},
        rolls_back_to=revision.generation,
    )
    return _propose(revision.tenant, wish, actor)


def _plan(tenant: Tenant, draft: Draft, *, actor: Actor, reason: str) -> Plan:
    state = ChangeState.AWAITING_APPROVAL if draft.findings else ChangeState.PLANNED
    before, after = draft.before, draft.after
    # What an approval would open is what people read, also where it takes a grant.
    granted = grants.as_asked(before, after)
    return Plan(
        tenant=tenant,
        state=state.value,
        author_id=actor.user_id,
        author_name=actor.name,
        reason=reason,
        base_generation=tenant.generation,
        base=manifest.to_mapping(before),
        intent=manifest.to_mapping(after),
        intent_hash=manifest.intent_hash(after),
        summary=effects.summary(before, after),
        changes=[change_line(change) for change in draft.changes],
        effects=list(effects.effects(before, granted)),
        entries=compiled.proxy_changes(before, granted, tenant=tenant),
        findings=[finding.plain() for finding in draft.findings],
        trace_id=actor.trace_id,
    )


def change_line(change: ObjectChange) -> dict[str, Any]:  # Any: JSON.
    """One change of a plan as it is stored."""
    label = objects.BY_NAME[change.key.collection].label
    return {
        "action": change.kind.value,
        "collection": change.key.collection,
        "name": change.key.name,
        "title": f"{label[0].upper()}{label[1:]} {change.key.name}",
        "fields": [field.plain() for field in effects.field_changes(change)],
    }


# What the newer edit of a change set says of the plan that it joins.
_REPLACED = (
    *("base_generation", "base", "intent", "intent_hash", "summary", "changes", "effects"),
    *("entries", "findings", "state"),
)


def _joined(joined: Plan, fresh: Plan) -> Plan:
    """The waiting plan with what it became by a further edit."""
    if fresh.base_generation != joined.base_generation:
        # What became current meanwhile stays, so this brings back no revision as it was.
        joined.rolls_back_to = None
    for name in _REPLACED:
        setattr(joined, name, getattr(fresh, name))
    if fresh.reason != joined.reason:
        joined.reason = f"{joined.reason}\n{fresh.reason}"
    return joined


def _wait(tenant: Tenant, plan: Plan, draft: Draft, *, actor: Actor, is_new: bool) -> None:
    """Store a plan that a person has to decide on, and hold what it takes."""
    if is_new:
        _check_room(tenant, actor)
    plan.expires_at = timezone.now() + timedelta(days=settings.CHANGE_SET_DAYS)
    plan.save()
    held = holdings.claims(draft.after) - holdings.claims(draft.before)
    claims.hold(tenant, held, plan.pk, actor=actor)


def _check_room(tenant: Tenant, actor: Actor) -> None:
    """Raise when as many plans wait as the tenant may have.

    Raises:
        QuotaError: as the message says.
    """
    want = quotas.Want(Resource.CHANGE_SETS, held=lambda _: change_sets.waiting(tenant).count())
    quotas.take(tenant, want, token_id=actor.token_id)


def _pk(plan: Plan | None) -> int | None:
    return None if plan is None else plan.pk
