"""The ground's REST resources, below ``/api/v1/``.

The list of tenants is mounted by ``proxyconfig``, which makes them from templates too.
"""

from typing import Any

from django.urls import path

from tenants.api.records import AuditViewSet, OperationViewSet
from tenants.api.tenants import (
    ClusterViewSet,
    MemberViewSet,
    PauseViewSet,
    TenantDetailViewSet,
    TokenViewSet,
)

app_name = "tenants-api"

# Any: the values' type is private to DRF's stubs.
_LIST: dict[str, Any] = {"get": "list"}
_COLLECTION: dict[str, Any] = {"get": "list", "post": "create"}
_ROW: dict[str, Any] = {"get": "retrieve", "delete": "destroy"}
_TENANT = "tenants/<str:tenant>"

urlpatterns = [
    path("clusters", ClusterViewSet.as_view(_LIST), name="cluster-list"),
    path(_TENANT, TenantDetailViewSet.as_view({"get": "retrieve"}), name="tenant-detail"),
    path(
        f"{_TENANT}/pause",
        PauseViewSet.as_view({"get": "retrieve", "put": "update"}),
        name="pause-detail",
    ),
    path(f"{_TENANT}/resume", PauseViewSet.as_view({"post": "resume"}), name="pause-resume"),
    path(f"{_TENANT}/members", MemberViewSet.as_view(_COLLECTION), name="member-list"),
    path(f"{_TENANT}/members/<int:pk>", MemberViewSet.as_view(_ROW), name="member-detail"),
    path(f"{_TENANT}/tokens", TokenViewSet.as_view(_COLLECTION), name="token-list"),
    path(f"{_TENANT}/tokens/<int:pk>", TokenViewSet.as_view(_ROW), name="token-detail"),
    path(f"{_TENANT}/operations", OperationViewSet.as_view(_LIST), name="operation-list"),
    path(
        f"{_TENANT}/operations/<int:pk>",
        OperationViewSet.as_view({"get": "retrieve"}),
        name="operation-detail",
    ),
    path(
        f"{_TENANT}/operations/<int:pk>/cancel",
        OperationViewSet.as_view({"post": "cancel"}),
        name="operation-cancel",
    ),
    path(f"{_TENANT}/audit", AuditViewSet.as_view(_LIST), name="audit-list"),
]
