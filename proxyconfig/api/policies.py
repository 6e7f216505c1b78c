"""Ingress and egress policies. Every write makes a plan, and answers with it."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from proxyconfig.api.serializers import (
    EgressPolicySerializer,
    EgressPolicyWriteSerializer,
    IngressPolicySerializer,
    IngressPolicyWriteSerializer,
    PlanSerializer,
    ReasonSerializer,
)
from proxyconfig.models import EgressPolicy, EgressRule, IngressPolicy, Plan
from proxyconfig.services import plans, policies
from tenants.api import filters
from tenants.api.views import Row, TenantViewSet
from tenants.domain.roles import Action
from tenants.errors import NotVisibleError

_DRY_RUN = OpenApiParameter(
    "dry_run", str, enum=["All"], description="All: answer with the plan and store nothing."
)
_REASON = OpenApiParameter("reason", str, description="Why.")
_ANSWERS = {
    200: OpenApiResponse(PlanSerializer, description="Dry run: the plan that would be made."),
    202: OpenApiResponse(PlanSerializer, description="The plan; Location is its address."),
}


def planned(plan: Plan, tenant: str) -> Response:
    """202 with the plan: rows have changed, and the proxy follows once the plan is approved."""
    location = reverse("proxyconfig-api:plan-detail", args=[tenant, plan.pk])
    return Response(PlanSerializer(plan).data, status=202, headers={"Location": location})


class PolicyViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet[Row]):
    """What both kinds of policy have in common."""

    write_action = Action.EDIT_POLICY
    lookup_field = "name"
    filters = {"is_enabled": filters.flag("is_enabled"), "name": filters.text("name")}
    query_names = {
        "list": ("limit", "cursor"),
        "create": ("dry_run",),
        "update": ("dry_run",),
        "destroy": ("dry_run", "reason"),
    }

    def answer(self, change: Callable[[str], Plan], *, reason: str) -> Response:
        """Make the change, or with ``?dry_run=All`` only its plan.

        Args:
            change: takes the reason.
        """
        asked = self.request.query_params.get("dry_run")
        if asked is None:
            return planned(change(reason), self.tenant.slug)
        if asked != "All":
            raise ValidationError({"dry_run": ["Write dry_run=All, or leave it out."]})
        plan = plans.preview(self.tenant, lambda: change(reason or "Dry run"))
        return Response(PlanSerializer(plan).data)


class IngressPolicyViewSet(PolicyViewSet[IngressPolicy]):
    """What may come in."""

    serializer_class = IngressPolicySerializer

    def rows(self) -> QuerySet[IngressPolicy]:
        """The tenant's ingress policies."""
        return IngressPolicy.objects.select_related("listener__virtual_address", "namespace")

    @extend_schema(request=IngressPolicyWriteSerializer, parameters=[_DRY_RUN], responses=_ANSWERS)
    def create(self, request: Request, tenant: str) -> Response:
        """Make an ingress policy."""
        return self._save(None)

    @extend_schema(request=IngressPolicyWriteSerializer, parameters=[_DRY_RUN], responses=_ANSWERS)
    def update(self, request: Request, tenant: str, name: str) -> Response:
        """Replace an ingress policy."""
        return self._save(self.get_object())

    @extend_schema(parameters=[_DRY_RUN, _REASON], responses=_ANSWERS)
    def destroy(self, request: Request, tenant: str, name: str) -> Response:
        """Delete an ingress policy; what it let in is refused once a worker has reconciled."""
        policy = self.get_object()
        return self.answer(
            lambda reason: policies.delete_ingress(policy, actor=self.actor, reason=reason),
            reason=request.query_params.get("reason", ""),
        )

    def _save(self, policy: IngressPolicy | None) -> Response:
        values = self.read_body(IngressPolicyWriteSerializer)
        draft = IngressPolicyWriteSerializer.draft(values)
        return self.answer(
            lambda reason: policies.save_ingress(
                self.tenant, draft, actor=self.actor, reason=reason, policy=policy
            ),
            reason=values["reason"],
        )


class EgressPolicyViewSet(PolicyViewSet[EgressPolicy]):
    """What may go out; whatever no rule names is denied."""

    serializer_class = EgressPolicySerializer
    # The service lets platform administrators only.
    rights = {"grant": Action.VIEW}

    def rows(self) -> QuerySet[EgressPolicy]:
        """The tenant's egress policies."""
        return EgressPolicy.objects.prefetch_related("rules")

    @extend_schema(request=EgressPolicyWriteSerializer, parameters=[_DRY_RUN], responses=_ANSWERS)
    def create(self, request: Request, tenant: str) -> Response:
        """Make an egress policy."""
        return self._save(None)

    @extend_schema(request=EgressPolicyWriteSerializer, parameters=[_DRY_RUN], responses=_ANSWERS)
    def update(self, request: Request, tenant: str, name: str) -> Response:
        """Replace an egress policy, its rules included."""
        return self._save(self.get_object())

    @extend_schema(parameters=[_DRY_RUN, _REASON], responses=_ANSWERS)
    def destroy(self, request: Request, tenant: str, name: str) -> Response:
        """Delete an egress policy; open tunnels that it alone allowed are cut."""
        policy = self.get_object()
        return self.answer(
            lambda reason: policies.delete_egress(policy, actor=self.actor, reason=reason),
            reason=request.query_params.get("reason", ""),
        )

    @extend_schema(request=ReasonSerializer, responses={202: PlanSerializer})
    def grant(self, request: Request, tenant: str, name: str, order: int) -> Response:
        """Let a rule reach the private network that it names; platform administrators only."""
        rule = self._rule(name, order)
        reason = self.read_body(ReasonSerializer)["reason"]
        return planned(policies.grant_rule(rule, actor=self.actor, reason=reason), tenant)

    def _rule(self, name: str, order: int) -> EgressRule:
        rules = EgressRule.objects.select_related("policy", "tenant")
        rule = rules.filter(policy__name=name, order=order).first()
        if rule is None:
            raise NotVisibleError(f"There is no rule {order} in an egress policy {name} here.")
        return rule

    def _save(self, policy: EgressPolicy | None) -> Response:
        values: dict[str, Any] = self.read_body(EgressPolicyWriteSerializer)  # Any: mixed fields.
        draft = EgressPolicyWriteSerializer.draft(values)
        return self.answer(
            lambda reason: policies.save_egress(
                self.tenant, draft, actor=self.actor, reason=reason, policy=policy
            ),
            reason=values["reason"],
        )
