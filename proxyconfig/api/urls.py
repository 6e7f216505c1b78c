"""Policies, plans and the ledger as REST resources, below ``/api/v1/``."""

from typing import Any

from django.urls import path

from proxyconfig.api.changes import (
    ConnectionViewSet,
    PlacementViewSet,
    PlanViewSet,
    RevisionViewSet,
)
from proxyconfig.api.policies import EgressPolicyViewSet, IngressPolicyViewSet

app_name = "proxyconfig-api"

# Any: the values' type is private to DRF's stubs.
_LIST: dict[str, Any] = {"get": "list"}
_READ: dict[str, Any] = {"get": "retrieve"}
_COLLECTION: dict[str, Any] = {"get": "list", "post": "create"}
_ROW: dict[str, Any] = {"get": "retrieve", "put": "update", "delete": "destroy"}
_TENANT = "tenants/<str:tenant>"
_INGRESS = f"{_TENANT}/ingress-policies"
_EGRESS = f"{_TENANT}/egress-policies"
_PLANS = f"{_TENANT}/plans"
_REVISIONS = f"{_TENANT}/revisions"

urlpatterns = [
    path(_INGRESS, IngressPolicyViewSet.as_view(_COLLECTION), name="ingress-policy-list"),
    path(
        f"{_INGRESS}/<str:name>", IngressPolicyViewSet.as_view(_ROW), name="ingress-policy-detail"
    ),
    path(_EGRESS, EgressPolicyViewSet.as_view(_COLLECTION), name="egress-policy-list"),
    path(f"{_EGRESS}/<str:name>", EgressPolicyViewSet.as_view(_ROW), name="egress-policy-detail"),
    path(
        f"{_EGRESS}/<str:name>/rules/<int:order>/grant",
        EgressPolicyViewSet.as_view({"post": "grant"}),
        name="egress-rule-grant",
    ),
    path(_PLANS, PlanViewSet.as_view(_LIST), name="plan-list"),
    path(f"{_PLANS}/<int:pk>", PlanViewSet.as_view(_READ), name="plan-detail"),
    path(
        f"{_PLANS}/<int:pk>/approve",
        PlanViewSet.as_view({"post": "approve"}),
        name="plan-approve",
    ),
    path(f"{_PLANS}/<int:pk>/refuse", PlanViewSet.as_view({"post": "refuse"}), name="plan-refuse"),
    path(f"{_PLANS}/<int:pk>/cancel", PlanViewSet.as_view({"post": "cancel"}), name="plan-cancel"),
    path(_REVISIONS, RevisionViewSet.as_view(_LIST), name="revision-list"),
    path(f"{_REVISIONS}/<int:generation>", RevisionViewSet.as_view(_READ), name="revision-detail"),
    path(
        f"{_REVISIONS}/<int:generation>/rollback",
        RevisionViewSet.as_view({"post": "rollback"}),
        name="revision-rollback",
    ),
    path(f"{_TENANT}/placements", PlacementViewSet.as_view(_LIST), name="placement-list"),
    path(
        f"{_TENANT}/placements/<str:cluster>",
        PlacementViewSet.as_view(_READ),
        name="placement-detail",
    ),
    path(f"{_TENANT}/connections", ConnectionViewSet.as_view(_LIST), name="connection-list"),
]
