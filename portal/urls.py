"""Mounts each app's pages and API."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import URLPattern, URLResolver, include, path, re_path

from portal import health, views
from portal.api import ApiDocsView, ApiReferenceView, NoSuchApiView, SchemaView, errors

_PAGES = [
    path("", views.overview, name="overview"),
    path("platform/tenants/", views.tenant_list, name="tenant-list"),
    path("theme/", views.theme, name="theme"),
    path("t/<slug:tenant>/", views.tenant_overview, name="tenant-overview"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include((_PAGES, "portal"))),
    path("", include("tenants.urls")),
    path("", include("proxyconfig.urls")),
    path("", include("ragapp.urls")),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("docs/errors", errors, name="error-reference"),
    path("api/schema/", SchemaView.as_view(), name="api-schema"),
    path("api/docs/", ApiDocsView.as_view(), name="api-docs"),
    path("api/redoc/", ApiReferenceView.as_view(), name="api-reference"),
    path("api/v1/", include("tenants.api.urls")),
    path("api/v1/", include("proxyconfig.api.urls")),
    path("api/v1/", include("ragapp.api.urls")),
    re_path(r"^api/", NoSuchApiView.as_view(), name="api-nothing"),
]

handler400 = "portal.problems.bad_request"
handler403 = "portal.views.forbidden"
handler404 = "portal.problems.not_found"
handler500 = "portal.problems.server_error"
