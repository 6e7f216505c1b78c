"""Errors outside any view of ours, as problems for the API's clients and as pages for people."""

import json
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse

from portal import views

_DETAIL_BY_STATUS = {
    400: "The request cannot be taken: its host name or its form is not what this portal expects.",
    404: "There is no such thing here.",
    500: "Something broke inside Sluice. Nothing of the request was stored. Give the request_id to"
    " whoever runs it; the log has the rest.",
}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler of 400."""
    return _problem(request, 400) or views.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler of 404."""
    return _problem(request, 404) or views.not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler of 500; what broke is in the log, never in the answer."""
    return _problem(request, 500) or views.server_error(request)


def _problem(request: HttpRequest, status: int) -> HttpResponse | None:
    if not request.path.startswith("/api/"):
        return None
    code = HTTPStatus(status).phrase.lower().replace(" ", "-")
    body = {
        "type": f"/docs/errors#{code}",
        "title": code,
        "status": status,
        "detail": _DETAIL_BY_STATUS[status],
        "request_id": getattr(request, "trace_id", ""),
    }
    return HttpResponse(json.dumps(body), status=status, content_type="application/problem+json")
