"""Pages that make, change and delete ingress and egress policies."""

from django.http import HttpResponse

from proxyconfig.models import EgressPolicy, IngressPolicy, Plan
from proxyconfig.services import policies
from proxyconfig.ui.editing import Change, edit_policy, policies_url, review
from proxyconfig.ui.forms import EgressForm, IngressForm
from tenants.access import TenantRequest, tenant_page
from tenants.domain.roles import Action
from tenants.errors import NotVisibleError


@tenant_page(Action.EDIT_POLICY)
def ingress_create(request: TenantRequest) -> HttpResponse:
    """A new ingress policy."""
    return _ingress_page(request, "")


@tenant_page(Action.VIEW)
def ingress_edit(request: TenantRequest, name: str) -> HttpResponse:
    """An ingress policy: to read, or to change."""
    return _ingress_page(request, name)


@tenant_page(Action.EDIT_POLICY)
def ingress_delete(request: TenantRequest, name: str) -> HttpResponse:
    """The plan of deleting an ingress policy, and the deletion."""

    def apply(reason: str) -> Plan:
        return policies.delete_ingress(_ingress(name), actor=request.actor, reason=reason)

    _ingress(name)
    return review(request, Change(name, policies_url(request), apply, is_delete=True))


@tenant_page(Action.EDIT_POLICY)
def egress_create(request: TenantRequest) -> HttpResponse:
    """A new egress policy."""
    return _egress_page(request, "")


@tenant_page(Action.VIEW)
def egress_edit(request: TenantRequest, name: str) -> HttpResponse:
    """An egress policy: to read, or to change."""
    return _egress_page(request, name)


@tenant_page(Action.EDIT_POLICY)
def egress_delete(request: TenantRequest, name: str) -> HttpResponse:
    """The plan of deleting an egress policy, and the deletion."""

    def apply(reason: str) -> Plan:
        return policies.delete_egress(_egress(name), actor=request.actor, reason=reason)

    _egress(name)
    return review(request, Change(name, policies_url(request), apply, is_delete=True))


def _ingress_page(request: TenantRequest, name: str) -> HttpResponse:
    policy = _ingress(name) if name else None
    initial = IngressForm.initial_of(policy) if policy else None
    form = IngressForm(request.POST or None, initial=initial, actor=request.actor)

    def apply(reason: str) -> Plan:
        return policies.save_ingress(
            request.tenant,
            form.draft,
            actor=request.actor,
            reason=reason,
            policy=_ingress(name) if name else None,
        )

    change = Change(name or form["name"].value() or "", policies_url(request), apply)
    return edit_policy(
        request, form, change, template="proxyconfig/ingress_form.html", policy=policy
    )


def _egress_page(request: TenantRequest, name: str) -> HttpResponse:
    policy = _egress(name) if name else None
    initial = EgressForm.initial_of(policy) if policy else None
    form = EgressForm(request.POST or None, initial=initial, actor=request.actor)

    def apply(reason: str) -> Plan:
        return policies.save_egress(
            request.tenant,
            form.draft,
            actor=request.actor,
            reason=reason,
            policy=_egress(name) if name else None,
        )

    change = Change(
        name or form["name"].value() or "", policies_url(request), apply, otherwise="destinations"
    )
    return edit_policy(
        request, form, change, template="proxyconfig/egress_form.html", policy=policy
    )


def _ingress(name: str) -> IngressPolicy:
    rows = IngressPolicy.objects.select_related("tenant", "listener__virtual_address", "namespace")
    policy = rows.filter(name=name).first()
    if policy is None:
        raise _gone("ingress", name)
    return policy


def _egress(name: str) -> EgressPolicy:
    rows = EgressPolicy.objects.select_related("tenant").prefetch_related("rules")
    policy = rows.filter(name=name).first()
    if policy is None:
        raise _gone("egress", name)
    return policy


def _gone(kind: str, name: str) -> NotVisibleError:
    return NotVisibleError(
        f"There is no {kind} policy {name} in this tenant. It may have been deleted: see the plans."
    )
