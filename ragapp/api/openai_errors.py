"""Errors as the clients of OpenAI's API know them: ``{"error": {message, type, code, param}}``."""

import logging
from typing import Any

from rest_framework.response import Response

from tenants.api import problems
from tenants.errors import InvalidError, SluiceError

logger = logging.getLogger(__name__)

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    409: "invalid_request_error",
    429: "rate_limit_error",
}
_KEPT_HEADERS = ("Retry-After", "RateLimit", "RateLimit-Policy", "WWW-Authenticate")
_DEFECT = "Something broke inside Sluice. Give the request_id to whoever runs it."


def error_body(error: SluiceError, trace_id: str) -> dict[str, object]:
    """One error of ours; ``data`` has what a spent limit says about itself."""
    parameter = next(iter(error.fields), None) if isinstance(error, InvalidError) else None
    return _body(
        error.status,
        error.message,
        code=error.code,
        param=parameter or None,
        extra={"request_id": trace_id, **({"data": error.data} if error.data else {})},
    )


def defect_body(error: Exception, trace_id: str) -> dict[str, object]:
    """An error that nobody foresaw; what broke is in the log, never in the answer."""
    logger.error("A request failed: %s", error, exc_info=error, extra={"trace_id": trace_id})
    extra: dict[str, object] = {"request_id": trace_id}
    return _body(500, _DEFECT, code="internal-server-error", param=None, extra=extra)


def status_headers(error: SluiceError) -> dict[str, str]:
    """When to come back."""
    return problems.headers_of(error)


def problem(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler: the portal's problem document in OpenAI's shape, and defects too."""
    response = problems.problem(error, context)
    if response is None:
        return Response(defect_body(error, getattr(context["request"], "trace_id", "")), status=500)
    trace_id = str(response.data["request_id"])
    if isinstance(error, SluiceError):
        body = error_body(error, trace_id)
    else:
        found = response.data
        complaints = found.get("errors") or [{}]
        parameter = str(complaints[0].get("pointer", "")).strip("/") or None
        body = _body(
            response.status_code,
            str(complaints[0].get("message") or found["detail"]),
            code=str(found["title"]),
            param=parameter,
            extra={"request_id": trace_id},
        )
    headers = {name: response[name] for name in _KEPT_HEADERS if name in response}
    return Response(body, status=response.status_code, headers=headers)


def _body(
    status: int, message: str, *, code: str, param: str | None, extra: dict[str, object]
) -> dict[str, object]:
    kind = _TYPES.get(status, "server_error")
    return {"error": {"message": message, "type": kind, "code": code, "param": param, **extra}}
