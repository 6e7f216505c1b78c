"""What may come in: listeners (virtual address, port, protocol) and the policies that open them.

A listener without an enforced policy is closed: default deny.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from proxyconfig.domain.fields import (
    Address,
    Host,
    Limits,
    Mode,
    Name,
    Order,
    Port,
    Protocol,
    Says,
    Source,
    Text,
)
from proxyconfig.domain.problems import Problem, Side

if TYPE_CHECKING:
    from proxyconfig.domain.intent import Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """An address of the tenant's on which its proxy can listen."""

    name: Annotated[Name, Says("Unique in the tenant.")]
    cluster: Annotated[Name, Says("Cluster whose proxy listens.")]
    virtual_address: Annotated[
        Address, Says("Virtual address of this tenant on that cluster that clients connect to.")
    ]
    port: Annotated[Port, Says("Port that clients connect to.")]
    protocol: Annotated[Protocol, Says("What is spoken.")] = Protocol.HTTP
    tls: Annotated[Name | None, Says("TLS reference; the proxy then ends TLS.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The Service that answers."""

    namespace: Annotated[Name, Says("Namespace of this tenant.")]
    service: Annotated[Name, Says("Kubernetes Service.")]
    port: Annotated[Port, Says("Port of the Service.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressPolicy:
    """Lets clients through a listener to a backend."""

    name: Annotated[Name, Says("Unique in the tenant; part of the rule id.")]
    listener: Annotated[Name, Says("Listener of this tenant.")]
    backend: Annotated[Backend, Says("Who answers.")]
    hostnames: Annotated[
        tuple[Host, ...], Says("Host headers that match, *.suffix allowed; empty: any.")
    ] = ()
    path_prefix: Annotated[
        str,
        Limits(
            pattern=r"/[A-Za-z0-9._~!$&'()+,;=:@/-]*",
            says="begin it with /, such as /api, and use letters, digits and"
            " -._~!$&'()+,;=:@/ only",
            longest=255,
        ),
        Says("Whole path segments: /api matches /api and /api/x, not /apix."),
    ] = "/"
    sources: Annotated[tuple[Source, ...], Says("Client addresses let in.")] = ()
    source_lists: Annotated[
        tuple[Name, ...], Says("Address lists let in; with sources empty too: any client.")
    ] = ()
    order: Annotated[Order, Says("Lower is matched first; then the name decides.")] = 100
    mode: Annotated[Mode, Says("A staged policy opens nothing.")] = Mode.ENFORCED
    description: Annotated[Text, Says("For people.")] = ""


def _listeners_unique(intent: Intent) -> Iterator[Problem]:
    seen: dict[tuple[str, str, int, bool], str] = {}
    for listener in intent.listeners:
        # http and tcp are both TCP on the wire, so they collide.
        is_udp = listener.protocol is Protocol.UDP
        key = (listener.cluster, listener.virtual_address, listener.port, is_udp)
        if key in seen:
            says = (
                f"{_door(listener)} is already that of listener {{}}; choose another address or"
                " port"
            )
            yield Problem(
                f"spec.listeners[{listener.name}].port",
                "listener-taken",
                says.format(seen[key]),
                sides=(Side(f"spec.listeners[{seen[key]}].port", says.format(listener.name)),),
            )
        seen.setdefault(key, listener.name)


def _door(listener: Listener) -> str:
    address = listener.virtual_address
    return f"[{address}]:{listener.port}" if ":" in address else f"{address}:{listener.port}"


def _addresses_known(intent: Intent) -> Iterator[Problem]:
    held = {(entry.cluster, entry.address) for entry in intent.virtual_addresses}
    for listener in intent.listeners:
        if (listener.cluster, listener.virtual_address) not in held:
            yield Problem(
                f"spec.listeners[{listener.name}].virtualAddress",
                "unknown-address",
                f"{listener.virtual_address} is not a virtual address of {intent.tenant} on "
                f"cluster {listener.cluster}; it has {_named(intent, listener.cluster)}",
                sides=tuple(
                    Side(
                        f"spec.virtualAddresses[{entry.cluster}:{entry.address}].cluster",
                        f"listener {listener.name} needs {entry.address} on cluster"
                        f" {listener.cluster}",
                    )
                    for entry in intent.virtual_addresses
                    if entry.address == listener.virtual_address
                ),
            )


def _named(intent: Intent, cluster: str) -> str:
    addresses = [entry.address for entry in intent.virtual_addresses if entry.cluster == cluster]
    return ", ".join(addresses) or "none there; ask NetOps for one"


def _tls_known(intent: Intent) -> Iterator[Problem]:
    known = {reference.name: reference.namespace for reference in intent.tls_references}
    namespaces = {(entry.cluster, entry.name) for entry in intent.namespaces}
    for listener in intent.listeners:
        path = f"spec.listeners[{listener.name}].tls"
        if listener.tls and listener.tls not in known:
            yield Problem(path, "unknown-tls", f"there is no TLS reference {listener.tls}")
        elif listener.tls and (listener.cluster, known[listener.tls]) not in namespaces:
            yield Problem(
                path,
                "foreign-namespace",
                f"TLS reference {listener.tls} is in namespace {known[listener.tls]}, which"
                f" {intent.tenant} does not have on cluster {listener.cluster}",
                sides=(
                    Side(
                        f"spec.tlsReferences[{listener.tls}].namespace",
                        f"listener {listener.name} needs its TLS reference in a namespace of"
                        f" cluster {listener.cluster}",
                    ),
                    *_namespace_sides(
                        intent, known[listener.tls], listener.cluster, f"listener {listener.name}"
                    ),
                ),
            )
        if listener.tls and listener.protocol is Protocol.UDP:
            yield Problem(
                path, "tls-on-udp", "a UDP listener cannot end TLS; leave the TLS reference out"
            )


def _policies_refer(intent: Intent) -> Iterator[Problem]:
    clusters = {listener.name: listener.cluster for listener in intent.listeners}
    namespaces = {(entry.cluster, entry.name) for entry in intent.namespaces}
    lists = {entry.name for entry in intent.address_lists}
    for policy in intent.ingress_policies:
        path = f"spec.ingressPolicies[{policy.name}]"
        cluster = clusters.get(policy.listener)
        if cluster is None:
            yield Problem(
                f"{path}.listener", "unknown-listener", f"there is no listener {policy.listener}"
            )
        elif (cluster, policy.backend.namespace) not in namespaces:
            yield Problem(
                f"{path}.backend.namespace",
                "foreign-namespace",
                f"namespace {policy.backend.namespace} of cluster {cluster} is not one of "
                f"{intent.tenant}'s; a policy may name only services in its own tenant's "
                f"namespaces: {_namespaces(intent, cluster)}",
                sides=(
                    *_namespace_sides(
                        intent,
                        policy.backend.namespace,
                        cluster,
                        f"ingress policy {policy.name}",
                    ),
                    Side(
                        f"spec.listeners[{policy.listener}].cluster",
                        f"ingress policy {policy.name} needs its namespace"
                        f" {policy.backend.namespace} on cluster {cluster}",
                    ),
                ),
            )
        for name in policy.source_lists:
            if name not in lists:
                yield Problem(
                    f"{path}.sourceLists", "unknown-list", f"there is no address list {name}"
                )


def _namespace_sides(intent: Intent, name: str, cluster: str, user: str) -> Iterator[Side]:
    """The namespaces of that name, on other clusters only."""
    for entry in intent.namespaces:
        if entry.name == name:
            yield Side(
                f"spec.namespaces[{entry.cluster}:{name}].cluster",
                f"{user} needs namespace {name} on cluster {cluster}",
            )


def _namespaces(intent: Intent, cluster: str) -> str:
    names = [entry.name for entry in intent.namespaces if entry.cluster == cluster]
    return ", ".join(names) or "it has none there; ask NetOps for one"


def _policies_distinct(intent: Intent) -> Iterator[Problem]:
    protocol = {listener.name: listener.protocol for listener in intent.listeners}
    seen: dict[tuple[object, ...], str] = {}
    for policy in intent.ingress_policies:
        path = f"spec.ingressPolicies[{policy.name}]"
        is_http = protocol.get(policy.listener, Protocol.HTTP) is Protocol.HTTP
        if not is_http and (policy.hostnames or policy.path_prefix != "/"):
            yield Problem(
                f"{path}.hostnames" if policy.hostnames else f"{path}.pathPrefix",
                "http-only",
                f"listener {policy.listener} is not HTTP: leave host names and path prefix out",
                sides=(
                    Side(
                        f"spec.listeners[{policy.listener}].protocol",
                        f"ingress policy {policy.name} has host names or a path prefix, which"
                        " need HTTP",
                    ),
                ),
            )
        key = (policy.listener, frozenset(policy.hostnames), policy.path_prefix, policy.mode)
        if key in seen:
            says = (
                f"policy {{}} already matches the same requests on listener {policy.listener};"
                " put both allow-lists into one policy"
            )
            yield Problem(
                path,
                "policy-doubled",
                says.format(seen[key]),
                sides=(Side(f"spec.ingressPolicies[{seen[key]}]", says.format(policy.name)),),
            )
        seen.setdefault(key, policy.name)


CHECKS = (
    _listeners_unique,
    _addresses_known,
    _tls_known,
    _policies_refer,
    _policies_distinct,
)
