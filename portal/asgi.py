"""The two doors of the web tier.

``application`` listens on TCP for people and machines. ``ingress`` listens on a unix socket that
only the cluster proxy can open: there alone the proxy's word on tenant, rule and trace is believed.
"""

import json
import os
import re
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

_django = get_asgi_application()

# The proxy's headers; from any other client they are lies.
_PROXY_HEADERS = frozenset({b"x-sluice-tenant", b"x-sluice-rule", b"x-sluice-trace"})
# Django puts a body on disk before any view can ask who sends it, and has no bound of its own.
MOST_BODY_BYTES = 8 * 1024 * 1024
# Where files are handed over: a form of the corpus's page, and the REST API.
_UPLOADS = re.compile(r"/(?:t|api/v1/tenants)/[\w-]+/corpora/[\w-]+/uploads/?")


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The portal and the REST API; drops the headers that only the proxy may set."""
    if scope["type"] == "http":
        headers = [pair for pair in scope["headers"] if pair[0].lower() not in _PROXY_HEADERS]
        scope = {**scope, "headers": headers}
    await _bounded(scope, receive, send)


async def ingress(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The tenants' service behind their virtual addresses."""
    if scope["type"] == "http":
        # Which names a tenant's address answers to is the policy's word, kept by the proxy.
        host = (b"host", settings.INGRESS_HOST.encode())
        headers = [host, *(pair for pair in scope["headers"] if pair[0].lower() != b"host")]
        scope = {**scope, "headers": headers}
    await _bounded({**scope, "sluice.door": "ingress"}, receive, send)


async def _bounded(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Hand on to Django; a body beyond the bound is cut off, and answered with 413."""
    size, most = 0, _most_bytes(scope)

    async def counted() -> dict[str, Any]:
        nonlocal size
        message: dict[str, Any] = await receive()
        size += len(message.get("body", b""))
        # Django is still reading and has answered nothing; of a client that left it asks no more.
        return {"type": "http.disconnect"} if size > most else message

    await _django(scope, counted, send)
    if size > most:
        await _refuse(send, most)


def _most_bytes(scope: dict[str, Any]) -> int:
    is_upload = _UPLOADS.fullmatch(str(scope.get("path", ""))) is not None
    return settings.UPLOAD_REQUEST_BYTES if is_upload else MOST_BODY_BYTES


async def _refuse(send: Any, most: int) -> None:
    detail = f"A request has at most {most} bytes. Send less at a time."
    title = "request-too-large"
    body = {"type": f"/docs/errors#{title}", "title": title, "status": 413, "detail": detail}
    headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
