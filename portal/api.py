"""The REST API's description, its two viewers, and the answer for paths that mean nothing."""

from pathlib import Path
from typing import Any

from csp.decorators import csp_update
from django.conf import settings
from django.http import FileResponse, HttpRequest
from django.urls import Resolver404, resolve
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import (
    SpectacularAPIView,
    SpectacularRedocView,
    SpectacularSwaggerSplitView,
)
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from tenants.errors import NotVisibleError

# Both viewers write style elements and attributes; Redoc searches in a worker made of a blob.
# Scripts stay the portal's own files.
_VIEWER_STYLES = {"style-src": "'unsafe-inline'"}
_REDOC = {**_VIEWER_STYLES, "worker-src": "blob:"}


@require_safe
def errors(request: HttpRequest) -> FileResponse:
    """What each error code means: the page that the ``type`` of a problem points to."""
    page = Path(settings.BASE_DIR, "docs", "reference", "errors.md")
    return FileResponse(page.open("rb"), content_type="text/plain; charset=utf-8")


class SchemaView(SpectacularAPIView):
    """OpenAPI 3.1."""


@method_decorator(csp_update(_VIEWER_STYLES), name="dispatch")
class ApiDocsView(SpectacularSwaggerSplitView):
    """Swagger UI, to try the API out; its start script is a request of its own."""

    url_name = "api-schema"


@method_decorator(csp_update(_REDOC), name="dispatch")
class ApiReferenceView(SpectacularRedocView):
    """Redoc, to read; the template leaves out the fonts that the stock one asks strangers for."""

    url_name = "api-schema"
    template_name = "portal/api_reference.html"


@extend_schema(exclude=True)
class NoSuchApiView(APIView):
    """Answers every other path below ``/api/``, so that clients get a problem and not a page."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse whatever the method is.

        Raises:
            NotVisibleError: always.
        """
        path = request.path
        hint = (
            f"Write it as {path.rstrip('/')}." if _exists(path.rstrip("/")) else "See /api/docs/."
        )
        raise NotVisibleError(f"There is nothing at {path}. {hint}", code="no-such-path")


def _exists(path: str) -> bool:
    try:
        return resolve(path).url_name != "api-nothing"
    except Resolver404:
        return False
