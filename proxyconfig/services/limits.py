"""What a tenant's changes may do without a second person, as its NetOps set it."""

from proxyconfig.domain.codec import Unreadable, from_plain, to_plain
from proxyconfig.domain.limits import Limits
from proxyconfig.domain.problems import Problem
from tenants import audit, locks
from tenants.access import require
from tenants.domain.actor import Actor
from tenants.domain.roles import Action
from tenants.errors import InvalidError
from tenants.models.tenant import Tenant


def limits_of(tenant: Tenant) -> Limits:
    """The tenant's limits; the defaults where nobody set any."""
    try:
        return from_plain(Limits, tenant.limits or {}, path="", problems=[], is_strict=False)
    except Unreadable:
        return Limits()


def set_limits(
    tenant: Tenant, limits: Limits, *, auto_apply: bool, actor: Actor, reason: str
) -> None:
    """Set what may be applied by rule; plans that wait already are not judged anew.

    Raises:
        ForbiddenError: the actor may not set guardrails.
        InvalidError: a limit cannot be taken, or no reason was given.
    """
    require(actor, Action.MANAGE_GUARDRAILS)
    if not reason.strip():
        message = "Say why: the reason stands in the audit log."
        raise InvalidError(message, fields={"reason": [message]}, code="reason-missing")
    stored = to_plain(limits, with_defaults=True)
    problems: list[Problem] = []
    try:
        from_plain(Limits, stored, path="", problems=problems)
    except Unreadable:
        fields = {problem.path: [problem.message] for problem in problems}
        raise InvalidError(f"{problems[0]}.", fields=fields) from None
    locked = locks.tenant(tenant.pk)
    before = {"auto_apply": locked.auto_apply, "limits": locked.limits}
    locked.limits, locked.auto_apply = stored, auto_apply
    locked.save(update_fields=["limits", "auto_apply"])
    after = {"auto_apply": auto_apply, "limits": stored}
    audit.record(
        actor,
        "guardrails.changed",
        locked,
        reason=reason,
        detail={"before": before, "after": after},
    )
