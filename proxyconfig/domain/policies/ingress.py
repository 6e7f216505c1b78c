"""What may come in: listeners (virtual address, port, protocol) and the policies that open them.

A listener without an enforced policy is closed: default deny.
"""

from dataclasses import dataclass
from typing import Annotated

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
