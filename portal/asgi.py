"""The two doors of the web tier.

``application`` listens on TCP for people and machines. ``ingress`` listens on a unix socket that
only the cluster proxy can open: there alone the proxy's word on tenant, rule and trace is believed.
"""

import os
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

_django = get_asgi_application()

# The proxy's headers; from any other client they are lies.
_PROXY_HEADERS = frozenset({b"x-sluice-tenant", b"x-sluice-rule", b"x-sluice-trace"})


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The portal and the REST API; drops the headers that only the proxy may set."""
    if scope["type"] == "http":
        headers = [pair for pair in scope["headers"] if pair[0].lower() not in _PROXY_HEADERS]
        scope = {**scope, "headers": headers}
    await _django(scope, receive, send)


async def ingress(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The tenants' service behind their virtual addresses."""
    if scope["type"] == "http":
        # Which names a tenant's address answers to is the policy's word, kept by the proxy.
        host = (b"host", settings.INGRESS_HOST.encode())
        headers = [host, *(pair for pair in scope["headers"] if pair[0].lower() != b"host")]
        scope = {**scope, "headers": headers}
    await _django({**scope, "sluice.door": "ingress"}, receive, send)
