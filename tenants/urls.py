"""Addresses of the ground's pages."""

from django.urls import path

from tenants.ui import people_views, settings_views, space_views, views

app_name = "tenants"

_SPACE = "platform/address-space/"
_SETTINGS = "t/<slug:tenant>/settings/"

urlpatterns = [
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
    path(_SETTINGS, settings_views.member_list, name="member-list"),
    path(f"{_SETTINGS}members/<int:pk>/", settings_views.member_edit, name="member-edit"),
    path(
        f"{_SETTINGS}members/<int:pk>/remove/", settings_views.member_remove, name="member-remove"
    ),
    path(f"{_SETTINGS}pause/", settings_views.pause_edit, name="pause-edit"),
    path(_SPACE, space_views.space_list, name="space-list"),
    path(f"{_SPACE}vrfs/", space_views.vrf_list, name="space-vrfs"),
    path(f"{_SPACE}clusters/", space_views.cluster_list, name="space-clusters"),
    path(f"{_SPACE}grants/", space_views.grant_list, name="space-grants"),
    path(f"{_SPACE}reserved/", space_views.reserved_list, name="space-reserved"),
    path(f"{_SPACE}<slug:kind>/new/", space_views.space_create, name="space-create"),
    path(f"{_SPACE}<slug:kind>/<int:pk>/", space_views.space_detail, name="space-detail"),
    path(f"{_SPACE}<slug:kind>/<int:pk>/edit/", space_views.space_edit, name="space-edit"),
    path(f"{_SPACE}<slug:kind>/<int:pk>/delete/", space_views.space_delete, name="space-delete"),
    path("platform/people/", people_views.person_list, name="person-list"),
    path("platform/people/new/", people_views.person_create, name="person-create"),
    path("platform/people/<int:pk>/", people_views.person_edit, name="person-edit"),
]
