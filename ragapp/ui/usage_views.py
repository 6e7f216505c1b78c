"""Pages of usage: what a tenant used against its limits, and all tenants side by side."""

from datetime import UTC, datetime, time, timedelta

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from proxyconfig import facade
from ragapp.services import ledger, limits
from ragapp.ui.forms import LimitForm
from ragapp.ui.usage import Period, day_bars
from tenants.access import TenantRequest, tenant_page
from tenants.domain.quota import Resource
from tenants.domain.roles import Action
from tenants.errors import NotVisibleError, SluiceError
from tenants.models.scoped import platform_scope
from tenants.models.tenant import Tenant
from tenants.services import quotas
from tenants.ui.paging import PAGE_SIZE


@tenant_page(Action.VIEW)
def usage_detail(request: TenantRequest) -> HttpResponse:
    """What the tenant used, against its limits, by day, model, corpus and user."""
    return render(request, "ragapp/usage_detail.html", _usage_context(request, LimitForm()))


@require_POST
@tenant_page(Action.VIEW)
def usage_limit(request: TenantRequest) -> HttpResponse:
    """Set or clear a limit; the service knows whose right it is."""
    form = LimitForm(request.POST)
    if form.is_valid():
        resource, token = Resource(form.cleaned_data["resource"]), form.cleaned_data["token"]
        try:
            if "clear" in request.POST:
                quotas.clear_limit(request.tenant, resource, actor=request.actor, token=token)
            else:
                limit = form.cleaned_data["limit"]
                quotas.set_limit(request.tenant, resource, limit, actor=request.actor, token=token)
        except SluiceError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, gettext("The limit holds from the next request on."))
            return redirect("ragapp:usage-detail", request.tenant.slug)
    return render(request, "ragapp/usage_detail.html", _usage_context(request, form), status=400)


@tenant_page(Action.VIEW)
def usage_export(request: TenantRequest) -> HttpResponse:
    """The daily sums as CSV; their totals are those of the ledger."""
    period = Period.read(request.GET.get("days", ""), ledger.today())
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    name = f"usage-{request.tenant.slug}-{period.first}-{period.last}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    ledger.write_csv(response, period.first, period.last)
    return response


@login_required
def usage_overview(request: HttpRequest) -> HttpResponse:
    """All tenants side by side; for platform administrators."""
    if not request.user.is_superuser:
        raise NotVisibleError("There is nothing here for you. Each tenant has a page of its usage.")
    period = Period.read(request.GET.get("days", ""), ledger.today())
    with platform_scope("platform administrator"):
        sums = ledger.by("tenant_id", period.first, period.last, most=10_000)
        page = Paginator(sums, PAGE_SIZE).get_page(request.GET.get("page", 1))
        names = Tenant.objects.in_bulk([int(row.word) for row in page])
        rows = [{"tenant": names[int(row.word)], "sums": row} for row in page]
        total = ledger.totals(period.first, period.last)
    context = {"rows": rows, "page": page, "period": period, "total": total}
    return render(request, "ragapp/usage_overview.html", context)


def _usage_context(request: TenantRequest, form: LimitForm) -> dict[str, object]:
    period = Period.read(request.GET.get("days", ""), ledger.today())
    first, last = period.first, period.last
    by_day = ledger.by("day", first, last)
    begin = datetime.combine(first, time.min, UTC)
    traffic = facade.traffic(begin, begin + timedelta(days=period.days))
    return {
        "period": period,
        "standings": quotas.standings(request.tenant.pk, held=limits.held(request.tenant.pk)),
        "token_standings": limits.token_standings(request.tenant.pk),
        "total": ledger.totals(first, last),
        "bars": day_bars(by_day, period),
        "by_model": ledger.by("model", first, last, most=20),
        "by_corpus": ledger.by("corpus", first, last, most=20),
        "by_user": ledger.by("used_by", first, last, most=20),
        "bytes_in": sum(day.bytes_in for day in traffic),
        "bytes_out": sum(day.bytes_out for day in traffic),
        "form": form,
        "can_ask": request.actor.may(Action.ASK),
        "may_limit": request.actor.may(Action.MANAGE_TENANT),
    }
