"""Pages of templates and of tenants made from them, and the guardrails of a tenant."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from proxyconfig.domain.template import Template
from proxyconfig.services import new_tenants, templates
from proxyconfig.services.limits import limits_of, set_limits
from proxyconfig.ui.limit_forms import GuardrailsForm
from proxyconfig.ui.template_forms import TemplateForm
from proxyconfig.ui.tenant_forms import NewTenantForm
from tenants.access import PlatformRequest, TenantRequest, platform_page, require, tenant_page
from tenants.domain.roles import Action, Role
from tenants.errors import ConflictError, InvalidError, NotVisibleError, SluiceError
from tenants.models.template import TenantTemplate
from tenants.services.people import find_user
from tenants.services.tenants import add_member, create_tenant
from tenants.ui.forms import refuse, status_of
from tenants.ui.paging import page_of


@platform_page(Action.VIEW)
def template_list(request: PlatformRequest) -> HttpResponse:
    """The templates, each with what it gives."""
    page = page_of(request, TenantTemplate.objects.all())
    rows = [(row, _summary(row)) for row in page]
    context = {
        "page": page,
        "rows": rows,
        "can_edit": request.actor.may(Action.MANAGE_ADDRESS_SPACE),
        "can_create": request.actor.may(Action.CREATE_TENANT),
    }
    return render(request, "proxyconfig/template_list.html", context)


@platform_page(Action.MANAGE_ADDRESS_SPACE)
def template_create(request: PlatformRequest) -> HttpResponse:
    """A new template."""
    return _template_page(request, None, None)


@platform_page(Action.VIEW, write=Action.MANAGE_ADDRESS_SPACE)
def template_edit(request: PlatformRequest, name: str) -> HttpResponse:
    """A template: to read, or to change."""
    row = templates.find_template(name)
    return _template_page(request, row, templates.template_of(row))


@platform_page(Action.MANAGE_ADDRESS_SPACE)
def template_delete(request: PlatformRequest, name: str) -> HttpResponse:
    """Ask, then delete; tenants that were made from it stay."""
    row = templates.find_template(name)
    if request.method == "POST":
        templates.delete_template(row, actor=request.actor)
        messages.success(request, _("Template %(name)s was deleted.") % {"name": name})
        return redirect("proxyconfig:template-list")
    return render(request, "proxyconfig/template_delete.html", {"row": row})


@platform_page(Action.CREATE_TENANT)
def tenant_create(request: PlatformRequest) -> HttpResponse:
    """A new tenant, from a template or empty; then its plan."""
    asked = {"template": request.GET.get("template", "")} if "template" in request.GET else {}
    form = NewTenantForm(request.POST or None, initial=asked)
    if request.method == "POST" and form.is_valid():
        try:
            return _create(request, form)
        except (InvalidError, ConflictError, NotVisibleError) as error:
            _refuse(form, error)
    context = {"form": form, "back_url": reverse("portal:tenant-list")}
    return render(request, "proxyconfig/tenant_form.html", context, status=status_of(form))


@tenant_page(Action.VIEW)
def guardrails_edit(request: TenantRequest) -> HttpResponse:
    """What the tenant's changes may do without a second person."""
    tenant = request.tenant
    form = GuardrailsForm(
        request.POST or None, limits=limits_of(tenant), auto_apply=tenant.auto_apply
    )
    if request.method == "POST":
        require(request.actor, Action.MANAGE_GUARDRAILS)
        if form.is_valid():
            said = form.cleaned_data
            try:
                set_limits(
                    tenant,
                    form.limits,
                    auto_apply=said["auto_apply"],
                    actor=request.actor,
                    reason=said["reason"],
                )
            except SluiceError as error:
                refuse(form, error)
            else:
                messages.success(request, _("The guardrails hold from the next change on."))
                return redirect("proxyconfig:guardrails-edit", tenant.slug)
    context = {
        "form": form,
        "can_manage": request.actor.may(Action.MANAGE_GUARDRAILS),
        "tab": "guardrails",
    }
    return render(request, "proxyconfig/guardrails_edit.html", context, status=status_of(form))


def _template_page(
    request: PlatformRequest, row: TenantTemplate | None, existing: Template | None
) -> HttpResponse:
    form = TemplateForm(request.POST or None, row=row, existing=existing)
    if request.method == "POST" and form.is_valid():
        try:
            saved = templates.save_template(
                form.cleaned_data["name"],
                form.template,
                actor=request.actor,
                description=form.cleaned_data["description"],
                row=row,
            )
        except SluiceError as error:
            form.refuse(error)
        else:
            messages.success(request, _("Template %(name)s was saved.") % {"name": saved})
            return redirect("proxyconfig:template-list")
    context = {
        "form": form,
        "row": row,
        "can_edit": request.actor.may(Action.MANAGE_ADDRESS_SPACE),
    }
    return render(request, "proxyconfig/template_form.html", context, status=status_of(form))


def _create(request: PlatformRequest, form: NewTenantForm) -> HttpResponse:
    said = form.cleaned_data
    if not said["template"]:
        users = [find_user(member.username) for member in form.members]
        tenant = create_tenant(said["slug"], said["name"], actor=request.actor)
        for user in users:
            add_member(tenant, user, Role.NETOPS, actor=request.actor)
        messages.success(request, _("Tenant %(name)s was created.") % {"name": tenant})
        return redirect("portal:tenant-overview", tenant.slug)
    created = new_tenants.create_tenant_from(
        templates.find_template(said["template"]),
        slug=said["slug"],
        name=said["name"],
        actor=request.actor,
        reason=said["reason"],
        members=form.members,
        begin=form.begin,
    )
    messages.success(request, _("Tenant %(name)s was created.") % {"name": created.tenant})
    return redirect("proxyconfig:plan-detail", created.tenant.slug, created.plan.pk)


def _refuse(form: NewTenantForm, error: SluiceError) -> None:
    """At the field that the refusal is about."""
    if isinstance(error, NotVisibleError):
        form.add_error("netops", error.message)
    elif isinstance(error, ConflictError):
        form.add_error(
            "slug" if error.message.startswith("The name ") else "template", error.message
        )
    else:
        refuse(form, error, otherwise="template")


def _summary(row: TenantTemplate) -> str:
    """What a template gives, in a few words."""
    try:
        said = templates.template_of(row)
    except InvalidError as error:
        return error.message
    segments = [
        f"VLAN ({entry.vlan_range})"
        if entry.vlan_range
        else f"VXLAN ({entry.vni_range})"
        if entry.vni_range
        else _("subnets")
        for entry in said.segments
    ]
    virtual = sum(entry.count for entry in said.virtual_addresses)
    snat = sum(entry.count for entry in said.snat_addresses)
    return ", ".join(
        [
            *segments,
            _("%(count)s virtual") % {"count": virtual},
            _("%(count)s SNAT") % {"count": snat},
            _("namespaces %(names)s") % {"names": " ".join(said.namespaces) or "-"},
        ]
    )
