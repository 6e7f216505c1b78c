"""Named lists that policies refer to: addresses, ports, and TLS certificates kept as Secrets."""

from dataclasses import dataclass
from typing import Annotated

from proxyconfig.domain.fields import Name, PortRange, Says, Source, Text


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
