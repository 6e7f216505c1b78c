"""The way of every change: form, plan, reason, apply. One page each, and nothing saved before.

A form that was understood leads to the plan that its edit would make. Its fields travel on, hidden,
beside the required reason and the versions that were reviewed: an Apply whose review was of another
version leads back to the form, which shows what moved and keeps what was typed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from proxyconfig.domain.edits import Edit, ObjectEdit
from proxyconfig.domain.objects import Key, key_of
from proxyconfig.models import Plan
from proxyconfig.services import change_sets, plans
from proxyconfig.ui import networks, words
from proxyconfig.ui.forms import ReviewForm, with_value
from proxyconfig.ui.object_forms import ObjectForm, action_of
from proxyconfig.ui.refusals import refuse_object
from tenants.access import TenantRequest, require
from tenants.domain.roles import Action
from tenants.errors import ConflictError, InvalidError, QuotaError, SluiceError, TransientError
from tenants.ui.forms import refuse, status_of

MOVED = "changed-meanwhile"
ASK = "ask"
# The buttons that end a review: Apply, and the one that asks for approval in any case.
_ENDS = frozenset({"apply", ASK})
_KEPT = ("reason", "into")
Propose = Callable[..., Plan]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be done, and how its pages are called.

    Attributes:
        back_url, back_label: the list that it came from.
        into: the actor's own change set that the page is about; None for what is in force.
        grant: a platform administrator grants the private networks that it reaches.
        propose: does it, with reason, seen, grant and waits; None for ``plans.propose`` with the
            edit.
    """

    title: str
    back_url: str
    back_label: str
    edit: Edit
    is_delete: bool = False
    into: Plan | None = None
    grant: bool = False
    propose: Propose | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """Somebody changed the object since the form was opened.

    Attributes:
        message: in one sentence.
        fields: where it differs from what was typed.
    """

    message: str
    fields: Sequence[object]


def edit_object(
    request: TenantRequest, form: ObjectForm, change: Callable[[], Change], page: dict[str, Any]
) -> HttpResponse:
    """The form, then the review of its plan, then the change itself.

    Args:
        form: bound when the request posts.
        change: what a valid form wants.
        page: context of the form's page.
    """
    action = action_of(form.collection)
    context = {
        **page,
        "form": form,
        "can_edit": request.actor.may(action),
        "kept": _kept(request),
    }
    if request.method != "POST":
        return _form_page(request, context)
    require(request.actor, action)
    if form.is_valid() and request.POST.get("step") != "edit":
        if form.cleaned_data["version"] != form.shown_version:
            return _form_page(request, {**context, "moved": _moved(form)})
        try:
            return review(request, change(), form=form)
        except ConflictError as error:
            if error.code == MOVED:
                return _form_page(request, {**context, "moved": Moved(error.message, ())})
            refuse_object(form, error)
        except SluiceError as error:
            refuse_object(form, error)
    return _form_page(request, context)


def review(
    request: TenantRequest, change: Change, *, form: ObjectForm | None = None
) -> HttpResponse:
    """The plan of ``change`` with its reason to fill in; with the reason, the change.

    Raises:
        SluiceError: with a form, whatever the change raises other than over its reason.
    """
    asked = _asked(request, change, form)
    joined = asked.change_set or change.into
    notice = ""
    try:
        if asked.is_bound and asked.is_valid():
            if joined in (change.into, asked.shown):
                plan, notice = _apply(request, change, asked, has_form=form is not None)
                if plan is not None:
                    return redirect("proxyconfig:plan-detail", request.tenant.slug, plan.pk)
            else:
                notice = _("Review the whole change set, then ask for approval.")
        preview = plans.preview(
            request.tenant,
            change.edit,
            actor=request.actor,
            into=joined,
            grant=change.grant,
        )
    except (InvalidError, ConflictError) as error:
        if form is not None:
            raise
        kept = request.POST.get("reason", "")
        return _review_page(request, change, {"refusal": error.message, "reason": kept})
    return _review_page(
        request,
        change,
        {
            "form": form,
            "asked": asked,
            "notice": notice,
            **_shown(request, change, preview, asked, joined),
        },
    )


def _asked(request: TenantRequest, change: Change, form: ObjectForm | None) -> ReviewForm:
    """What a review asks for, with what was typed of it before the form was edited again."""
    return ReviewForm(
        request.POST if request.POST.get("step") in _ENDS else None,
        change_sets=_joinable(request, change, form),
        initial={"into": change.into.pk if change.into else "", **_kept(request)},
    )


def _joinable(request: TenantRequest, change: Change, form: ObjectForm | None) -> list[Plan]:
    """The author's change sets that the edit may join.

    One that changes the same object already is edited from its own page: this edit was made from
    what is in force, and would drop what the change set says of the object.
    """
    edited = {change.edit.key} if isinstance(change.edit, ObjectEdit) else set()
    if form is not None and form.existing is not None:
        edited.add(key_of(form.existing))
    return [
        plan
        for plan in change_sets.open_change_sets(request.tenant, request.actor)
        if plan == change.into
        or not any(Key(line["collection"], line["name"]) in edited for line in plan.changes)
    ]


def _kept(request: TenantRequest) -> dict[str, str]:
    """What was typed at a review, which a way back to the form and forth again does not lose."""
    return {name: request.POST[name] for name in _KEPT if name in request.POST}


def _apply(
    request: TenantRequest, change: Change, asked: ReviewForm, *, has_form: bool
) -> tuple[Plan | None, str]:
    """The plan that was made; None with a notice, or with an error on the review's form."""
    said = {
        "actor": request.actor,
        "reason": asked.cleaned_data["reason"],
        "seen": asked.cleaned_data["seen"] or None,
        "grant": change.grant,
        "waits": request.POST.get("step") == ASK,
    }
    try:
        if change.propose is not None:
            return change.propose(**said), ""
        into = asked.change_set or change.into
        return plans.propose(request.tenant, change.edit, into=into, **said), ""
    except InvalidError as error:
        if has_form and "reason" not in error.fields:
            raise
        refuse(asked, error)
    except ConflictError as error:
        if has_form:
            raise
        if error.code == MOVED:
            return None, error.message
        refuse(asked, error)
    except (QuotaError, TransientError) as error:
        refuse(asked, error)
    return None, ""


def _shown(
    request: TenantRequest,
    change: Change,
    preview: plans.Preview,
    asked: ReviewForm,
    joined: Plan | None,
) -> dict[str, Any]:
    """What a review says of its plan; ``seen`` is of this very plan.

    An edit that joins a change set is shown by itself, then with the rest of the change set.
    """
    plan = preview.plan
    asked.show(preview.seen, joined)
    may_grant = request.actor.may(Action.GRANT_PRIVATE)
    return {
        "plan": plan,
        "shown": plan,
        "title": change.title if change.propose else words.plan_title(plan),
        # An edit that takes back all of a change set ends that, which is something to apply.
        "changes_nothing": not plan.changes and change.into is None,
        "counts": words.counts(plan),
        "changes": words.change_lines(plan.changes),
        "joined": joined,
        "own_changes": words.change_lines(preview.own_changes),
        "approval_title": words.approval_title(plan),
        "clusters": words.proxy_entries(plan.entries),
        "needs_granter": change_sets.needs_grant(plan) and not may_grant,
        "shows_change_sets": bool(asked.change_sets)
        and (bool(plan.findings) or asked.change_set is not None),
    }


def _review_page(request: TenantRequest, change: Change, context: dict[str, Any]) -> HttpResponse:
    status = status_of(context["asked"]) if "asked" in context else 200
    if "refusal" in context and request.method == "POST":
        status = 409
    shown = {"change": change, "pause": networks.pause_of(request.tenant), **context}
    return render(request, "proxyconfig/plan_review.html", shown, status=status)


def _form_page(request: TenantRequest, context: dict[str, Any]) -> HttpResponse:
    status = 409 if "moved" in context else status_of(context["form"])
    shown = {"pause": networks.pause_of(request.tenant), **context}
    return render(request, "proxyconfig/object_form.html", shown, status=status)


def _moved(form: ObjectForm) -> Moved:
    """What moved; the form then carries the version that it was compared with."""
    fields = form.differences()
    form.data = with_value(form.data, "version", form.shown_version)
    return Moved("", fields)
