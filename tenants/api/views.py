"""The door of the REST API: each tenant's view runs inside that tenant's scope."""

from contextlib import ExitStack
from typing import Any, ClassVar

from django.db import transaction
from django.http import HttpRequest
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants.access import enter_tenant, require
from tenants.domain.actor import Actor
from tenants.domain.roles import Action, Role
from tenants.errors import ForbiddenError, NotVisibleError
from tenants.models.scoped import Scope, open_scope, tenant_scope
from tenants.models.tenant import Tenant
from tenants.models.token import ApiToken

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class TenantView(APIView):
    """Base of each view under ``/tenants/<slug>/``, and of those at a tenant's own address.

    Set ``read_action`` and ``write_action``; inside a handler ``self.tenant`` and ``self.actor``
    are set and the scope is open. An error of any kind undoes the whole request.
    """

    read_action: ClassVar[Action] = Action.VIEW
    write_action: ClassVar[Action] = Action.MANAGE_TENANT
    tenant: Tenant
    actor: Actor

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        """Handle the request inside one transaction."""
        with ExitStack() as scopes:
            self._scopes = scopes
            return super().dispatch(request, *args, **kwargs)  # type: ignore[return-value]  # DRF's

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, then open the scope of the tenant that the request is for."""
        super().initial(request, *args, **kwargs)
        slug = str(kwargs.get("tenant") or getattr(request, "ingress_tenant", ""))
        if isinstance(request.auth, ApiToken):
            self._enter_by_token(request, request.auth, slug)
        elif request.user.is_authenticated:
            entered = enter_tenant(request.user, slug, trace_id=self._trace_id(request))
            self.tenant, self.actor = self._scopes.enter_context(entered)
        else:
            raise NotAuthenticated
        require(self.actor, self.read_action if request.method in _READS else self.write_action)

    def handle_exception(self, exc: Exception) -> Response:
        """Answer the error, and undo what the request did."""
        if transaction.get_connection().in_atomic_block:
            transaction.set_rollback(True)
        return super().handle_exception(exc)

    def _enter_by_token(self, request: Request, token: ApiToken, slug: str) -> None:
        self._scopes.enter_context(tenant_scope(token.tenant_id, user_id=token.user_id))
        tenant = Tenant.objects.get(pk=token.tenant_id)
        if tenant.slug != slug:
            self._refuse(request, slug)
        self.tenant = tenant
        self.actor = Actor(
            name=f"token:{token.name}",
            user_id=token.user_id,
            role=Role(token.role),
            trace_id=self._trace_id(request),
        )

    def _refuse(self, request: Request, slug: str) -> None:
        if getattr(request, "ingress_tenant", ""):
            raise ForbiddenError(
                "This API token is another tenant's. At this address only the tokens of the tenant"
                f" {slug} are taken.",
                code="foreign-token",
            )
        raise NotVisibleError(f"No tenant named {slug} is visible to this API token.")

    @staticmethod
    def _trace_id(request: Request) -> str:
        return str(getattr(request, "trace_id", ""))


class UserView(APIView):
    """Base of views above any one tenant: they see which tenants are the caller's."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        """Handle the request inside one transaction."""
        with ExitStack() as scopes:
            self._scopes = scopes
            return super().dispatch(request, *args, **kwargs)  # type: ignore[return-value]  # DRF's

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, then open a scope that sees what the caller may see."""
        super().initial(request, *args, **kwargs)
        if isinstance(request.auth, ApiToken):
            scope = Scope(tenant_id=request.auth.tenant_id)
        else:
            is_platform_admin = request.user.is_superuser
            reason = "platform administrator" if is_platform_admin else ""
            scope = Scope(user_id=request.user.pk, staff_reason=reason)
        self._scopes.enter_context(open_scope(scope))
