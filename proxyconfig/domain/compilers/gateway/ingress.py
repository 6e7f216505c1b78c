"""Ingress: a Gateway per virtual address, a route per policy, a ReferenceGrant per borrowed object.

Everything that the API server would fill in is written out: defaults inside atomic lists
(``group``, ``kind``, ``weight``, the match) would otherwise differ from what we sent.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from proxyconfig.domain.compilers.gateway.environment import GATEWAY_GROUP
from proxyconfig.domain.compilers.gateway.matching import is_matchable, prefix_of
from proxyconfig.domain.compilers.gateway.objects import Writer, gateway_namespace, object_name
from proxyconfig.domain.fields import JsonValue, Mode, Protocol
from proxyconfig.domain.intent import IngressPolicy, Intent, Listener, TlsReference
from proxyconfig.domain.resources import Resource

MOST_LISTENERS: Final = 64


class _Spoken(NamedTuple):
    """A listener's protocol and the kind of its routes, as Gateway API calls them."""

    protocol: str
    route: str


_SPOKEN: Final = {
    (Protocol.HTTP, False): _Spoken("HTTP", "HTTPRoute"),
    (Protocol.HTTP, True): _Spoken("HTTPS", "HTTPRoute"),
    (Protocol.TCP, False): _Spoken("TCP", "TCPRoute"),
    # TLS that ends at the proxy carries plain TCP on; a TLSRoute would need a server name.
    (Protocol.TCP, True): _Spoken("TLS", "TCPRoute"),
    (Protocol.UDP, False): _Spoken("UDP", "UDPRoute"),
}


class _Open(NamedTuple):
    """A listener that something lets clients through."""

    listener: Listener
    spoken: _Spoken
    tls: TlsReference | None
    policies: list[IngressPolicy]


def open_policies(intent: Intent) -> list[IngressPolicy]:
    """The ingress policies that open their listener here.

    One with an allow-list does not: without the list it would let in anybody.
    """
    return [
        policy
        for policy in intent.ingress_policies
        if policy.mode is Mode.ENFORCED
        and not (policy.sources or policy.source_lists)
        and is_matchable(policy)
    ]


def ingress_resources(intent: Intent, writer: Writer) -> Iterator[Resource]:
    """Gateways, routes and grants; ``intent`` is canonical and has a namespace."""
    home = gateway_namespace(intent, writer.environment)
    opened = list(_opened(intent))
    for address in sorted({entry.listener.virtual_address for entry in opened}):
        here = [entry for entry in opened if entry.listener.virtual_address == address]
        yield writer.write(
            "Gateway", object_name(address), _gateway(here, address, writer), namespace=home
        )
    for entry in opened:
        for policy in entry.policies:
            yield writer.write(
                entry.spoken.route, object_name(policy.name), _route(entry, policy), namespace=home
            )
    yield from _grants(opened, home, writer)


def _opened(intent: Intent) -> Iterator[_Open]:
    addresses = {entry.address for entry in intent.virtual_addresses if not entry.vrf}
    references = {reference.name: reference for reference in intent.tls_references}
    policies = open_policies(intent)
    for listener in intent.listeners:
        through = [policy for policy in policies if policy.listener == listener.name]
        spoken = _SPOKEN.get((listener.protocol, listener.tls is not None))
        tls = references.get(listener.tls or "")
        has_certificate = (tls is None) == (listener.tls is None)
        if through and spoken and has_certificate and listener.virtual_address in addresses:
            yield _Open(listener, spoken, tls, through)


def _gateway(here: list[_Open], address: str, writer: Writer) -> dict[str, JsonValue]:
    return {
        "gatewayClassName": writer.environment.gateway_class,
        "addresses": [{"type": "IPAddress", "value": address}],
        "listeners": [_listener(entry) for entry in here],
    }


def _listener(entry: _Open) -> dict[str, JsonValue]:
    listener: dict[str, JsonValue] = {
        "name": entry.listener.name,
        "port": entry.listener.port,
        "protocol": entry.spoken.protocol,
        "allowedRoutes": {
            "kinds": [{"group": GATEWAY_GROUP, "kind": entry.spoken.route}],
            "namespaces": {"from": "Same"},
        },
    }
    if entry.tls is not None:
        certificate: JsonValue = {
            "group": "",
            "kind": "Secret",
            "name": entry.tls.secret,
            "namespace": entry.tls.namespace,
        }
        listener["tls"] = {"mode": "Terminate", "certificateRefs": [certificate]}
    return listener


def _route(entry: _Open, policy: IngressPolicy) -> dict[str, JsonValue]:
    parent: JsonValue = {
        "group": GATEWAY_GROUP,
        "kind": "Gateway",
        "name": object_name(entry.listener.virtual_address),
        "sectionName": entry.listener.name,
    }
    backend: JsonValue = {
        "group": "",
        "kind": "Service",
        "name": policy.backend.service,
        "namespace": policy.backend.namespace,
        "port": policy.backend.port,
        "weight": 1,
    }
    rule: dict[str, JsonValue] = {"backendRefs": [backend]}
    route: dict[str, JsonValue] = {"parentRefs": [parent], "rules": [rule]}
    if entry.spoken.route == "HTTPRoute":
        path: JsonValue = {"type": "PathPrefix", "value": prefix_of(policy)}
        rule["matches"] = [{"path": path}]
        if policy.hostnames:
            route["hostnames"] = [*sorted(policy.hostnames)]
    return route


def _grants(opened: list[_Open], home: str, writer: Writer) -> Iterator[Resource]:
    """One for each Service and Secret of another namespace: nothing beside it is lent."""
    lent: dict[tuple[str, str, str], set[str]] = {}
    for entry in opened:
        for policy in entry.policies:
            backend = policy.backend
            key = (backend.namespace, "Service", backend.service)
            lent.setdefault(key, set()).add(entry.spoken.route)
        if entry.tls is not None:
            key = (entry.tls.namespace, "Secret", entry.tls.secret)
            lent.setdefault(key, set()).add("Gateway")
    for (namespace, kind, name), borrowers in lent.items():
        if namespace != home:
            spec: dict[str, JsonValue] = {
                "from": [
                    {"group": GATEWAY_GROUP, "kind": borrower, "namespace": home}
                    for borrower in sorted(borrowers)
                ],
                "to": [{"group": "", "kind": kind, "name": name}],
            }
            yield writer.write(
                "ReferenceGrant", object_name(kind.lower(), name), spec, namespace=namespace
            )
