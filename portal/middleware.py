"""What happens to every request: a trace id, the door it came by, and errors turned into pages."""

import json
import logging
import re
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from tenants.api.problems import headers_of
from tenants.errors import InvalidError, NotVisibleError, SluiceError
from tenants.models.member import Membership
from tenants.models.scoped import Scope, open_scope, platform_scope, user_scope

logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]
_TRACE = re.compile(r"[0-9a-f]{32}\Z")


class TraceMiddleware:
    """Gives each request its trace id and, at the ingress door, the tenant that the proxy named."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Set ``trace_id``, ``ingress_tenant`` and ``ingress_rule`` on the request."""
        is_ingress = getattr(request, "scope", {}).get("sluice.door") == "ingress"
        proxy_trace = (
            request.headers.get("X-Sluice-Trace", "").replace("-", "") if is_ingress else ""
        )
        trace_id = proxy_trace if _TRACE.match(proxy_trace) else uuid.uuid4().hex
        request.trace_id = trace_id  # type: ignore[attr-defined]  # read through TenantRequest
        request.ingress_tenant = (  # type: ignore[attr-defined]  # read through TenantRequest
            request.headers.get("X-Sluice-Tenant", "") if is_ingress else ""
        )
        if is_ingress:
            request.urlconf = settings.INGRESS_URLCONF
        response = self.get_response(request)
        response["X-Trace-Id"] = trace_id
        return response


class ErrorMiddleware:
    """Turns Sluice's own errors into a page that says what happened and what to do next."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass through."""
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *view: object) -> HttpResponse | None:
        """Refuse an address with a NUL, which no row holds: PostgreSQL refuses to look for it."""
        if request.path.startswith("/api/") or hasattr(request, "urlconf"):
            return None  # The API says it in its own way.
        if "\0" in request.path:
            missing = "There is nothing at this address: it has a NUL character in it."
            return error_page(request, NotVisibleError(missing))
        if any("\0" in text for key, texts in request.GET.lists() for text in (key, *texts)):
            odd = "The address asks for a NUL character, which nothing holds. Leave it out."
            return error_page(request, InvalidError(odd))
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """A page for a ``SluiceError``; anything else goes on to Django."""
        if not isinstance(error, SluiceError):
            return None
        if error.status >= 500:
            logger.error(error.message, exc_info=error)
        return error_page(request, error)


def error_page(request: HttpRequest, error: SluiceError) -> HttpResponse:
    """The page, or for a client that wants JSON the problem, of one error."""
    trace_id = getattr(request, "trace_id", "")
    if "text/html" not in request.headers.get("Accept", "text/html"):
        body = {"title": error.code, "status": error.status, "detail": error.message}
        return HttpResponse(
            json.dumps({**body, "request_id": trace_id}),
            status=error.status,
            headers=headers_of(error),
            content_type="application/problem+json",
        )
    template = "404.html" if error.status == 404 else "error.html"
    context = {"error": error, "trace_id": trace_id}
    page = render(request, template, context, status=error.status)
    for name, value in headers_of(error).items():
        page[name] = value
    return page


class AdminScopeMiddleware:
    """Opens the scope in which Django's admin works.

    Whoever has a platform role sees all tenants: each of them may read in each tenant, and only
    administrators write here. A tenant's own staff see their first tenant's rows.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Open a scope around the admin's pages only."""
        if not request.path.startswith("/admin/") or not request.user.is_authenticated:
            return self.get_response(request)
        if request.user.held_platform_role:
            with platform_scope("admin"):
                return self._rendered(request)
        user_id = request.user.pk
        with user_scope(user_id):
            membership = Membership.objects.filter(user_id=user_id).first()
            tenant_id = membership.tenant_id if membership else None
        with open_scope(Scope(tenant_id=tenant_id or 0, user_id=user_id)):
            return self._rendered(request)

    def _rendered(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # The admin answers with lazy templates; they must read their rows inside the scope.
        if hasattr(response, "render") and not getattr(response, "is_rendered", True):
            response.render()
        return response
