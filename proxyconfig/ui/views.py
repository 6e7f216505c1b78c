"""Pages of policies, plans, sync and connections; deciding on a plan goes through the services."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from proxyconfig.domain import rights
from proxyconfig.domain.objects import COLLECTIONS
from proxyconfig.models import Connection, Placement, Plan, Revision
from proxyconfig.services import change_sets, decisions, plans, revisions
from proxyconfig.services.outlook import outlook as looked_ahead
from proxyconfig.services.rows import build_intent
from proxyconfig.ui import networks, pages, progress, words
from proxyconfig.ui.editing import Change, review
from proxyconfig.ui.forms import ConnectionFilter, DecisionForm, PlanFilter, ReplanForm
from proxyconfig.ui.policies import egress_rows, ingress_rows
from tenants.access import TenantRequest, tenant_page
from tenants.domain.roles import Action
from tenants.domain.states import ChangeState
from tenants.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotVisibleError,
    QuotaError,
    TransientError,
)
from tenants.ui.forms import refuse, status_of
from tenants.ui.live import renew_page
from tenants.ui.paging import newest_of

_LISTS = ("listeners", "address-lists", "port-lists", "tls-references")
_NETWORKS = tuple(entry.name for entry in COLLECTIONS if entry.is_network)
_POLICIES = tuple(entry.name for entry in COLLECTIONS if not entry.is_network)
# What a person reads beside what they typed, which stays.
_REFUSALS = (InvalidError, ConflictError, ForbiddenError, QuotaError, TransientError)


@tenant_page(Action.VIEW)
def policy_list(request: TenantRequest) -> HttpResponse:
    """What may come in and what may go out: what is in force, and apart from it what waits."""
    tenant = request.tenant
    intent = build_intent(tenant)
    view = networks.View(tenant, intent, change_sets.pending(tenant))
    context = {
        "ingress": ingress_rows(view, intent),
        "egress": egress_rows(view),
        **{name.replace("-", "_"): view.rows(name) for name in _LISTS},
        "waiting": view.waiting(*_POLICIES),
        "new_urls": {name.replace("-", "_"): pages.new_of(tenant, name) for name in _POLICIES},
        "placements": Placement.objects.select_related("cluster"),
        "can_edit": request.actor.may(Action.EDIT_POLICY),
        "pause": networks.pause_of(tenant),
        "sync_url": reverse("proxyconfig:sync-detail", args=[tenant.slug]),
    }
    return render(request, "proxyconfig/policy_list.html", context)


@tenant_page(Action.VIEW)
def plan_list(request: TenantRequest) -> HttpResponse:
    """Every change of the tenant's intent."""
    form = PlanFilter(request.GET)
    rows = Plan.objects.filter(form.condition()).select_related("revision")
    page = newest_of(request, rows.defer("base", "intent", "entries", "revision__intent"))
    for plan in page:
        plan.title = words.plan_title(plan)  # type: ignore[attr-defined]  # for the page alone
    context = {"page": page, "form": form, "pause": networks.pause_of(request.tenant)}
    return render(request, "proxyconfig/plan_list.html", context)


@tenant_page(Action.VIEW)
def plan_detail(request: TenantRequest, pk: int) -> HttpResponse:
    """One plan; the live part alone where htmx asks."""
    return _plan_page(request, _plan(pk))


@require_POST
@tenant_page(Action.APPROVE_PLAN)
def plan_decide(request: TenantRequest, pk: int) -> HttpResponse:
    """Approve or refuse; the service knows who may, and whether it is still to be decided."""
    plan = _plan(pk)
    form = DecisionForm(request.POST, can_grant=request.actor.may(Action.GRANT_PRIVATE))
    if not form.is_valid():
        return _plan_page(request, plan, form=form)
    comment = form.cleaned_data["comment"]
    try:
        if request.POST.get("decision") == "approve":
            grant = bool(form.cleaned_data.get("grant"))
            # What the person looked at: the author may have added to the change set since.
            read = request.POST.get("read", "")
            decisions.approve(plan, actor=request.actor, comment=comment, grant=grant, read=read)
        else:
            decisions.refuse(plan, actor=request.actor, comment=comment)
    except _REFUSALS as error:
        refuse(form, error)
        return _plan_page(request, plan, form=form)
    return redirect("proxyconfig:plan-detail", request.tenant.slug, pk)


@require_POST
@tenant_page(Action.VIEW)
def plan_cancel(request: TenantRequest, pk: int) -> HttpResponse:
    """Withdraw a waiting plan."""
    decisions.cancel(_plan(pk), actor=request.actor)
    messages.info(request, gettext("The plan is withdrawn. What it held is free again."))
    return redirect("proxyconfig:plan-detail", request.tenant.slug, pk)


@require_POST
@tenant_page(Action.EDIT_POLICY)
def plan_again(request: TenantRequest, pk: int) -> HttpResponse:
    """The same proposal against what is in force now, as a new plan."""
    plan = _plan(pk)
    form = ReplanForm(request.POST)
    if not form.is_valid():
        return _plan_page(request, plan, replan_form=form)
    try:
        again = plans.rebase(plan, actor=request.actor, reason=form.cleaned_data["reason"])
    except _REFUSALS as error:
        refuse(form, error)
        return _plan_page(request, plan, replan_form=form)
    return redirect("proxyconfig:plan-detail", request.tenant.slug, again.pk)


@tenant_page(Action.EDIT_POLICY)
def plan_rollback(request: TenantRequest, pk: int) -> HttpResponse:
    """The plan of going back to an older plan's revision, and the wish for it."""
    revision = _revision(pk)

    def propose(**said: Any) -> Plan:  # Any: what a review asked for.
        return plans.rollback(revision, **said)

    change = Change(
        title=gettext("Roll back to revision %(number)s") % {"number": revision.generation},
        back_url=reverse("proxyconfig:plan-detail", args=[request.tenant.slug, pk]),
        back_label=gettext("Plan #%(number)s") % {"number": pk},
        edit=plans.rollback_edit(revision),
        propose=propose,
    )
    return review(request, change)


@tenant_page(Action.VIEW)
def sync_detail(request: TenantRequest) -> HttpResponse:
    """Does each proxy hold what it should? The live part alone where htmx asks."""
    context = {
        "placements": progress.placements(request.tenant.generation),
        "generation": request.tenant.generation,
        "live_url": request.path,
    }
    template = "proxyconfig/_sync.html" if request.htmx else "proxyconfig/sync_detail.html"
    return render(request, template, context)


@tenant_page(Action.VIEW)
def connection_list(request: TenantRequest) -> HttpResponse:
    """What went in and out."""
    form = ConnectionFilter(request.GET)
    page = newest_of(request, Connection.objects.filter(form.condition()))
    context = {"page": page, "form": form}
    return render(request, "proxyconfig/connection_list.html", context)


def _plan_page(
    request: TenantRequest,
    plan: Plan,
    *,
    form: DecisionForm | None = None,
    replan_form: ReplanForm | None = None,
) -> HttpResponse:
    revision = Revision.objects.filter(plan=plan).first()
    outlook = looked_ahead(plan, actor=request.actor) if plan.awaits_decision else None
    is_stale = outlook is not None and outlook.is_stale
    context: dict[str, Any] = {  # Any: as Django's own contexts.
        **_what(plan, plan if outlook is None else outlook.shown),
        **_rights(request, plan, revision, is_stale=is_stale),
        "outlook": outlook,
        "can_plan_again": _can_plan_again(request, plan, is_stale or replan_form is not None),
        "revision": revision,
        "generation": request.tenant.generation,
        "decision_form": form
        or DecisionForm(
            can_grant=request.actor.may(Action.GRANT_PRIVATE) and change_sets.needs_grant(plan)
        ),
        "replan_form": replan_form or ReplanForm(),
        "pause": networks.pause_of(request.tenant),
        "network_collections": _NETWORKS,
        "live_url": plan.get_absolute_url(),
    }
    is_newest = revision is not None and revision.generation == request.tenant.generation
    # What the proxies say now is about the newest revision, and says nothing of an older plan.
    if revision is not None and is_newest:
        context["outcome"] = progress.outcome(plan, revision)
    if not request.htmx or not is_newest:
        status = status_of(context["decision_form"], context["replan_form"])
        return render(request, "proxyconfig/plan_detail.html", context, status=status)
    if plan.state not in {ChangeState.APPROVED, ChangeState.APPLYING}:
        return renew_page(request)  # The plan's own state stands outside the live part.
    return render(request, "proxyconfig/_plan_progress.html", context)


def _can_plan_again(request: TenantRequest, plan: Plan, is_stale: bool) -> bool:
    """Its author may, once something else became current or it does not fit any more."""
    if not plan.awaits_decision or plan.is_expired:
        return False
    if not change_sets.has_written(plan, actor=request.actor):
        return False
    return is_stale or plan.base_generation < request.tenant.generation


def _what(plan: Plan, shown: Plan) -> dict[str, Any]:  # Any: as above.
    """What the plan does, in words: ``shown`` is the plan as it would be made now."""
    return {
        "plan": plan,
        "shown": shown,
        "title": words.plan_title(plan),
        "approval_title": words.approval_title(plan),
        "counts": words.counts(shown),
        "changes": words.change_lines(shown.changes),
        "clusters": words.proxy_entries(shown.entries),
    }


def _rights(
    request: TenantRequest, plan: Plan, revision: Revision | None, *, is_stale: bool
) -> dict[str, bool]:
    """What the actor may do about the plan; nothing else is offered."""
    actor = request.actor
    waits = plan.awaits_decision and not plan.is_expired
    is_author = change_sets.has_written(plan, actor=actor)
    has_written = waits and is_author
    may_approve = actor.may(Action.APPROVE_PLAN)
    needs_grant = waits and change_sets.needs_grant(plan)
    may_grant = actor.may(Action.GRANT_PRIVATE)
    can_decide = waits and may_approve and not has_written
    is_old = revision is not None and revision.generation < request.tenant.generation
    return {
        "has_written": has_written,
        "needs_granter": needs_grant and not may_grant,
        "can_decide": can_decide,
        "can_approve": can_decide and not is_stale and (may_grant or not needs_grant),
        "can_cancel": plan.awaits_decision and (is_author or may_approve),
        "edits_change_set": has_written,
        "can_roll_back": revision is not None and is_old and _may_roll_back(request, revision),
    }


def _may_roll_back(request: TenantRequest, revision: Revision) -> bool:
    """True with the rights of all parts of the way back; a grant is asked for by itself."""
    try:
        back = revisions.intent_of(revision)
    except InvalidError:  # The review says why it cannot be read.
        return request.actor.may(Action.EDIT_POLICY)
    wanted = rights.required_actions(build_intent(request.tenant), back) - {Action.GRANT_PRIVATE}
    return all(request.actor.may(action) for action in wanted | {Action.EDIT_POLICY})


def _plan(pk: int) -> Plan:
    plan = Plan.objects.select_related("tenant").filter(pk=pk).first()
    if plan is None:
        raise NotVisibleError(f"There is no plan {pk} in this tenant. See the list of plans.")
    return plan


def _revision(plan_pk: int) -> Revision:
    revision = Revision.objects.select_related("tenant").filter(plan_id=plan_pk).first()
    if revision is None:
        raise NotVisibleError(
            f"Plan {plan_pk} never became a revision here, so there is nothing to go back to."
        )
    return revision
