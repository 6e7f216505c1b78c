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

from tenants import retries
from tenants.domain.actor import Actor
from tenants.domain.roles import Action, Role, platform_roles_with, roles_with
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


class PlatformRequest(HttpRequest):
    """A signed-in request of the platform's staff, above any one tenant; it sees all of them."""

    user: User
    actor: Actor
    trace_id: str
    htmx: HtmxDetails


@contextmanager
def enter_tenant(user: User, slug: str, *, trace_id: str = "") -> Iterator[tuple[Tenant, Actor]]:
    """Open the scope of the tenant named ``slug`` as ``user`` sees it.

    Raises:
        NotVisibleError: there is no such tenant, or it is not theirs: one answer for both.
    """
    staff_reason = "platform staff" if user.held_platform_role else ""
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
        platform_role=user.held_platform_role,
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
    held = actor.role.value if actor.role else "none"
    if roles := ", ".join(roles_with(action)):
        ask = f"Ask a member with one of: {roles}."
    else:
        ask = f"Ask platform staff with one of: {', '.join(platform_roles_with(action))}."
    raise ForbiddenError(
        f"Your role here ({held}) does not allow {action.value}. {ask}",
        data={"action": action.value, "role": held},
    )


def tenant_page(
    action: Action,
) -> Callable[
    [Callable[Concatenate[TenantRequest, P], HttpResponseBase]],
    Callable[Concatenate[HttpRequest, str, P], HttpResponseBase],
]:
    """Wrap a tenant's page: sign-in, the tenant's scope, and the right to ``action``.

    A view that the database threw out in favour of another transaction runs again.
    """

    def decorate(
        view: Callable[Concatenate[TenantRequest, P], HttpResponseBase],
    ) -> Callable[Concatenate[HttpRequest, str, P], HttpResponseBase]:
        @wraps(view)
        def page(
            request: HttpRequest, tenant: str, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponseBase:
            asked = cast("TenantRequest", request)  # The middleware and the lines below fill it.

            def attempt() -> HttpResponseBase:
                with enter_tenant(asked.user, tenant, trace_id=asked.trace_id) as (row, actor):
                    require(actor, action)
                    asked.tenant, asked.actor = row, actor
                    return view(asked, *args, **kwargs)

            return retries.run(request, attempt)

        return cast(
            "Callable[Concatenate[HttpRequest, str, P], HttpResponseBase]", login_required(page)
        )

    return decorate


def platform_page(
    action: Action, *, write: Action | None = None
) -> Callable[
    [Callable[Concatenate[PlatformRequest, P], HttpResponseBase]],
    Callable[Concatenate[HttpRequest, P], HttpResponseBase],
]:
    """Wrap a page above the tenants: sign-in, the platform's scope, and the right to ``action``.

    Whoever has no platform role is told that there is nothing, as for another tenant's page. A view
    that the database threw out in favour of another transaction runs again, as a tenant's does.

    Args:
        write: the right that anything but reading needs; as for reading when None.
    """

    def decorate(
        view: Callable[Concatenate[PlatformRequest, P], HttpResponseBase],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @wraps(view)
        def page(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            asked = cast("PlatformRequest", request)  # The middleware and the lines below fill it.
            actor = Actor(
                name=asked.user.get_username(),
                user_id=asked.user.pk,
                platform_role=asked.user.held_platform_role,
                trace_id=asked.trace_id,
            )
            if not actor.is_platform_staff:
                raise NotVisibleError("There is nothing here that is visible to you.")
            is_read = request.method in {"GET", "HEAD"}
            require(actor, action if is_read or write is None else write)
            asked.actor = actor

            def attempt() -> HttpResponseBase:
                with open_scope(Scope(user_id=asked.user.pk, staff_reason="platform staff")):
                    return view(asked, *args, **kwargs)

            return retries.run(request, attempt)

        return cast("Callable[Concatenate[HttpRequest, P], HttpResponseBase]", login_required(page))

    return decorate
