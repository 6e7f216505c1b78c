"""Plans with their decisions, revisions with their way back, placements and the ledger."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from proxyconfig.api.serializers import (
    ConnectionSerializer,
    DecisionSerializer,
    PlacementSerializer,
    PlanDetailSerializer,
    PlanSerializer,
    ReasonSerializer,
    RevisionDetailSerializer,
    RevisionSerializer,
)
from proxyconfig.models import Connection, Placement, Plan, Revision
from proxyconfig.services import decisions, plans
from tenants.api import filters
from tenants.api.pagination import NewestFirst
from tenants.api.views import TenantViewSet
from tenants.domain.roles import Action
from tenants.domain.states import ChangeState, Direction, Health, SyncState, Verdict


def planned(plan: Plan, tenant: str) -> Response:
    """202 with the plan: the proxy follows once it is approved."""
    location = reverse("proxyconfig-api:plan-detail", args=[tenant, plan.pk])
    return Response(PlanSerializer(plan).data, status=202, headers={"Location": location})


class PlanViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet[Plan]):
    """Every change of the tenant's intent, and who allowed it."""

    write_action = Action.APPROVE_PLAN
    # The service lets a plan's author cancel it too.
    rights = {"cancel": Action.VIEW, "rebase": Action.EDIT_POLICY}
    filters = {
        "author_name": filters.text("author_name"),
        "state": filters.choice("state", [state.value for state in ChangeState]),
    }

    def get_serializer_class(self) -> type[BaseSerializer[Plan]]:
        """The list leaves the intents out."""
        return PlanDetailSerializer if self.action == "retrieve" else PlanSerializer

    def rows(self) -> QuerySet[Plan]:
        """The tenant's plans."""
        rows = Plan.objects.select_related("tenant")
        return rows if self.action == "retrieve" else rows.defer("base", "intent")

    @extend_schema(request=DecisionSerializer, responses={202: PlanSerializer})
    def approve(self, request: Request, tenant: str, pk: int) -> Response:
        """Make a waiting plan current; not for its author."""
        body = self.read_body(DecisionSerializer)
        plan = decisions.approve(
            self.get_object(),
            actor=self.actor,
            comment=body["comment"],
            grant=body["grant"],
            read=body["intent_hash"],
        )
        return planned(plan, tenant)

    @extend_schema(request=DecisionSerializer, responses={202: PlanSerializer})
    def refuse(self, request: Request, tenant: str, pk: int) -> Response:
        """Turn a waiting plan down; what was held for it is free again."""
        return self._decide(decisions.refuse)

    @extend_schema(request=DecisionSerializer, responses={202: PlanSerializer})
    def cancel(self, request: Request, tenant: str, pk: int) -> Response:
        """Withdraw a waiting plan; what was held for it is free again."""
        return self._decide(decisions.cancel)

    @extend_schema(request=ReasonSerializer, responses={202: PlanSerializer})
    def rebase(self, request: Request, tenant: str, pk: int) -> Response:
        """Plan again: your own proposal against what is in force now."""
        reason = self.read_body(ReasonSerializer)["reason"]
        return planned(plans.rebase(self.get_object(), actor=self.actor, reason=reason), tenant)

    def _decide(self, decide: Callable[..., Plan]) -> Response:
        comment = self.read_body(DecisionSerializer)["comment"]
        plan = decide(self.get_object(), actor=self.actor, comment=comment)
        return planned(plan, self.tenant.slug)


class RevisionViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet[Revision]):
    """The tenant's history; the newest revision is current."""

    write_action = Action.EDIT_POLICY
    lookup_field = "generation"

    def get_serializer_class(self) -> type[BaseSerializer[Revision]]:
        """The list leaves the intents out."""
        return RevisionDetailSerializer if self.action == "retrieve" else RevisionSerializer

    def rows(self) -> QuerySet[Revision]:
        """The tenant's revisions."""
        rows = Revision.objects.select_related("tenant")
        return rows.defer("intent") if self.action == "list" else rows

    @extend_schema(request=ReasonSerializer, responses={202: PlanSerializer})
    def rollback(self, request: Request, tenant: str, generation: int) -> Response:
        """Propose this revision's intent again, through the same gates as any change."""
        body = self.read_body(ReasonSerializer)
        plan = plans.rollback(
            self.get_object(), actor=self.actor, reason=body["reason"], grant=body["grant"]
        )
        return planned(plan, tenant)


class PlacementViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet[Placement]):
    """The tenant on its clusters: what each proxy holds, and whether that is what it should."""

    serializer_class = PlacementSerializer
    lookup_field = "cluster__name"
    lookup_url_kwarg = "cluster"
    filters = {
        "health": filters.choice("health", [health.value for health in Health]),
        "sync_state": filters.choice("sync_state", [state.value for state in SyncState]),
    }

    def rows(self) -> QuerySet[Placement]:
        """The tenant's placements."""
        return Placement.objects.select_related("cluster")


class NewestOpenedFirst(NewestFirst):
    """By the time at which the connection was opened."""

    # A pair, so that connections of one instant keep an order between pages.
    ordering: Any = ("-opened_at", "-id")


class ConnectionViewSet(ListModelMixin, TenantViewSet[Connection]):
    """The ledger of connections in and out."""

    serializer_class = ConnectionSerializer
    pagination_class = NewestOpenedFirst
    filters = {
        "destination_host": filters.text("destination_host"),
        "direction": filters.choice("direction", [direction.value for direction in Direction]),
        "opened_at__gte": filters.moment("opened_at__gte"),
        "opened_at__lt": filters.moment("opened_at__lt"),
        "rule_id": filters.text("rule_id"),
        "trace_id": filters.text("trace_id", "32 lower-case hex digits."),
        "verdict": filters.choice("verdict", [verdict.value for verdict in Verdict]),
    }

    def rows(self) -> QuerySet[Connection]:
        """The tenant's connections."""
        return Connection.objects.all()
