"""What answers at a tenant's own virtual address: its agent, also in OpenAI's shapes, and a sign
of life.

Only the cluster proxy reaches this door, over a unix socket, and it says which tenant's address it
was. Only that tenant's API tokens are taken; a browser's session means nothing here.
"""

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import path

from ragapp.api.openai import OpenAIViewSet, replying
from ragapp.api.renderers import EVENT_RENDERERS
from ragapp.api.runs import RunViewSet
from tenants.api.authentication import TokenAuthentication

_TOKENS = [TokenAuthentication]


def healthz(request: HttpRequest) -> JsonResponse:
    """The tenant whose address this is; needs no token, since the address is the tenant's own."""
    return JsonResponse({"tenant": getattr(request, "ingress_tenant", "")})


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Machines ask here, so each error is a problem document; the portal has the pages."""
    return _problem(request, 404, "not-visible", "There is no such thing at this address.")


def server_error(request: HttpRequest) -> JsonResponse:
    """Something broke; the log has the rest."""
    detail = "Something broke inside Sluice. Give the request_id to whoever runs it."
    return _problem(request, 500, "internal-server-error", detail)


def _problem(request: HttpRequest, status: int, code: str, detail: str) -> JsonResponse:
    body = {"type": f"/docs/errors#{code}", "title": code, "status": status, "detail": detail}
    trace_id = getattr(request, "trace_id", "")
    return JsonResponse(
        {**body, "request_id": trace_id}, status=status, content_type="application/problem+json"
    )


def _runs(handlers: dict[str, Any], **options: Any) -> Any:  # Any: DRF's stubs keep these private.
    return RunViewSet.as_view(handlers, authentication_classes=_TOKENS, **options)


def _openai(handlers: dict[str, Any], **options: Any) -> Any:  # Any: as above.
    return OpenAIViewSet.as_view(handlers, authentication_classes=_TOKENS, **options)


urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path(
        "v1/runs",
        _runs({"get": "list", "post": "create"}, renderer_classes=[*EVENT_RENDERERS[::-1]]),
        name="run-list",
    ),
    path("v1/runs/<str:trace_id>", _runs({"get": "retrieve"}), name="run-detail"),
    path(
        "v1/runs/<str:trace_id>/events",
        _runs({"get": "events"}, renderer_classes=EVENT_RENDERERS),
        name="run-events",
    ),
    path("v1/runs/<str:trace_id>/stop", _runs({"post": "stop"}), name="run-stop"),
    path("v1/models", _openai({"get": "models"}), name="openai-model-list"),
    path("v1/models/<path:model>", _openai({"get": "model"}), name="openai-model-detail"),
    path(
        "v1/chat/completions",
        replying(_openai({"post": "chat"}, renderer_classes=EVENT_RENDERERS[::-1])),
        name="openai-chat",
    ),
    path(
        "v1/embeddings",
        replying(_openai({"post": "embeddings"})),
        name="openai-embedding-list",
    ),
]

handler400 = handler404 = not_found
handler500 = server_error
