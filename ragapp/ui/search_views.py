"""The page of the tenant's web search service."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext

from ragapp.models import WebSearch
from ragapp.services import web_search
from ragapp.ui.forms import WebSearchForm
from tenants.access import TenantRequest, tenant_page
from tenants.domain.roles import Action
from tenants.errors import SluiceError
from tenants.ui.forms import refuse, status_of


@tenant_page(Action.TRAIN)
def web_search_edit(request: TenantRequest) -> HttpResponse:
    """Which service the tenant's agent asks."""
    row = WebSearch.objects.first()
    initial = {"provider": row.provider, "address": row.address} if row else {}
    form = WebSearchForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            web_search.choose(request.tenant, actor=request.actor, **form.cleaned_data)
        except SluiceError as error:
            refuse(form, error)
        else:
            messages.success(request, gettext("Questions ask this service from now on."))
            return redirect("ragapp:web-search-edit", request.tenant.slug)
    return render(
        request, "ragapp/web_search_form.html", {"form": form, "row": row}, status=status_of(form)
    )
