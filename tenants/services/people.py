"""Accounts of people, which belong to no tenant."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from tenants import audit
from tenants.access import require
from tenants.domain.actor import Actor, system
from tenants.domain.roles import GRANTS, Action, PlatformRole, Role
from tenants.errors import ConflictError, InvalidError, NotVisibleError
from tenants.models.member import Membership, User
from tenants.models.scoped import platform_scope
from tenants.models.token import ApiToken
from tenants.services import conflicts, tokens


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
        _set_password(user, password)
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
            tokens.withdraw_token(token, actor=actor)


def create_person(
    username: str, password: str, *, actor: Actor, role: PlatformRole | None = None
) -> User:
    """An account; a tenant's NetOps give it a role there. Call it in a scope of platform staff.

    Raises:
        ForbiddenError: the actor is no platform administrator.
        InvalidError: the name or the password cannot be taken.
        ConflictError: somebody has that name.
    """
    require(actor, Action.MANAGE_PLATFORM)
    user = User(username=username)
    _set_role(user, role)
    _set_password(user, password)
    taken = conflicts.Taken(f"The name {username}", lambda: User.objects.filter(username=username))
    conflicts.save(user, actor=actor, taken={"tenants_user_username_key": taken})
    audit.record(actor, "user.created", user, detail={"platform_role": user.platform_role})
    return user


def change_person(
    user: User, *, actor: Actor, role: PlatformRole | None, is_active: bool, password: str = ""
) -> None:
    """Set somebody's platform role, whether they may sign in, and with a password that too.

    Who loses the role of administrator, or may no longer sign in, loses API tokens with it.

    Raises:
        ForbiddenError: the actor is no platform administrator.
        InvalidError: the password is too weak.
        ConflictError: nobody may take the administrator's role from themselves (``last-admin``).
    """
    require(actor, Action.MANAGE_PLATFORM)
    if user.pk == actor.user_id and (role is not PlatformRole.ADMIN or not is_active):
        raise ConflictError(
            "You cannot take the administrator's role from yourself. Ask another administrator.",
            code="last-admin",
        )
    before = {"platform_role": user.platform_role, "is_active": user.is_active}
    was_admin = user.held_platform_role is PlatformRole.ADMIN
    _set_role(user, role)
    user.is_active = is_active
    if password:
        _set_password(user, password)
    user.save()
    if was_admin and role is not PlatformRole.ADMIN:
        revoke_unearned_tokens(user, actor=actor)
    if not is_active:
        for token in ApiToken.objects.filter(user=user, revoked_at__isnull=True):
            tokens.withdraw_token(token, actor=actor)
    after = {"platform_role": user.platform_role, "is_active": user.is_active}
    audit.record(
        actor,
        "user.changed",
        user,
        detail={"before": before, "after": after, "password": bool(password)},
    )


def _set_role(user: User, role: PlatformRole | None) -> None:
    # Staff may enter Django's admin; others than administrators have it from an earlier version.
    is_staff = user.is_staff and user.held_platform_role is role
    user.platform_role = role.value if role else ""
    user.is_superuser = role is PlatformRole.ADMIN
    user.is_staff = user.is_superuser or is_staff


def _set_password(user: User, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise InvalidError(
            "The password is too weak. " + " ".join(error.messages),
            fields={"password": error.messages},
        ) from error
    user.set_password(password)
