"""The objects of intents, plans and the ledger as REST resources, below ``/api/v1/``."""

from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, path

from proxyconfig.api.changes import (
    ConnectionViewSet,
    PlacementViewSet,
    PlanViewSet,
    RevisionViewSet,
)
from proxyconfig.api.objects import PendingViewSet, route_of, viewset_of
from proxyconfig.api.templates import NewTenantViewSet, TemplateViewSet
from proxyconfig.domain.objects import COLLECTIONS

app_name = "proxyconfig-api"

# Any: the values' type is private to DRF's stubs.
_LIST: dict[str, Any] = {"get": "list"}
_READ: dict[str, Any] = {"get": "retrieve"}
_COLLECTION: dict[str, Any] = {"get": "list", "post": "create"}
_ROW: dict[str, Any] = {
    "get": "retrieve",
    "put": "update",
    "patch": "partial_update",
    "delete": "destroy",
}
_TENANT = "tenants/<str:tenant>"
_PLANS = f"{_TENANT}/plans"
_REVISIONS = f"{_TENANT}/revisions"


def _objects() -> Iterator[URLPattern]:
    for entry in COLLECTIONS:
        view, stem = viewset_of(entry.name), route_of(entry.name)
        place = f"{_TENANT}/{entry.name}"
        yield path(place, view.as_view(_COLLECTION), name=f"{stem}-list")
        yield path(f"{place}/<str:name>", view.as_view(_ROW), name=f"{stem}-detail")


urlpatterns = [
    path("tenants", NewTenantViewSet.as_view(_COLLECTION), name="tenant-list"),
    path("templates", TemplateViewSet.as_view(_COLLECTION), name="template-list"),
    path(
        "templates/<str:name>",
        TemplateViewSet.as_view({**_READ, "put": "update", "delete": "destroy"}),
        name="template-detail",
    ),
    *_objects(),
    path(f"{_TENANT}/pending", PendingViewSet.as_view(_LIST), name="pending-list"),
    path(_PLANS, PlanViewSet.as_view(_LIST), name="plan-list"),
    path(f"{_PLANS}/<int:pk>", PlanViewSet.as_view(_READ), name="plan-detail"),
    path(
        f"{_PLANS}/<int:pk>/approve",
        PlanViewSet.as_view({"post": "approve"}),
        name="plan-approve",
    ),
    path(f"{_PLANS}/<int:pk>/refuse", PlanViewSet.as_view({"post": "refuse"}), name="plan-refuse"),
    path(f"{_PLANS}/<int:pk>/cancel", PlanViewSet.as_view({"post": "cancel"}), name="plan-cancel"),
    path(f"{_PLANS}/<int:pk>/rebase", PlanViewSet.as_view({"post": "rebase"}), name="plan-rebase"),
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
