"""The door of the REST API: each tenant's view runs inside that tenant's scope."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any, ClassVar, TypeVar, cast

from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from tenants import retries
from tenants.access import enter_tenant, require
from tenants.api.filters import DeclaredFilters, StrictQuery
from tenants.domain.actor import Actor
from tenants.domain.roles import Action, Role
from tenants.errors import ForbiddenError, NotVisibleError, TransientError
from tenants.models.member import User
from tenants.models.scoped import Scope, open_scope, tenant_scope
from tenants.models.tenant import Tenant
from tenants.models.token import ApiToken

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
Row = TypeVar("Row", bound=Model)
T = TypeVar("T")


class ScopedView(APIView):
    """Base of every view that reads rows: one transaction, undone by an error of any kind."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        """Handle the request inside one transaction; again where another one threw it out."""
        try:
            return retries.run(request, lambda: self._attempt(request, *args, **kwargs))
        except TransientError as error:
            response = super().handle_exception(error)
            return self.finalize_response(self.request, response, *args, **kwargs)

    def _attempt(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        with ExitStack() as scopes:
            self._scopes = scopes
            self._is_entered = False
            return super().dispatch(request, *args, **kwargs)  # type: ignore[return-value]  # DRF's

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate; then refuse a path with a NUL, which no row's name can hold.

        Raises:
            NotVisibleError: it has one. PostgreSQL would refuse the question itself.
        """
        super().initial(request, *args, **kwargs)
        if "\0" in request.path:
            raise NotVisibleError("There is nothing at this path: it has a NUL character in it.")

    def handle_exception(self, exc: Exception) -> Response:
        """Answer the error, and undo what the request did.

        Raises:
            Exception: the error itself, where trying again may help.
        """
        if retries.has_been_outrun(exc):
            raise exc
        if self._is_entered:
            transaction.set_rollback(True)
        return super().handle_exception(exc)

    def enter(self, scope: AbstractContextManager[T]) -> T:
        """Open a scope for the rest of the request."""
        entered = self._scopes.enter_context(scope)
        self._is_entered = True
        return entered

    @staticmethod
    def _trace_id(request: Request) -> str:
        return str(getattr(request, "trace_id", ""))


class TenantView(ScopedView):
    """Base of each view under ``/tenants/<slug>/``, and of those at a tenant's own address.

    Set ``read_action`` and ``write_action``, and where one method needs another right, ``rights``
    by the viewset's action. Inside a handler ``self.tenant`` and ``self.actor`` are set and the
    scope is open.
    """

    read_action: ClassVar[Action] = Action.VIEW
    write_action: ClassVar[Action] = Action.MANAGE_TENANT
    rights: ClassVar[Mapping[str, Action]] = {}
    tenant: Tenant
    actor: Actor

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, then open the scope of the tenant that the request is for."""
        super().initial(request, *args, **kwargs)
        slug = str(kwargs.get("tenant") or getattr(request, "ingress_tenant", ""))
        if isinstance(request.auth, ApiToken):
            self._enter_by_token(request, request.auth, slug)
        elif request.user.is_authenticated:
            entered = enter_tenant(request.user, slug, trace_id=self._trace_id(request))
            self.tenant, self.actor = self.enter(entered)
        else:
            raise NotAuthenticated
        default = self.read_action if request.method in _READS else self.write_action
        require(self.actor, self.rights.get(getattr(self, "action", None) or "", default))

    def _enter_by_token(self, request: Request, token: ApiToken, slug: str) -> None:
        self.enter(tenant_scope(token.tenant_id, user_id=token.user_id))
        tenant = Tenant.objects.get(pk=token.tenant_id)
        if tenant.slug != slug:
            self._refuse(request, slug)
        self.tenant = tenant
        self.actor = Actor(
            name=f"token:{token.name}",
            user_id=token.user_id,
            role=Role(token.role),
            trace_id=self._trace_id(request),
            token_id=token.pk,
        )

    def _refuse(self, request: Request, slug: str) -> None:
        if getattr(request, "ingress_tenant", ""):
            raise ForbiddenError(
                "This API token is another tenant's. At this address only the tokens of the tenant"
                f" {slug} are taken.",
                code="foreign-token",
            )
        raise NotVisibleError(f"No tenant named {slug} is visible to this API token.")


class UserView(ScopedView):
    """Base of views above any one tenant: they see which tenants are the caller's."""

    actor: Actor

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, then open a scope that sees what the caller may see."""
        super().initial(request, *args, **kwargs)
        token = request.auth if isinstance(request.auth, ApiToken) else None
        # A caller without a session or token was turned away by ``super``.
        user = cast("User", request.user)
        platform_role = None if token else user.held_platform_role
        self.actor = Actor(
            name=f"token:{token.name}" if token else user.get_username(),
            user_id=user.pk,
            platform_role=platform_role,
            trace_id=self._trace_id(request),
        )
        scope = Scope(
            tenant_id=token.tenant_id if token else None,
            user_id=None if token else user.pk,
            staff_reason="platform staff" if platform_role else "",
        )
        self.enter(open_scope(scope))


class RowViewSet(StrictQuery, GenericViewSet[Row]):
    """Base of a resource: a subclass gives ``rows``, serializers, filters and rights."""

    filter_backends = [DeclaredFilters]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse unknown query parameters once the caller has proved to be entitled."""
        super().initial(request, *args, **kwargs)
        self.check_query(request, self.action or "")

    def rows(self) -> QuerySet[Row]:
        """All rows that the open scope may see, with what their serializer reads."""
        raise NotImplementedError(f"{type(self).__name__} gives no rows")

    def get_queryset(self) -> QuerySet[Row]:
        """What lists and look-ups start from."""
        return self.rows()

    def get_object(self) -> Row:
        """The row that the URL names.

        Raises:
            NotVisibleError: there is none, or it is another tenant's.
        """
        name = self.lookup_url_kwarg or self.lookup_field
        key = self.kwargs[name]
        row = self.rows().filter(**{self.lookup_field: key}).first()
        if row is None:
            kind = self.rows().model._meta.verbose_name
            raise NotVisibleError(
                f"There is no {kind} {key} here. List them to see which there are."
            )
        return row

    def read_body(self, serializer: type[Serializer[Any]]) -> dict[str, Any]:
        """The request's body, checked by ``serializer``; Any, as fields have many types.

        Raises:
            ValidationError: a field is wrong or unknown.
        """
        body = serializer(data=self.request.data)
        body.is_valid(raise_exception=True)
        return dict(body.validated_data)


class TenantViewSet(RowViewSet[Row], TenantView):
    """Base of a tenant's resource."""
