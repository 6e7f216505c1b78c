"""Pages of policies, plans, sync and connections; deciding on a plan goes through the services."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from proxyconfig.models import Connection, EgressPolicy, IngressPolicy, Placement, Plan, Revision
from proxyconfig.services import plans
from proxyconfig.ui import progress
from proxyconfig.ui.editing import Change, review
from proxyconfig.ui.forms import ConnectionFilter, DecisionForm, PlanFilter
from tenants.access import TenantRequest, tenant_page
from tenants.domain.roles import Action
from tenants.domain.states import ChangeState
from tenants.errors import InvalidError, NotVisibleError
from tenants.ui.forms import refuse
from tenants.ui.live import renew_page
from tenants.ui.paging import newest_of

# More than a page shows well; the REST API lists them all.
MOST_POLICIES = 200


@tenant_page(Action.VIEW)
def policy_list(request: TenantRequest) -> HttpResponse:
    """What may come in and what may go out, and whether the proxies hold it."""
    ingress = IngressPolicy.objects.select_related("listener__virtual_address", "namespace")
    context = {
        "ingress": ingress[:MOST_POLICIES],
        "egress": EgressPolicy.objects.prefetch_related("rules")[:MOST_POLICIES],
        "placements": Placement.objects.select_related("cluster"),
        "can_edit": request.actor.may(Action.EDIT_POLICY),
        "sync_url": reverse("proxyconfig:sync-detail", args=[request.tenant.slug]),
    }
    return render(request, "proxyconfig/policy_list.html", context)


@tenant_page(Action.VIEW)
def plan_list(request: TenantRequest) -> HttpResponse:
    """Every change of the tenant's intent."""
    form = PlanFilter(request.GET)
    rows = Plan.objects.filter(form.condition()).select_related("revision")
    rows = rows.defer("intent", "entries", "revision__intent")
    context = {"page": newest_of(request, rows), "form": form}
    return render(request, "proxyconfig/plan_list.html", context)


@tenant_page(Action.VIEW)
def plan_detail(request: TenantRequest, pk: int) -> HttpResponse:
    """One plan; the live part alone where htmx asks."""
    return _plan_page(request, _plan(pk), DecisionForm())


@require_POST
@tenant_page(Action.APPROVE_PLAN)
def plan_decide(request: TenantRequest, pk: int) -> HttpResponse:
    """Approve or refuse; the service knows who may, and whether it is still to be decided."""
    plan = _plan(pk)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _plan_page(request, plan, form)
    decide = plans.approve if request.POST.get("decision") == "approve" else plans.refuse
    try:
        decide(plan, actor=request.actor, comment=form.cleaned_data["comment"])
    except InvalidError as error:
        refuse(form, error)
        return _plan_page(request, plan, form)
    return redirect("proxyconfig:plan-detail", request.tenant.slug, pk)


@require_POST
@tenant_page(Action.EDIT_POLICY)
def plan_cancel(request: TenantRequest, pk: int) -> HttpResponse:
    """Withdraw a waiting plan."""
    plans.cancel(_plan(pk), actor=request.actor)
    messages.info(
        request, gettext("The plan is withdrawn. The policies say what they said before it.")
    )
    return redirect("proxyconfig:plan-detail", request.tenant.slug, pk)


@tenant_page(Action.EDIT_POLICY)
def plan_rollback(request: TenantRequest, pk: int) -> HttpResponse:
    """The plan of going back to an older plan's revision, and the wish for it."""

    def apply(reason: str) -> Plan:
        return plans.rollback(_revision(pk), actor=request.actor, reason=reason)

    title = gettext("Roll back to revision %(number)s") % {"number": _revision(pk).generation}
    back = reverse("proxyconfig:plan-detail", args=[request.tenant.slug, pk])
    return review(request, Change(title, back, apply))


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


def _plan_page(request: TenantRequest, plan: Plan, form: DecisionForm) -> HttpResponse:
    revision = Revision.objects.filter(plan=plan).first()
    actor = request.actor
    is_author = plan.author_id == request.user.pk
    has_written = plan.awaits_decision and plans.has_written(plan, actor=actor)
    is_old = revision is not None and revision.generation < request.tenant.generation
    context = {
        "plan": plan,
        "counts": progress.counts(plan.entries),
        "revision": revision,
        "generation": request.tenant.generation,
        "decision_form": form,
        "has_written": has_written,
        "can_decide": plan.awaits_decision and actor.may(Action.APPROVE_PLAN) and not has_written,
        "can_cancel": plan.awaits_decision and (is_author or actor.may(Action.APPROVE_PLAN)),
        "can_roll_back": is_old and actor.may(Action.EDIT_POLICY),
        "live_url": plan.get_absolute_url(),
    }
    if revision is not None:
        context["outcome"] = progress.outcome(plan, revision)
    if not request.htmx or revision is None:
        return render(request, "proxyconfig/plan_detail.html", context)
    if plan.state not in {ChangeState.APPROVED, ChangeState.APPLYING}:
        return renew_page(request)  # The plan's own state stands outside the live part.
    return render(request, "proxyconfig/_plan_progress.html", context)


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
