"""The doors of views: which tenant a request is for, and what its user may do there.

A page's view is wrapped in ``tenant_page``. It resolves the tenant's name from the URL as seen by
the user, opens that tenant's scope around the whole view, and answers "not found" otherwise.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django_htmx.middleware import HtmxDetails

from tenants.domain.actor import Actor
from tenants.domain.roles import Action, Role, roles_with
from tenants.errors import ForbiddenError, NotVisibleError
from tenants.models.member import Membership, User
from tenants.models.scoped import Scope, open_scope, tenant_scope
from tenants.models.tenant import Tenant

P = ParamSpec("P")


class TenantRequest(HttpRequest):
    """A signed-in request for one tenant; the scope is open while the view runs."""

    user: User
    tenant: Tenant
    actor: Actor
    trace_id: str
    ingress_tenant: str
    htmx: HtmxDetails


@contextmanager
def enter_tenant(user: User, slug: str, *, trace_id: str = "") -> Iterator[tuple[Tenant, Actor]]:
    """Open the scope of the tenant named ``slug`` as ``user`` sees it.

    Raises:
        NotVisibleError: there is no such tenant, or it is not theirs: one answer for both.
    """
    staff_reason = "platform administrator" if user.is_superuser else ""
    with open_scope(Scope(user_id=user.pk, staff_reason=staff_reason)):
        tenant = Tenant.objects.filter(slug=slug).first()
        if tenant is None:
            raise NotVisibleError(
                f"No tenant named {slug} is visible to you."
                " Check the name, or ask its NetOps to add you."
            )
        membership = Membership.objects.filter(tenant=tenant, user=user).first()
    actor = Actor(
        name=user.get_username(),
        user_id=user.pk,
        role=Role(membership.role) if membership else None,
        is_platform_admin=user.is_superuser,
        trace_id=trace_id,
    )
    with tenant_scope(tenant.pk, user_id=user.pk):
        yield tenant, actor


def require(actor: Actor, action: Action) -> None:
    """Return if ``actor`` may do ``action``.

    Raises:
        ForbiddenError: the role does not grant it; the message names the roles that do.
    """
    if actor.may(action):
        return
    roles = ", ".join(roles_with(action))
    held = actor.role.value if actor.role else "none"
    raise ForbiddenError(
        f"Your role here ({held}) does not allow {action.value}."
        f" Ask a member with one of: {roles}.",
        data={"action": action.value, "role": held},
    )


def tenant_page(
    action: Action,
) -> Callable[
    [Callable[Concatenate[TenantRequest, P], HttpResponseBase]],
    Callable[Concatenate[HttpRequest, str, P], HttpResponseBase],
]:
    """Wrap a tenant's page: sign-in, the tenant's scope, and the right to ``action``."""

    def decorate(
        view: Callable[Concatenate[TenantRequest, P], HttpResponseBase],
    ) -> Callable[Concatenate[HttpRequest, str, P], HttpResponseBase]:
        @wraps(view)
        def page(
            request: HttpRequest, tenant: str, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponseBase:
            asked = cast("TenantRequest", request)  # The middleware and the lines below fill it.
            with enter_tenant(asked.user, tenant, trace_id=asked.trace_id) as (row, actor):
                require(actor, action)
                asked.tenant, asked.actor = row, actor
                return view(asked, *args, **kwargs)

        return cast(
            "Callable[Concatenate[HttpRequest, str, P], HttpResponseBase]", login_required(page)
        )

    return decorate
