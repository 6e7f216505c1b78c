"""The page of one cluster: how Sluice reaches it, and what the last check found there."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from proxyconfig.services import cluster_access
from proxyconfig.ui.cluster_forms import AccessForm
from tenants.access import PlatformRequest, platform_page
from tenants.domain.roles import Action
from tenants.errors import NotVisibleError, SluiceError
from tenants.models.tenant import Cluster
from tenants.ui.forms import refuse, status_of


@sensitive_post_parameters("credential")
@platform_page(Action.VIEW, write=Action.MANAGE_PLATFORM)
def cluster_detail(request: PlatformRequest, name: str) -> HttpResponse:
    """A cluster: its state, and the form of its connection."""
    cluster = _cluster(name)
    has_api = cluster.flavour in cluster_access.KUBERNETES
    row = cluster_access.find(cluster)
    form = AccessForm(request.POST or None, row=row) if has_api else None
    if request.method == "POST" and form is not None and form.is_valid():
        try:
            cluster_access.save(cluster, form.wish, actor=request.actor)
        except SluiceError as error:
            refuse(form, error, otherwise="credential")
        else:
            messages.success(request, _("Saved. Testing the connection."))
            return redirect("proxyconfig:cluster-detail", name)
    context = {
        "cluster": cluster,
        "access": row,
        "form": form,
        "can_manage": request.actor.may(Action.MANAGE_PLATFORM),
        "can_check": request.actor.may(Action.MANAGE_ADDRESS_SPACE),
    }
    status = status_of(*filter(None, [form]))
    if request.htmx and request.method == "GET":
        return render(request, "proxyconfig/_cluster_state.html", context)
    return render(request, "proxyconfig/cluster_detail.html", context, status=status)


@require_POST
@platform_page(Action.MANAGE_ADDRESS_SPACE)
def cluster_check(request: PlatformRequest, name: str) -> HttpResponse:
    """Have a worker test the connection."""
    cluster_access.request_check(_cluster(name), actor=request.actor)
    return redirect("proxyconfig:cluster-detail", name)


def _cluster(name: str) -> Cluster:
    row = Cluster.objects.filter(name=name).first()
    if row is None:
        raise NotVisibleError(f"There is no cluster {name}.")
    return row
