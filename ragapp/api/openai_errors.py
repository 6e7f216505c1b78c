"""Errors as the clients of OpenAI's API know them: ``{"error": {message, type, code, param}}``."""

from typing import Any

from rest_framework.response import Response

from tenants.api import problems
from tenants.errors import InvalidError, SluiceError

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    409: "invalid_request_error",
    429: "rate_limit_error",
}
_KEPT_HEADERS = ("Retry-After", "RateLimit", "RateLimit-Policy", "WWW-Authenticate")


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


def status_headers(error: SluiceError) -> dict[str, str]:
    """When to come back."""
    return problems.headers_of(error)


def problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: the portal's problem document in OpenAI's shape."""
    response = problems.problem(error, context)
    if response is None:
        return None
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
