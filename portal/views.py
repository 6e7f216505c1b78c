"""Pages that belong to no one app: the overviews, the choice of colours, and the error pages."""

from typing import cast

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseForbidden,
    HttpResponseServerError,
)
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.template import loader
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from portal.navigation import THEMES, visible_scope
from portal.overview import first_steps, has_recent_drift, knowledge, tenant_rows
from proxyconfig import facade
from ragapp.domain.reader import reader_of
from tenants.access import PlatformRequest, TenantRequest, platform_page, tenant_page
from tenants.domain.roles import Action
from tenants.models.member import User
from tenants.models.tenant import Tenant
from tenants.ui.paging import page_of

_YEAR_SECONDS = 365 * 24 * 3600


@login_required
def overview(request: HttpRequest) -> HttpResponseBase:
    """All tenants that the user may see; whoever has one goes straight to it."""
    user = cast(User, request.user)
    if user.held_platform_role:
        return tenant_list(request)
    with visible_scope(user):
        page = page_of(request, Tenant.objects.all())
        tenants = list(page)
    if len(tenants) == 1 and page.paginator.count == 1:
        return redirect("portal:tenant-overview", tenants[0].slug)
    context = {"page": page, "rows": tenant_rows(tenants)}
    return render(request, "portal/home.html", context)


@platform_page(Action.VIEW)
def tenant_list(request: PlatformRequest) -> HttpResponse:
    """All tenants, for the platform's staff; by a part of the name where the address has one."""
    name = request.GET.get("name", "").strip()
    rows = Tenant.objects.all()
    if name:
        rows = rows.filter(Q(slug__icontains=name) | Q(name__icontains=name))
    page = page_of(request, rows)
    context = {
        "page": page,
        "rows": tenant_rows(list(page)),
        "is_platform": True,
        "name": name,
        "can_create": request.actor.may(Action.CREATE_TENANT),
        "can_see_usage": request.actor.is_platform_admin,
    }
    return render(request, "portal/home.html", context)


@tenant_page(Action.VIEW)
def tenant_overview(request: TenantRequest) -> HttpResponse:
    """One tenant at a glance; a new one with its first steps."""
    summary = facade.summary(request.tenant)
    known = knowledge(reader_of(request.actor))
    steps = first_steps(request.tenant.slug, summary, known, request.actor)
    context = {
        "tenant": request.tenant,
        "summary": summary,
        "known": known,
        "steps": steps,
        "is_drift_news": has_recent_drift(summary),
        "is_new": not all(step.is_done for step in steps),
        "sync_url": reverse("proxyconfig:sync-detail", args=[request.tenant.slug]),
        "can_ask": request.actor.may(Action.ASK),
    }
    return render(request, "portal/overview.html", context)


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen colours in a cookie, and go back to the page."""
    back = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()})
    response = redirect(back if is_ours else "portal:overview")
    chosen = request.POST.get("theme", "")
    if chosen in THEMES:
        response.set_cookie(
            "theme",
            chosen,
            max_age=_YEAR_SECONDS,
            secure=settings.IS_HTTPS,
            httponly=True,
            samesite="Lax",
        )
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return HttpResponseBadRequest(_error_page(request, "400.html"))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    return HttpResponseForbidden(_error_page(request, "403.html"))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form that came without its token."""
    return HttpResponseForbidden(_error_page(request, "403_csrf.html"))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return HttpResponse(_error_page(request, "404.html"), status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """500; rendered without a context processor, since one of those may be what broke."""
    return HttpResponseServerError(_error_page(request, "500.html"))


def _error_page(request: HttpRequest, template: str) -> str:
    trace_id = getattr(request, "trace_id", "")
    return loader.get_template(template).render({"trace_id": trace_id, "request": request})
