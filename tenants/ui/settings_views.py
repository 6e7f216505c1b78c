"""A tenant's settings: who its members are, and whether its proxies are paused."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tenants.access import TenantRequest, require, tenant_page
from tenants.domain.roles import Action, Role
from tenants.errors import InvalidError, NotVisibleError, SluiceError
from tenants.models.member import Membership, User
from tenants.models.tenant import Tenant
from tenants.services import pausing
from tenants.services.people import find_user
from tenants.services.tenants import add_member, remove_member
from tenants.ui.forms import MemberForm, PauseForm, ResumeForm, RoleForm, refuse, status_of
from tenants.ui.paging import page_of


@tenant_page(Action.VIEW)
def member_list(request: TenantRequest) -> HttpResponse:
    """The tenant's members; who may manage it adds one here."""
    form = MemberForm(request.POST or None, initial={"role": Role.DEVOPS.value})
    if request.method == "POST":
        require(request.actor, Action.MANAGE_TENANT)
        if form.is_valid():
            try:
                user = find_user(form.cleaned_data["username"].strip())
                role = Role(form.cleaned_data["role"])
                _check_new(request.tenant, user)
                add_member(request.tenant, user, role, actor=request.actor)
            except NotVisibleError as error:
                form.add_error("username", error.message)
            except SluiceError as error:
                refuse(form, error)
            else:
                said = {"name": user, "role": role.value}
                messages.success(request, _("%(name)s is %(role)s here now.") % said)
                return redirect("tenants:member-list", request.tenant.slug)
    page = page_of(request, Membership.objects.select_related("user"))
    context = {
        "page": page,
        "form": form,
        "roles": [role.value for role in Role],
        "can_manage": request.actor.may(Action.MANAGE_TENANT),
        "tab": "members",
    }
    return render(request, "tenants/member_list.html", context, status=status_of(form))


def _check_new(tenant: Tenant, user: User) -> None:
    """Refuse a member: adding one again would change the role without saying so."""
    membership = Membership.objects.filter(tenant=tenant, user=user).first()
    if membership is not None:
        said = {"name": user, "role": membership.role}
        says = _("%(name)s is a member already, as %(role)s. Change the role in the list.") % said
        raise InvalidError(says, fields={"username": [says]})


@require_POST
@tenant_page(Action.MANAGE_TENANT)
def member_edit(request: TenantRequest, pk: int) -> HttpResponse:
    """Give a member another role."""
    membership = _membership(pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        raise NotVisibleError("There is no such role. Choose one of the list.")
    role = Role(form.cleaned_data["role"])
    try:
        add_member(request.tenant, membership.user, role, actor=request.actor)
    except SluiceError as error:
        messages.error(request, error.message)
    else:
        said = {"name": membership.user, "role": role.value}
        messages.success(request, _("%(name)s is %(role)s here now.") % said)
    return redirect("tenants:member-list", request.tenant.slug)


@require_POST
@tenant_page(Action.MANAGE_TENANT)
def member_remove(request: TenantRequest, pk: int) -> HttpResponse:
    """Take a member out, and revoke their tokens."""
    membership = _membership(pk)
    try:
        remove_member(membership, actor=request.actor)
    except SluiceError as error:
        messages.error(request, error.message)
    else:
        said = {"name": membership.user}
        messages.success(request, _("%(name)s is no longer a member.") % said)
    return redirect("tenants:member-list", request.tenant.slug)


@tenant_page(Action.VIEW)
def pause_edit(request: TenantRequest) -> HttpResponse:
    """Pause or suspend the tenant, or end that."""
    tenant = request.tenant
    is_paused = pausing.is_paused(tenant, timezone.now())
    form: PauseForm | ResumeForm = (
        ResumeForm(request.POST or None) if is_paused else PauseForm(request.POST or None)
    )
    if request.method == "POST":
        require(request.actor, Action.MANAGE_GUARDRAILS)
        if form.is_valid():
            try:
                _pause_or_resume(request, form, is_paused=is_paused)
            except SluiceError as error:
                refuse(form, error)
            else:
                return redirect("tenants:pause-edit", tenant.slug)
    context = {
        "form": form,
        "is_paused": is_paused,
        "is_suspended": pausing.is_suspended(tenant, timezone.now()),
        "can_manage": request.actor.may(Action.MANAGE_GUARDRAILS),
        "tab": "pause",
    }
    return render(request, "tenants/pause_edit.html", context, status=status_of(form))


def _pause_or_resume(
    request: TenantRequest, form: PauseForm | ResumeForm, *, is_paused: bool
) -> None:
    said = {"actor": request.actor, "reason": form.cleaned_data["reason"]}
    if is_paused:
        pausing.resume(request.tenant, **said)
        messages.success(request, _("The pause has ended. The proxies get what was approved."))
        return
    is_suspended = bool(form.cleaned_data["is_suspended"])
    until = form.cleaned_data["until"]
    pausing.pause(request.tenant, **said, until=until, suspends=is_suspended)
    if is_suspended:
        messages.success(request, _("Suspended. The proxies stop serving the tenant."))
    else:
        messages.success(request, _("Paused. The proxies keep what they have."))


def _membership(pk: int) -> Membership:
    membership = Membership.objects.filter(pk=pk).select_related("user", "tenant").first()
    if membership is None:
        raise NotVisibleError("There is no such member in this tenant. See the list of members.")
    return membership
