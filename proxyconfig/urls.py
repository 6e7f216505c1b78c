"""Addresses of the front door's pages."""

from django.urls import path

from proxyconfig.ui import cluster_views, network_views, object_views, platform_views, views

app_name = "proxyconfig"

_NETWORKS = "t/<slug:tenant>/networks/"
_POLICIES = "t/<slug:tenant>/policies/"
_PLANS = "t/<slug:tenant>/plans/"
_INGRESS = {"collection": "ingress-policies"}
_EGRESS = {"collection": "egress-policies"}

urlpatterns = [
    path("platform/clusters/<slug:name>/", cluster_views.cluster_detail, name="cluster-detail"),
    path("platform/clusters/<slug:name>/check/", cluster_views.cluster_check, name="cluster-check"),
    path(_NETWORKS, network_views.network_list, name="network-list"),
    # No collection is called ``new``, and an object may be: its page has the collection first.
    path(f"{_NETWORKS}new/<slug:collection>/", object_views.network_create, name="network-create"),
    path(
        f"{_NETWORKS}<slug:collection>/<str:name>/",
        object_views.network_edit,
        name="network-object",
    ),
    path(
        f"{_NETWORKS}<slug:collection>/<str:name>/delete/",
        object_views.network_delete,
        name="network-delete",
    ),
    path(_POLICIES, views.policy_list, name="policy-list"),
    path(f"{_POLICIES}new/ingress/", object_views.policy_create, _INGRESS, name="ingress-create"),
    path(
        f"{_POLICIES}ingress/<slug:name>/", object_views.policy_edit, _INGRESS, name="ingress-edit"
    ),
    path(
        f"{_POLICIES}ingress/<slug:name>/delete/",
        object_views.policy_delete,
        _INGRESS,
        name="ingress-delete",
    ),
    path(f"{_POLICIES}new/egress/", object_views.policy_create, _EGRESS, name="egress-create"),
    path(f"{_POLICIES}egress/<slug:name>/", object_views.policy_edit, _EGRESS, name="egress-edit"),
    path(
        f"{_POLICIES}egress/<slug:name>/delete/",
        object_views.policy_delete,
        _EGRESS,
        name="egress-delete",
    ),
    path(f"{_POLICIES}new/<slug:collection>/", object_views.policy_create, name="policy-create"),
    path(
        f"{_POLICIES}<slug:collection>/<str:name>/", object_views.policy_edit, name="policy-object"
    ),
    path(
        f"{_POLICIES}<slug:collection>/<str:name>/delete/",
        object_views.policy_delete,
        name="policy-delete",
    ),
    path(_PLANS, views.plan_list, name="plan-list"),
    path(f"{_PLANS}<int:pk>/", views.plan_detail, name="plan-detail"),
    path(f"{_PLANS}<int:pk>/decide/", views.plan_decide, name="plan-decide"),
    path(f"{_PLANS}<int:pk>/cancel/", views.plan_cancel, name="plan-cancel"),
    path(f"{_PLANS}<int:pk>/again/", views.plan_again, name="plan-again"),
    path(f"{_PLANS}<int:pk>/rollback/", views.plan_rollback, name="plan-rollback"),
    path(
        "t/<slug:tenant>/settings/guardrails/",
        platform_views.guardrails_edit,
        name="guardrails-edit",
    ),
    path("platform/templates/", platform_views.template_list, name="template-list"),
    path("platform/templates/new/", platform_views.template_create, name="template-create"),
    path(
        "platform/templates/<slug:name>/edit/", platform_views.template_edit, name="template-edit"
    ),
    path(
        "platform/templates/<slug:name>/delete/",
        platform_views.template_delete,
        name="template-delete",
    ),
    path("platform/tenants/new/", platform_views.tenant_create, name="tenant-create"),
    path("t/<slug:tenant>/sync/", views.sync_detail, name="sync-detail"),
    path("t/<slug:tenant>/connections/", views.connection_list, name="connection-list"),
]
