"""The page of a tenant's networks."""

from django.http import HttpResponse
from django.shortcuts import render

from proxyconfig.domain.objects import COLLECTIONS
from proxyconfig.services import change_sets
from proxyconfig.services.rows import build_intent
from proxyconfig.ui import networks, pages
from tenants.access import TenantRequest, tenant_page
from tenants.domain.roles import Action

_NETWORK = tuple(entry.name for entry in COLLECTIONS if entry.is_network)


@tenant_page(Action.VIEW)
def network_list(request: TenantRequest) -> HttpResponse:
    """What the tenant holds in the data centre, what waits, and what it may still take."""
    tenant = request.tenant
    intent = build_intent(tenant)
    view = networks.View(tenant, intent, change_sets.pending(tenant))
    rows = {name.replace("-", "_"): view.rows(name) for name in _NETWORK}
    context = {
        **rows,
        "segments": view.segments(),
        "waiting": view.waiting(*_NETWORK),
        "is_empty": not any(rows.values()),
        "new_urls": {name.replace("-", "_"): pages.new_of(tenant, name) for name in _NETWORK},
        "grants": networks.grants(tenant),
        "can_edit": request.actor.may(Action.EDIT_NETWORK),
        "can_manage_space": request.actor.may(Action.MANAGE_ADDRESS_SPACE),
        "pause": networks.pause_of(tenant),
    }
    return render(request, "proxyconfig/network_list.html", context)
