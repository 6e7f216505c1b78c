"""Accounts of people, which belong to no tenant."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from tenants import audit
from tenants.domain.actor import Actor, system
from tenants.domain.roles import GRANTS, Role
from tenants.errors import ConflictError, InvalidError, NotVisibleError
from tenants.models.member import Membership, User
from tenants.models.scoped import platform_scope
from tenants.models.token import ApiToken
from tenants.services import tokens


def ensure_platform_admin(username: str, password: str) -> User | None:
    """The first platform administrator, newly made; None where there is one already.

    Raises:
        InvalidError: the password is too weak.
        ConflictError: the name is that of somebody who is no administrator.
    """
    with platform_scope("first login"):
        if User.objects.filter(is_superuser=True, is_active=True).exists():
            return None
        if User.objects.filter(username=username).exists():
            raise ConflictError(
                f"There is a user {username} who is no platform administrator. Choose another name."
            )
        user = User(username=username, is_staff=True, is_superuser=True)
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise InvalidError(
                "The password is too weak. " + " ".join(error.messages),
                fields={"password": error.messages},
            ) from error
        user.set_password(password)
        user.save()
        audit.record(system("first-login"), "user.created", user)
    return user


def find_user(username: str) -> User:
    """The active user with this name.

    Raises:
        NotVisibleError: there is none.
    """
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise NotVisibleError(
            f"There is no active user named {username}. Check the name, or ask a platform"
            " administrator to make the account."
        )
    return user


def revoke_unearned_tokens(user: User, *, actor: Actor) -> None:
    """Revoke the user's API tokens that can do more than the user may by their memberships.

    For somebody who stops being a platform administrator: such a one may make tokens in tenants
    that they are no member of. Call it in a scope of the platform's staff.
    """
    roles = dict(Membership.objects.filter(user=user).values_list("tenant_id", "role"))
    for token in ApiToken.objects.filter(user=user, revoked_at__isnull=True):
        role = roles.get(token.tenant_id)
        if role is None or not GRANTS[Role(token.role)] <= GRANTS[Role(role)]:
            tokens.revoke_token(token, actor=actor)
