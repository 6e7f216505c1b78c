"""Mounts each app's pages and API."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path

from portal import health
from portal.api import ApiDocsView, ApiReferenceView, NoSuchApiView, SchemaView

urlpatterns: list[URLPattern | URLResolver] = [
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("api/schema/", SchemaView.as_view(), name="api-schema"),
    path("api/docs/", ApiDocsView.as_view(), name="api-docs"),
    path("api/redoc/", ApiReferenceView.as_view(), name="api-reference"),
    path("api/v1/", include("tenants.api.urls")),
    re_path(r"^api/", NoSuchApiView.as_view(), name="api-nothing"),
]

handler400 = "portal.problems.bad_request"
handler404 = "portal.problems.not_found"
handler500 = "portal.problems.server_error"
