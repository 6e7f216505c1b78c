"""The egress proxy's admin API: JSON over HTTP on a unix socket that only its own user can open.

GET /tenants lists; GET, PUT and DELETE /tenants/<slug> read, replace and remove one entry.
"""

import asyncio
import json
import re
from typing import Final

from proxyconfig.domain.fields import JsonValue
from proxyconfig.targets.local.egress_http import Head, answer, body_framing, parse_request
from proxyconfig.targets.local.egress_proxy import EgressProxy
from tenants.errors import InvalidError

_SECONDS: Final = 10.0
_BODY_LIMIT_BYTES: Final = 8 * 1024 * 1024
_TENANT: Final = re.compile(r"/tenants/([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)")


async def admin_client(
    proxy: EgressProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer one request and close."""
    try:
        async with asyncio.timeout(_SECONDS):
            writer.write(await _answer(proxy, reader))
            await writer.drain()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        pass  # The asker is gone or asleep; reconciling asks again.
    finally:
        writer.close()


async def _answer(proxy: EgressProxy, reader: asyncio.StreamReader) -> bytes:
    try:
        head = parse_request(await reader.readuntil(b"\r\n\r\n"))
        size = body_framing(head)
        if size == "chunked" or size > _BODY_LIMIT_BYTES:
            return answer(413, {"error": f"send Content-Length, at most {_BODY_LIMIT_BYTES} bytes"})
        raw = await reader.readexactly(size)
        body: JsonValue = json.loads(raw) if raw else None
    except (ValueError, asyncio.LimitOverrunError) as error:
        return answer(400, {"error": str(error)})
    return _dispatch(proxy, head, body)


def _dispatch(proxy: EgressProxy, head: Head, body: JsonValue) -> bytes:
    method, path, _ = head.first
    if path == "/tenants" and method == "GET":
        return answer(200, {"tenants": _overview(proxy)})
    match = _TENANT.fullmatch(path)
    if match is None:
        return answer(404, {"error": f"there is nothing at {path}"})
    tenant = match[1]
    match method:
        case "GET":
            policy = proxy.policies.get(tenant)
            if policy is None:
                return answer(404, {"error": f"tenant {tenant} is not known"})
            return answer(200, policy.body)
        case "PUT":
            try:
                return answer(201 if proxy.put(tenant, body) else 200, {})
            except InvalidError as error:
                return answer(400, {"error": error.message})
        case "DELETE":
            known = proxy.remove(tenant)
            return answer(200 if known else 404, {} if known else {"error": "not known"})
        case _:
            return answer(405, {"error": f"{method} is not understood here"})


def _overview(proxy: EgressProxy) -> dict[str, JsonValue]:
    return {
        tenant: {"rules": len(policy.rules), "open_tunnels": proxy.open_tunnels(tenant)}
        for tenant, policy in sorted(proxy.policies.items())
    }
