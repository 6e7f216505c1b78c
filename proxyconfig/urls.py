"""Addresses of the front door's pages."""

from django.urls import path

from proxyconfig.ui import policy_views, views

app_name = "proxyconfig"

_POLICIES = "t/<slug:tenant>/policies/"
_PLANS = "t/<slug:tenant>/plans/"

urlpatterns = [
    path(_POLICIES, views.policy_list, name="policy-list"),
    path(f"{_POLICIES}ingress/new/", policy_views.ingress_create, name="ingress-create"),
    path(f"{_POLICIES}ingress/<slug:name>/", policy_views.ingress_edit, name="ingress-edit"),
    path(
        f"{_POLICIES}ingress/<slug:name>/delete/",
        policy_views.ingress_delete,
        name="ingress-delete",
    ),
    path(f"{_POLICIES}egress/new/", policy_views.egress_create, name="egress-create"),
    path(f"{_POLICIES}egress/<slug:name>/", policy_views.egress_edit, name="egress-edit"),
    path(
        f"{_POLICIES}egress/<slug:name>/delete/",
        policy_views.egress_delete,
        name="egress-delete",
    ),
    path(_PLANS, views.plan_list, name="plan-list"),
    path(f"{_PLANS}<int:pk>/", views.plan_detail, name="plan-detail"),
    path(f"{_PLANS}<int:pk>/decide/", views.plan_decide, name="plan-decide"),
    path(f"{_PLANS}<int:pk>/cancel/", views.plan_cancel, name="plan-cancel"),
    path(f"{_PLANS}<int:pk>/rollback/", views.plan_rollback, name="plan-rollback"),
    path("t/<slug:tenant>/sync/", views.sync_detail, name="sync-detail"),
    path("t/<slug:tenant>/connections/", views.connection_list, name="connection-list"),
]
