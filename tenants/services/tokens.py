"""API tokens: made, shown once, revoked."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from tenants import audit
from tenants.access import require
from tenants.domain.actor import Actor
from tenants.domain.roles import GRANTS, Action, Role
from tenants.errors import ForbiddenError, InvalidError
from tenants.models.tenant import Tenant
from tenants.models.token import ApiToken, hash_key, new_key
from tenants.services import conflicts

_HINT_LENGTH = 12


def create_token(
    tenant: Tenant,
    *,
    name: str,
    role: Role,
    actor: Actor,
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """A new token and its key. The key is not stored: whoever asked must keep it now.

    Raises:
        ForbiddenError: the actor may not manage the tenant or is no person, or the token could do
            more than they.
        InvalidError: the name is empty, or the end lies in the past.
        ConflictError: the tenant has a token with this name.
    """
    if actor.user_id is None:
        raise ForbiddenError(
            "An API token belongs to the person who makes it. Sign in to make one."
        )
    require(actor, Action.MANAGE_TENANT)
    if not all(actor.may(action) for action in GRANTS[role]):
        raise ForbiddenError(
            f"A token with the role {role.value} could do more than you can. Choose a lesser role."
        )
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidError(
            "The token would have expired already.", fields={"expires_at": ["Lies in the past."]}
        )
    key = new_key()
    token = ApiToken(
        tenant=tenant,
        name=name,
        user_id=actor.user_id,
        role=role.value,
        key_hash=hash_key(key),
        key_hint=key[:_HINT_LENGTH],
        expires_at=expires_at,
    )
    taken = conflicts.Taken(
        f"The token name {name}", lambda: ApiToken.objects.filter(tenant=tenant, name=name)
    )
    with transaction.atomic():
        conflicts.save(token, actor=actor, taken={"api_token_name": taken})
        audit.record(actor, "token.created", token, detail={"role": role.value})
    return token, key


def may_revoke(token: ApiToken, actor: Actor) -> bool:
    """True for whoever manages the tenant, and for the person who made the token."""
    is_own = actor.token_id is None and token.user_id == actor.user_id
    return is_own or actor.may(Action.MANAGE_TENANT)


def revoke_token(token: ApiToken, *, actor: Actor) -> ApiToken:
    """Refuse this token from now on; revoking it again changes nothing.

    Raises:
        ForbiddenError: it is somebody else's, and the actor may not manage the tenant.
    """
    if not may_revoke(token, actor):
        require(actor, Action.MANAGE_TENANT)
    return withdraw_token(token, actor=actor)


def withdraw_token(token: ApiToken, *, actor: Actor) -> ApiToken:
    """As ``revoke_token``, for services that take rights away: the change before asked for them."""
    if token.revoked_at is not None:
        return token
    with transaction.atomic():
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        audit.record(actor, "token.revoked", token)
    return token
