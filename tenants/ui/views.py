"""One function for each page of the ground: read rows in the tenant's scope, or call a service."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from tenants.access import TenantRequest, require, tenant_page
from tenants.domain.roles import Action, Role
from tenants.errors import NotVisibleError, SluiceError
from tenants.models import ApiToken, AuditEntry, Operation
from tenants.services import operations, tokens
from tenants.ui.forms import AuditFilter, TokenForm, refuse, status_of
from tenants.ui.live import renew_page
from tenants.ui.paging import newest_of, page_of


@tenant_page(Action.VIEW)
def operation_list(request: TenantRequest) -> HttpResponse:
    """Running and past work."""
    context = {"page": newest_of(request, Operation.objects.all())}
    return render(request, "tenants/operation_list.html", context)


@tenant_page(Action.VIEW)
def operation_detail(request: TenantRequest, pk: int) -> HttpResponse:
    """One operation; its live part alone where htmx asks."""
    operation = _operation(request, pk)
    context = {
        "operation": operation,
        "live_url": operation.get_absolute_url(),
        "can_cancel": operations.may_cancel(operation, request.actor),
    }
    if not request.htmx:
        return render(request, "tenants/operation_detail.html", context)
    if operation.has_ended:
        # The page around the live part shows the outcome: documents, counts, the corpus's state.
        return renew_page(request)
    return render(request, "tenants/_operation.html", context)


@require_POST
@tenant_page(Action.VIEW)
def operation_cancel(request: TenantRequest, pk: int) -> HttpResponse:
    """Ask for the cancel; the service knows whose right it is."""
    operation = operations.request_cancel(_operation(request, pk), actor=request.actor)
    messages.info(request, gettext("The cancel was asked for. What is done stays done."))
    return redirect(operation)


@tenant_page(Action.VIEW)
def token_list(request: TenantRequest) -> HttpResponse:
    """The tenant's API tokens; who may manage it makes one here, and sees its key this once."""
    form = TokenForm(request.POST or None, actor=request.actor)
    key = ""
    if request.method == "POST":
        require(request.actor, Action.MANAGE_TENANT)
        key = _new_key(request, form) if form.is_valid() else ""
    page = page_of(request, ApiToken.objects.select_related("user"))
    for token in page:
        token.state = _token_state(token)  # type: ignore[attr-defined]  # for the page alone
        token.can_revoke = tokens.may_revoke(token, request.actor)  # type: ignore[attr-defined]  # as above
    context = {
        "form": TokenForm(actor=request.actor) if key else form,
        "new_key": key,
        "page": page,
        "can_create": request.actor.may(Action.MANAGE_TENANT),
        "api_url": f"{settings.PORTAL_URL}/api/v1/tenants/{request.tenant.slug}",
    }
    return render(request, "tenants/token_list.html", context, status=status_of(form))


@require_POST
@tenant_page(Action.VIEW)
def token_revoke(request: TenantRequest, pk: int) -> HttpResponse:
    """Revoke a token; the service knows whose it may be."""
    token = ApiToken.objects.filter(pk=pk).first()
    if token is None:
        raise NotVisibleError("There is no such token in this tenant. See the list of tokens.")
    tokens.revoke_token(token, actor=request.actor)
    messages.success(request, gettext("The token %(name)s is revoked.") % {"name": token.name})
    return redirect("tenants:token-list", request.tenant.slug)


@tenant_page(Action.VIEW)
def audit_list(request: TenantRequest) -> HttpResponse:
    """The audit log, newest first, each entry with its seal."""
    form = AuditFilter(request.GET)
    entries = AuditEntry.objects.filter(form.condition()).select_related("seal")
    context = {"page": newest_of(request, entries), "form": form}
    return render(request, "tenants/audit_list.html", context)


def _operation(request: TenantRequest, pk: int) -> Operation:
    operation = Operation.objects.filter(pk=pk).select_related("tenant").first()
    if operation is None:
        raise NotVisibleError(
            f"There is no operation {pk} in tenant {request.tenant}. See the list of operations."
        )
    return operation


def _new_key(request: TenantRequest, form: TokenForm) -> str:
    """The key of the token that the form asks for; "" when the service refuses."""
    try:
        _, key = tokens.create_token(
            request.tenant,
            name=form.cleaned_data["name"],
            role=Role(form.cleaned_data["role"]),
            expires_at=form.expires_at,
            actor=request.actor,
        )
    except SluiceError as error:
        refuse(form, error)
        return ""
    return key


def _token_state(token: ApiToken) -> str:
    if token.revoked_at is not None:
        return "Revoked"
    is_over = token.expires_at is not None and token.expires_at <= timezone.now()
    return "Expired" if is_over else "Active"
