"""Ingress: one Caddy HTTP server per listener that has an enforced policy.

Facts checked against Caddy 2.11: ``set`` and ``delete`` in one headers handler delete what was set,
so stripping comes first in a handler of its own; ``host`` wildcards match one label only, so longer
ones go through a regular expression; ``{http.request.uuid}`` has dashes, which a replace takes out.
"""

import re
from collections.abc import Iterator
from typing import Final

from proxyconfig.domain.fields import JsonValue, Mode, Protocol
from proxyconfig.domain.intent import IngressPolicy, Intent, Listener
from proxyconfig.domain.resources import Resource
from tenants.domain.notation import as_network
from tenants.domain.states import Verdict

CADDY_SERVER: Final = "CaddyServer"
# Caddy closes upgraded (WebSocket) connections at every reload unless told to wait; a reload is
# what any other tenant's change is.
_STREAM_CLOSE_DELAY: Final = "24h"
_TRACE: Final = "{http.request.uuid}"


def server_name(tenant: str, listener: str) -> str:
    """Name of the Caddy server of a listener.

    The dot cannot occur in either part, so that no tenant's names begin with another's.
    """
    return f"sluice-{tenant}.{listener}"


def ingress_resources(intent: Intent, *, socket: str) -> Iterator[Resource]:
    """One server per open listener; ``intent`` is canonical."""
    for listener in intent.listeners:
        policies = [
            policy
            for policy in intent.ingress_policies
            if policy.listener == listener.name and policy.mode is Mode.ENFORCED
        ]
        if policies and listener.protocol is Protocol.HTTP and not listener.tls:
            name = server_name(intent.tenant, listener.name)
            yield Resource.of(CADDY_SERVER, name, _server(intent, listener, policies, socket))


def _server(
    intent: Intent, listener: Listener, policies: list[IngressPolicy], socket: str
) -> dict[str, JsonValue]:
    host = listener.virtual_address
    address = f"{f'[{host}]' if ':' in host else host}:{listener.port}"
    routes: list[JsonValue] = [
        _allow_route(intent, policy, address=address, socket=socket) for policy in policies
    ]
    routes.append(_deny_route(intent.tenant, address=address))
    return {
        "listen": [address],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "logs": {"default_logger_name": "sluice"},
        "read_header_timeout": "10s",
        "idle_timeout": "2m",
        "max_header_bytes": 32768,
        "routes": routes,
    }


def _allow_route(
    intent: Intent, policy: IngressPolicy, *, address: str, socket: str
) -> dict[str, JsonValue]:
    rule = f"{intent.tenant}/{policy.name}"
    stripped: JsonValue = {
        "handler": "headers",
        # The underscore form reaches some servers as the same header.
        "request": {"delete": ["X-Sluice*", "X_Sluice*"]},
    }
    marked: JsonValue = {
        "handler": "headers",
        "request": {
            "set": {
                "X-Sluice-Tenant": [intent.tenant],
                "X-Sluice-Rule": [rule],
                "X-Sluice-Trace": [_TRACE],
            },
            "replace": {"X-Sluice-Trace": [{"search": "-", "replace": ""}]},
        },
    }
    proxied: JsonValue = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"unix/{socket}"}],
        "transport": {"protocol": "http", "dial_timeout": "3s"},
        "flush_interval": -1,
        "stream_close_delay": _STREAM_CLOSE_DELAY,
    }
    return {
        "match": _matchers(intent, policy),
        "handle": [*_log(intent.tenant, rule, Verdict.ALLOWED, address), stripped, marked, proxied],
        "terminal": True,
    }


def _deny_route(tenant: str, *, address: str) -> dict[str, JsonValue]:
    rule = f"{tenant}/default-deny"
    message = f"No ingress policy of {tenant} lets this request in. NetOps can add one."
    # Braces are escaped, or Caddy takes the document for a placeholder.
    body = (
        f'\\{{"verdict":"{Verdict.DENIED}","rule":"{rule}","trace":"{_TRACE}",'
        f'"message":"{message}"\\}}\n'
    )
    refused: JsonValue = {
        "handler": "static_response",
        "status_code": 403,
        "headers": {"Content-Type": ["application/json"]},
        "body": body,
    }
    return {"handle": [*_log(tenant, rule, Verdict.DENIED, address), refused], "terminal": True}


def _log(tenant: str, rule: str, verdict: Verdict, address: str) -> list[JsonValue]:
    fields = {
        "tenant": tenant,
        "rule": rule,
        "verdict": verdict.value,
        "trace": _TRACE,
        "destination": address,
    }
    return [{"handler": "log_append", "key": key, "value": value} for key, value in fields.items()]


def _matchers(intent: Intent, policy: IngressPolicy) -> list[JsonValue]:
    """Caddy's match sets: any of them, each all of its parts."""
    shared: dict[str, JsonValue] = {}
    sources = _sources(intent, policy)
    if sources is not None:
        shared["remote_ip"] = {"ranges": [*sources]}
    if policy.path_prefix != "/":
        prefix = policy.path_prefix.rstrip("/")
        shared["path"] = [prefix, f"{prefix}/*"]
    exact = sorted(name for name in policy.hostnames if not name.startswith("*."))
    suffixes = sorted(name[1:] for name in policy.hostnames if name.startswith("*."))
    if not policy.hostnames:
        return [shared] if shared else []
    sets: list[JsonValue] = [{**shared, "host": [*exact]}] if exact else []
    sets.extend(
        {
            **shared,
            "vars_regexp": {"{http.request.host}": {"pattern": f"(?i)^.+{re.escape(suffix)}$"}},
        }
        for suffix in suffixes
    )
    return sets


def _sources(intent: Intent, policy: IngressPolicy) -> list[str] | None:
    """Allowed networks, sorted; None lets any client in, an empty list none."""
    if not policy.sources and not policy.source_lists:
        return None
    lists = {entry.name: entry.addresses for entry in intent.address_lists}
    texts = [*policy.sources]
    for name in policy.source_lists:
        texts.extend(lists.get(name, ()))
    return sorted({str(as_network(text)) for text in texts})
