"""API tokens: made, shown once, revoked."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from tenants import audit
from tenants.domain.actor import Actor
from tenants.domain.roles import GRANTS, Role
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
        ForbiddenError: the token could do more than its maker, or its maker is no person.
        InvalidError: the name is empty, or the end lies in the past.
        ConflictError: the tenant has a token with this name.
    """
    if actor.user_id is None:
        raise ForbiddenError(
            "An API token belongs to the person who makes it. Sign in to make one."
        )
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


def revoke_token(token: ApiToken, *, actor: Actor) -> ApiToken:
    """Refuse this token from now on; revoking it again changes nothing."""
    if token.revoked_at is not None:
        return token
    with transaction.atomic():
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        audit.record(actor, "token.revoked", token)
    return token
