"""Named lists that policies refer to: addresses, ports, and TLS certificates kept as Secrets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from proxyconfig.domain.fields import Name, PortRange, Says, Source, Text
from proxyconfig.domain.problems import Problem

if TYPE_CHECKING:
    from proxyconfig.domain.intent import Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressList:
    """Addresses and networks under one name."""

    name: Annotated[Name, Says("Unique in the tenant.")]
    addresses: Annotated[tuple[Source, ...], Says("Addresses or CIDRs.")]
    description: Annotated[Text, Says("For people.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortList:
    """Ports and port ranges under one name."""

    name: Annotated[Name, Says("Unique in the tenant.")]
    ports: Annotated[tuple[PortRange, ...], Says('443 or "8000-8099".')]
    description: Annotated[Text, Says("For people.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsReference:
    """Where a certificate and its key are; never the key itself."""

    name: Annotated[Name, Says("Unique in the tenant.")]
    namespace: Annotated[Name, Says("Namespace of this tenant.")]
    secret: Annotated[Name, Says("Kubernetes Secret of type kubernetes.io/tls.")]


def _lists_filled(intent: Intent) -> Iterator[Problem]:
    for addresses in intent.address_lists:
        if not addresses.addresses:
            yield Problem(
                f"spec.addressLists[{addresses.name}].addresses",
                "empty",
                f"address list {addresses.name} is empty; a policy with it matches nothing",
            )
    for ports in intent.port_lists:
        if not ports.ports:
            yield Problem(
                f"spec.portLists[{ports.name}].ports",
                "empty",
                f"port list {ports.name} is empty; a policy with it matches nothing",
            )


def _secrets_owned(intent: Intent) -> Iterator[Problem]:
    for reference in intent.tls_references:
        if reference.namespace not in {entry.name for entry in intent.namespaces}:
            yield Problem(
                f"spec.tlsReferences[{reference.name}].namespace",
                "foreign-namespace",
                f"namespace {reference.namespace} is not one of {intent.tenant}'s",
            )


CHECKS = (_lists_filled, _secrets_owned)
