"""Addresses of the ground's pages."""

from django.urls import path

from tenants.ui import views

app_name = "tenants"

urlpatterns = [
    path("t/<slug:tenant>/networks/", views.tenant_detail, name="tenant-detail"),
    path("t/<slug:tenant>/operations/", views.operation_list, name="operation-list"),
    path("t/<slug:tenant>/operations/<int:pk>/", views.operation_detail, name="operation-detail"),
    path(
        "t/<slug:tenant>/operations/<int:pk>/cancel/",
        views.operation_cancel,
        name="operation-cancel",
    ),
    path("t/<slug:tenant>/tokens/", views.token_list, name="token-list"),
    path("t/<slug:tenant>/tokens/<int:pk>/revoke/", views.token_revoke, name="token-revoke"),
    path("t/<slug:tenant>/audit/", views.audit_list, name="audit-list"),
]
