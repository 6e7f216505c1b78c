"""The way of every change: form, plan, reason, apply. One page each, and nothing saved before.

A form that was understood leads to the plan it would make, computed by the same service inside a
savepoint that is rolled back; the form's values travel on, hidden, beside the required reason.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from proxyconfig.models import Plan
from proxyconfig.services import plans
from proxyconfig.ui.forms import EgressForm, IngressForm, ReasonForm
from tenants.access import TenantRequest, require
from tenants.domain.roles import Action
from tenants.errors import InvalidError, SluiceError
from tenants.ui.forms import refuse

PolicyForm = IngressForm | EgressForm

# Stands in for the reason while the plan is only looked at.
_LOOKING = "preview"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done, and how its pages are called.

    Attributes:
        apply: does it, given the reason; reads its rows anew at each call.
        otherwise: the form's field for complaints about fields that the form has not.
    """

    title: str
    back_url: str
    apply: Callable[[str], Plan]
    is_delete: bool = False
    otherwise: str | None = None


def edit_policy(
    request: TenantRequest,
    form: PolicyForm,
    change: Change,
    *,
    template: str,
    policy: object,
) -> HttpResponse:
    """The form, then the review of its plan, then the change itself."""
    can_edit = request.actor.may(Action.EDIT_POLICY)
    context = {"form": form, "policy": policy, "can_edit": can_edit}
    if request.method != "POST":
        return render(request, template, context)
    require(request.actor, Action.EDIT_POLICY)
    if form.is_valid() and request.POST.get("step") != "edit":
        try:
            return review(request, change, form=form)
        except SluiceError as error:
            refuse(form, error, otherwise=change.otherwise)
    return render(request, template, context)


def review(
    request: TenantRequest, change: Change, *, form: PolicyForm | None = None
) -> HttpResponse:
    """The plan of ``change`` with its reason to fill in; with the reason, the change.

    Raises:
        SluiceError: whatever the change raises, other than over its reason.
    """
    is_applying = request.POST.get("step") == "apply"
    reason = ReasonForm(request.POST if is_applying else None)
    if is_applying and reason.is_valid():
        try:
            plan = change.apply(reason.cleaned_data["reason"])
        except InvalidError as error:
            if "reason" not in error.fields:
                raise
            refuse(reason, error)
        else:
            return redirect("proxyconfig:plan-detail", request.tenant.slug, plan.pk)
    plan = plans.preview(request.tenant, lambda: change.apply(_LOOKING))
    context = {
        "change": change,
        "plan": plan,
        "form": form,
        "reason_form": reason,
    }
    return render(request, "proxyconfig/policy_review.html", context)


def policies_url(request: TenantRequest) -> str:
    """Where a change that was thought better of leads back to."""
    return reverse("proxyconfig:policy-list", args=[request.tenant.slug])
