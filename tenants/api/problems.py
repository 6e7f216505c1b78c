"""Every error of the REST API in one shape: RFC 9457, ``application/problem+json``."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from tenants.errors import ConflictError, InvalidError, QuotaError, SluiceError, TransientError

logger = logging.getLogger(__name__)

# Our words for the framework's own errors: stable, whatever it calls them.
_CODES: dict[type[exceptions.APIException], str] = {
    exceptions.AuthenticationFailed: "authentication-failed",
    exceptions.MethodNotAllowed: "method-not-allowed",
    exceptions.NotAcceptable: "not-acceptable",
    exceptions.NotAuthenticated: "not-authenticated",
    exceptions.NotFound: "not-found",
    exceptions.ParseError: "parse-error",
    exceptions.PermissionDenied: "permission-denied",
    exceptions.UnsupportedMediaType: "unsupported-media-type",
}
_SIGN_IN = "Sign in, or send an API token: Authorization: Bearer slc_..."


def problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: a problem document, or None for a defect of ours."""
    trace_id = getattr(context["request"], "trace_id", "")
    if isinstance(error, SluiceError):
        if error.status >= 500:
            logger.error(error.message, exc_info=error, extra={"trace_id": trace_id})
        return _problem(
            error.status,
            error.code,
            error.message,
            trace_id=trace_id,
            extra=_extra(error),
            headers=headers_of(error),
        )
    if isinstance(error, Http404):
        return _problem(404, "not-visible", "There is no such thing here.", trace_id=trace_id)
    response = exception_handler(error, context)
    if response is None or not isinstance(error, exceptions.APIException):
        return None
    if isinstance(error, exceptions.ValidationError):
        extra = {"errors": _field_errors(error.detail)}
        detail = "The request has fields that cannot be taken; see errors."
        return _problem(400, "invalid", detail, trace_id=trace_id, extra=extra)
    if isinstance(error, exceptions.NotAuthenticated):
        error.detail = exceptions.ErrorDetail(_SIGN_IN, code=error.default_code)
    code = _CODES.get(type(error), "error")
    headers = {
        name: response[name] for name in ("WWW-Authenticate", "Retry-After") if name in response
    }
    return _problem(
        response.status_code, code, str(error.detail), trace_id=trace_id, headers=headers
    )


def _extra(error: SluiceError) -> dict[str, object]:
    extra: dict[str, object] = {"data": error.data} if error.data else {}
    if isinstance(error, InvalidError) or (isinstance(error, ConflictError) and error.fields):
        extra["errors"] = [
            found for name, said in error.fields.items() for found in _named_errors(name, said)
        ]
    return extra


def _named_errors(name: str, complaints: list[str]) -> list[dict[str, str]]:
    """A service names a field, or points into one."""
    pointer = name if name.startswith("/") else _below("", name)
    return _field_errors(complaints, pointer)


def headers_of(error: SluiceError) -> dict[str, str]:
    """When to come back; for a spent rate also the fields of the IETF's draft on rate limits."""
    if isinstance(error, QuotaError):
        return _quota_headers(error)
    if isinstance(error, TransientError):
        return {"Retry-After": str(max(1, round(error.retry_after_seconds)))}
    return {}


def _quota_headers(error: QuotaError) -> dict[str, str]:
    if error.retry_after_seconds is None:
        return {}
    seconds = max(1, math.ceil(error.retry_after_seconds))
    name, limit = error.data.get("resource"), error.data.get("limit")
    window = error.data.get("window_seconds")
    return {
        "Retry-After": str(seconds),
        "RateLimit-Policy": f'"{name}";q={limit}' + (f";w={window}" if window else ""),
        "RateLimit": f'"{name}";r={error.data.get("remaining")};t={seconds}',
    }


def _field_errors(detail: Any, pointer: str = "") -> list[dict[str, str]]:  # Any: DRF nests freely.
    if isinstance(detail, dict):
        return [
            error
            for name, inner in detail.items()
            for error in _field_errors(inner, _below(pointer, name))
        ]
    if isinstance(detail, list):
        return [
            error
            for index, inner in enumerate(detail)
            for error in _field_errors(
                inner, f"{pointer}/{index}" if isinstance(inner, (dict, list)) else pointer
            )
        ]
    code = str(getattr(detail, "code", "invalid")).replace("_", "-")
    return [{"pointer": pointer, "code": code, "message": str(detail)}]


def _below(pointer: str, name: object) -> str:
    """The pointer of a part (RFC 6901); complaints about no single field stay at the whole."""
    if name in {"", api_settings.NON_FIELD_ERRORS_KEY}:
        return pointer
    return f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"


def _problem(
    status: int,
    code: str,
    detail: str,
    *,
    trace_id: str,
    extra: Mapping[str, object] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    body = {
        "type": f"/docs/errors#{code}",
        "title": code,
        "status": status,
        "detail": detail,
        "request_id": trace_id,
        **(extra or {}),
    }
    return Response(body, status=status, headers=headers, content_type="application/problem+json")
