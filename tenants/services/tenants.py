"""Tenants and their members."""

from django.db import transaction
from django.db.models import QuerySet

from tenants import audit, locks
from tenants.domain.actor import Actor
from tenants.domain.roles import GRANTS, Action, Role
from tenants.errors import ConflictError, ForbiddenError
from tenants.models.member import Membership, User
from tenants.models.tenant import Tenant
from tenants.models.token import ApiToken
from tenants.services import conflicts, tokens


def create_tenant(slug: str, name: str, *, actor: Actor) -> Tenant:
    """A tenant without network, members or policies: nothing comes in, nothing goes out.

    Call it in a scope of the platform's staff.

    Raises:
        ForbiddenError: the actor is neither platform NetOps nor platform administrator.
        ConflictError: the name in the URL is taken.
    """
    if not actor.may(Action.CREATE_TENANT):
        raise ForbiddenError(
            "Only platform NetOps and platform administrators make tenants. Ask one, and say who"
            " will be its NetOps."
        )
    tenant = Tenant(slug=slug, name=name)
    taken = conflicts.Taken(f"The name {slug}", lambda: Tenant.objects.filter(slug=slug))
    with transaction.atomic():
        conflicts.save(tenant, actor=actor, taken={"tenants_tenant_slug_key": taken})
        audit.record(actor, "tenant.created", tenant)
    return tenant


def add_member(tenant: Tenant, user: User, role: Role, *, actor: Actor) -> Membership:
    """Give ``user`` this role in the tenant, in place of any role before.

    Their API tokens that could do more than the new role allows are revoked.

    Raises:
        ConflictError: it would leave the tenant without NetOps.
    """
    with transaction.atomic():
        locks.tenant(tenant.pk)
        membership = Membership.objects.filter(tenant=tenant, user=user).first()
        if membership is None:
            membership = Membership(tenant=tenant, user=user)
        elif membership.role == Role.NETOPS and role is not Role.NETOPS:
            _keep_one_netops(tenant, user, actor)
        membership.role = role.value
        membership.save()
        for token in _live_tokens(tenant, user):
            if not GRANTS[Role(token.role)] <= GRANTS[role]:
                tokens.withdraw_token(token, actor=actor)
        audit.record(actor, "member.added", membership, detail={"role": role.value})
    return membership


def remove_member(membership: Membership, *, actor: Actor) -> None:
    """Take the user out of the tenant; the API tokens that they made there are revoked.

    Raises:
        ConflictError: it would leave the tenant without NetOps.
    """
    with transaction.atomic():
        locks.tenant(membership.tenant_id)
        if membership.role == Role.NETOPS:
            _keep_one_netops(membership.tenant, membership.user, actor)
        for token in _live_tokens(membership.tenant, membership.user):
            tokens.withdraw_token(token, actor=actor)
        audit.record(actor, "member.removed", membership, detail={"role": membership.role})
        membership.delete()


def _keep_one_netops(tenant: Tenant, user: User, actor: Actor) -> None:
    """A platform administrator may leave a tenant without NetOps; its members may not."""
    others = Membership.objects.filter(tenant=tenant, role=Role.NETOPS.value).exclude(user=user)
    if not actor.is_platform_admin and not others.exists():
        raise ConflictError(
            f"{user} is the only NetOps of {tenant}. Give somebody else that role first.",
            code="last-netops",
        )


def _live_tokens(tenant: Tenant, user: User) -> QuerySet[ApiToken]:
    return ApiToken.objects.filter(tenant=tenant, user=user, revoked_at__isnull=True)
