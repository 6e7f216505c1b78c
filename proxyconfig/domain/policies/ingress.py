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
from proxyconfig.domain.problems import Problem

if TYPE_CHECKING:
    from proxyconfig.domain.intent import Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """An address of the tenant's on which its proxy can listen."""

    name: Annotated[Name, Says("Unique in the tenant.")]
    virtual_address: Annotated[Address, Says("Address that clients connect to.")]
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
        Limits(pattern=r"/[A-Za-z0-9._~!$&'()+,;=:@/-]*", longest=255),
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
    seen: dict[tuple[str, int, bool], str] = {}
    for listener in intent.listeners:
        # http and tcp are both TCP on the wire, so they collide.
        key = (listener.virtual_address, listener.port, listener.protocol is Protocol.UDP)
        if key in seen:
            yield Problem(
                f"spec.listeners[{listener.name}]",
                "listener-taken",
                f"{listener.virtual_address}:{listener.port} is already that of listener "
                f"{seen[key]}; choose another address or port",
            )
        seen.setdefault(key, listener.name)


def _addresses_apart(intent: Intent) -> Iterator[Problem]:
    used = {
        address: f"SNAT pool {pool.name}"
        for pool in intent.snat_pools
        for address in pool.addresses
    }
    used |= {self_ip.address: f"self-IP of {self_ip.segment}" for self_ip in intent.self_ips}
    for listener in intent.listeners:
        if listener.virtual_address in used:
            yield Problem(
                f"spec.listeners[{listener.name}].virtualAddress",
                "address-taken",
                f"{listener.virtual_address} is already used by {used[listener.virtual_address]}",
            )


def _tls_known(intent: Intent) -> Iterator[Problem]:
    known = {reference.name for reference in intent.tls_references}
    for listener in intent.listeners:
        path = f"spec.listeners[{listener.name}].tls"
        if listener.tls and listener.tls not in known:
            yield Problem(path, "unknown-tls", f"there is no TLS reference {listener.tls}")
        if listener.tls and listener.protocol is Protocol.UDP:
            yield Problem(path, "tls-on-udp", "a UDP listener cannot end TLS; leave tls out")


def _policies_refer(intent: Intent) -> Iterator[Problem]:
    listeners = {listener.name for listener in intent.listeners}
    lists = {entry.name for entry in intent.address_lists}
    for policy in intent.ingress_policies:
        path = f"spec.ingressPolicies[{policy.name}]"
        if policy.listener not in listeners:
            yield Problem(
                f"{path}.listener", "unknown-listener", f"there is no listener {policy.listener}"
            )
        if policy.backend.namespace not in intent.namespaces:
            yield Problem(
                f"{path}.backend.namespace",
                "foreign-namespace",
                f"namespace {policy.backend.namespace} is not one of {intent.tenant}'s; "
                f"a policy may name only services in its own tenant's namespaces",
            )
        for name in policy.source_lists:
            if name not in lists:
                yield Problem(
                    f"{path}.sourceLists", "unknown-list", f"there is no address list {name}"
                )


def _policies_distinct(intent: Intent) -> Iterator[Problem]:
    protocol = {listener.name: listener.protocol for listener in intent.listeners}
    seen: dict[tuple[object, ...], str] = {}
    for policy in intent.ingress_policies:
        path = f"spec.ingressPolicies[{policy.name}]"
        is_http = protocol.get(policy.listener, Protocol.HTTP) is Protocol.HTTP
        if not is_http and (policy.hostnames or policy.path_prefix != "/"):
            yield Problem(
                path,
                "http-only",
                f"listener {policy.listener} is not HTTP: leave hostnames and pathPrefix out",
            )
        key = (policy.listener, frozenset(policy.hostnames), policy.path_prefix, policy.mode)
        if key in seen:
            yield Problem(
                path,
                "policy-doubled",
                f"policy {seen[key]} already matches the same requests on listener "
                f"{policy.listener}; put both allow-lists into one policy",
            )
        seen.setdefault(key, policy.name)


CHECKS = (
    _listeners_unique,
    _addresses_apart,
    _tls_known,
    _policies_refer,
    _policies_distinct,
)
