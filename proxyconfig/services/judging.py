"""What an edit or an approval would do, asked before anything is written.

Validation, rights and guardrails look at the intent in force and at the one that would be, whatever
door the change comes through.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from proxyconfig.domain import grants, guardrails, manifest, objects, rights
from proxyconfig.domain.edits import Edit, ObjectEdit
from proxyconfig.domain.guardrails import Finding
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.objects import Key, ObjectChange
from proxyconfig.domain.validation import blocking, validate
from proxyconfig.models import Plan, Revision
from proxyconfig.services import change_sets, compiled, places
from proxyconfig.services.complaints import invalid
from proxyconfig.services.limits import limits_of
from proxyconfig.services.rows import build_intent, unknown_clusters
from tenants.access import require
from tenants.domain.actor import Actor
from tenants.domain.roles import Action, Role, roles_with
from tenants.errors import ConflictError, ForbiddenError, InvalidError
from tenants.models.member import Membership, User
from tenants.models.tenant import Tenant

_MOST_NAMED = 5
_HOUR = timedelta(hours=1)
_REQUESTED = Finding(guardrails.APPROVAL_REQUESTED, "The author asks for approval.")

Seen = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Draft:
    """An edit, run and judged.

    Attributes:
        before: what is in force.
        start: that, with the change set that the edit joins.
        after: what the edit would make of it.
        changes: of the change set and the edit together.
        about: the one object that was edited; None where the edit is of several.
    """

    before: Intent
    start: Intent
    after: Intent
    changes: tuple[ObjectChange, ...]
    findings: tuple[Finding, ...]
    about: Key | None

    @property
    def is_empty(self) -> bool:
        return not self.changes


@dataclass(frozen=True, slots=True)
class Terms:
    """How an edit is to be made.

    Attributes:
        joined: the waiting plan that it joins; None for one of its own.
        grant: grant the private networks that it reaches.
        waits: another person approves it, whatever rights and guardrails say. So it stays, once a
            plan was made like that.
    """

    joined: Plan | None = None
    grant: bool = False
    waits: bool = False


def draft(tenant: Tenant, edit: Edit, terms: Terms, *, actor: Actor) -> Draft:
    """Run the edit, and ask validation, rights and guardrails about the result."""
    joined = terms.joined
    before = build_intent(tenant)
    start = before if joined is None else merged(joined, before)
    wished = objects.assemble(tenant.slug, objects.objects(edit(start)).values())
    after = grants.without_new_grants(before, wished)
    if terms.grant:
        require(actor, Action.GRANT_PRIVATE)
        after = grants.with_grants(before, wished, by=actor.name, at=timezone.now())
    about = edit.key if isinstance(edit, ObjectEdit) else None
    _check_valid(tenant, before, after, about=about)
    _check_rights(before, after, actor)
    found = guardrails.findings(
        before, after, limits=limits_of(tenant), auto_apply=tenant.auto_apply
    )
    changes = objects.difference(before, after)
    if changes and not found:
        found = _too_many_changes(tenant)
    if changes and (terms.waits or (joined is not None and is_requested(joined))):
        found = (*found, _REQUESTED)
    return Draft(before, start, after, changes, found, about)


def _too_many_changes(tenant: Tenant) -> tuple[Finding, ...]:
    """A finding where as many changes were applied within an hour as a rule may apply."""
    most = limits_of(tenant).changes_per_hour
    if most > tenant.generation:
        return ()
    since = timezone.now() - _HOUR
    # The newest ``most`` revisions: when even the oldest of them is younger, they are all.
    oldest = Revision.objects.filter(tenant=tenant, generation=tenant.generation - most + 1)
    if most and not oldest.filter(created_at__gte=since).exists():
        return ()
    message = "The tenant's limit of 0 changes an hour lets each change wait for another member."
    if most:
        message = (
            f"{most} changes were applied within an hour, as many as need no approval. Wait, or"
            " have another member approve it."
        )
    return (Finding(guardrails.CHANGE_RATE, message),)


def is_requested(plan: Plan) -> bool:
    """True when its author asked for approval, which it then waits for in any case."""
    return any(found["code"] == guardrails.APPROVAL_REQUESTED for found in plan.findings)


def versions(intent: Intent, keys: Sequence[Key]) -> dict[str, str]:
    """The shown version of each of these, "" where there is none, by ``collection/name``."""
    known = objects.objects(intent)
    return {
        f"{key.collection}/{key.name}": objects.version_in(intent, known.get(key)) for key in keys
    }


def check_seen(current: Intent, seen: Seen | None) -> None:
    if not seen:
        return
    keys = [Key(*name.split("/", 1)) for name in seen if "/" in name]
    now = versions(current, [key for key in keys if key.collection in objects.BY_NAME])
    moved = [name for name, version in now.items() if version != seen[name]]
    if moved:
        named = ", ".join(str(Key(*name.split("/", 1))) for name in moved[:_MOST_NAMED])
        raise ConflictError(
            f"Somebody changed {named} since you looked at it. Review again: nothing was saved.",
            code="changed-meanwhile",
            data={"moved": moved, "versions": {name: now[name] for name in moved}},
        )


def _check_valid(
    tenant: Tenant, before: Intent, after: Intent, *, about: Key | None = None
) -> None:
    """Raise when the result cannot be published, or names what is not the tenant's."""
    if unknown := unknown_clusters(after):
        says = f"there is no cluster {unknown[0]}"
        raise InvalidError(f"{says[0].upper()}{says[1:]}.", fields={"cluster": [says]})
    problems = blocking([*validate(after), *compiled.unsupported(after)])
    problems = problems or places.problems(tenant, before, after)
    if problems:
        raise invalid(problems, after=after, about=about)
    size = len(manifest.canonical_bytes(after))
    if size > manifest.MAX_BYTES:
        message = (
            f"The tenant's policies and networks would have {size} bytes; at most"
            f" {manifest.MAX_BYTES} are taken. Use address lists, or fewer rules."
        )
        raise InvalidError(message, fields={"": [message]}, code="intent.too-large")


def _check_rights(before: Intent, after: Intent, actor: Actor) -> None:
    """Raise unless the actor has the rights of all parts; a grant is asked for by itself."""
    if actor.is_system:
        return
    parts = rights.parts_by_action(before, after)
    for action in sorted(parts):
        if not actor.may(action):
            named = ", ".join(str(key) for key in parts[action][:_MOST_NAMED])
            roles = ", ".join(roles_with(action)) or "none; ask a platform administrator"
            held = actor.role.value if actor.role else "none"
            raise ForbiddenError(
                f"Your role here ({held}) does not allow {action.value}, which the change of"
                f" {named} needs. Ask a member with one of: {roles}.",
                data={"action": action.value, "role": held},
            )


def check_again(
    tenant: Tenant, plan: Plan, before: Intent, after: Intent, *, actor: Actor, grant: bool
) -> None:
    """Ask everything again about what the approval would really do; any news is stale.

    Raises:
        ConflictError: ``plan-stale``.
        ForbiddenError: the approver lacks a right.
    """
    _check_rights(before, after, actor)
    found = check_fit(tenant, plan, before, after, grant=grant)
    if any(finding.code == guardrails.PRIVATE_DESTINATION for finding in found):
        if not actor.may(Action.GRANT_PRIVATE):
            raise ForbiddenError(
                f"{plan} reaches private networks, which only a platform administrator may grant."
                " Ask one to approve it."
            )
        message = "This plan reaches private networks. Tick the grant to allow that, or refuse it."
        raise InvalidError(message, fields={"grant": [message]}, code="grant-missing")


def check_fit(
    tenant: Tenant, plan: Plan, before: Intent, after: Intent, *, grant: bool
) -> tuple[Finding, ...]:
    """The findings of ``after``, the merge of a plan that still is what was asked for.

    Args:
        grant: who approves grants the private networks that it reaches.

    Raises:
        ConflictError: ``plan-stale``.
    """
    try:
        _check_valid(tenant, before, after)
    except InvalidError as error:
        raise _stale(plan, error.message) from error
    _check_author(tenant, plan, before, after)
    if not grant:
        _check_grants(plan, before, after)
    known = {(found["code"], found["message"]) for found in plan.findings}
    found = guardrails.findings(
        before, after, limits=limits_of(tenant), auto_apply=tenant.auto_apply
    )
    # That somebody has to approve it is no news to who approves it.
    news = [
        finding
        for finding in found
        if finding.code != guardrails.APPROVAL_REQUIRED
        and (finding.code, finding.message) not in known
    ]
    if news:
        raise _stale(plan, news[0].message)
    return found


def is_valid(tenant: Tenant, before: Intent, after: Intent) -> bool:
    """True when the intent could be published."""
    try:
        _check_valid(tenant, before, after)
    except InvalidError:
        return False
    return True


def _check_author(tenant: Tenant, plan: Plan, before: Intent, after: Intent) -> None:
    """Raise when the author may no longer do what the approval would do; grants are asked apart."""
    author = _author(plan, tenant)
    if author.is_system:
        return
    if author.user_id is None:
        raise _stale(plan, f"its author {plan.author_name} has no account any more")
    wanted = rights.required_actions(before, after) - {Action.GRANT_PRIVATE}
    if not all(author.may(action) for action in wanted):
        raise _stale(plan, f"its author {plan.author_name} may no longer do all of it")


def _check_grants(plan: Plan, before: Intent, after: Intent) -> None:
    """Raise when the merge made a grant of the plan reach further than it was given for."""
    proposed = change_sets.proposal_of(plan)
    wider = {*grants.new_grants(before, after)} & {*grants.new_grants(proposed, after)}
    if wider:
        named = ", ".join(sorted({policy.name for policy, _ in wider})[:_MOST_NAMED])
        raise _stale(plan, f"egress policy {named} reaches private networks that nobody granted")


def _author(plan: Plan, tenant: Tenant) -> Actor:
    """The plan's author with the rights that they have now: none, where the account is gone."""
    user = None if plan.author_id is None else User.objects.filter(pk=plan.author_id).first()
    if user is None:
        return Actor(name=plan.author_name)
    membership = Membership.objects.filter(tenant=tenant, user=user).first()
    return Actor(
        name=plan.author_name,
        user_id=user.pk,
        role=Role(membership.role) if membership and user.is_active else None,
        platform_role=user.held_platform_role if user.is_active else None,
    )


def merged(plan: Plan, current: Intent) -> Intent:
    """The plan's proposal on top of what is in force.

    Raises:
        ConflictError: ``plan-stale``: both changed the same objects.
    """
    merged = objects.merge(change_sets.base_of(plan), current, change_sets.proposal_of(plan))
    if not merged.conflicts:
        return merged.intent
    named = ", ".join(str(key) for key in merged.conflicts[:_MOST_NAMED])
    raise _stale(
        plan,
        f"{named} changed in both, in the plan and in force",
        objects=[f"{key.collection}/{key.name}" for key in merged.conflicts],
    )


def _stale(plan: Plan, why: str, **data: object) -> ConflictError:
    says = why.rstrip(".")
    return ConflictError(
        f"{str(plan).capitalize()} does not fit what is in force any more: {says}. Its author can"
        " plan again.",
        code="plan-stale",
        data={"plan": plan.pk, **data},
    )
