"""What the data centre sees of a tenant: SNAT pools, static routes and BGP peers."""

from dataclasses import dataclass
from typing import Annotated

from proxyconfig.domain.fields import Address, Advertised, Asn, Cidr, Limits, Name, Says


@dataclass(frozen=True, slots=True, kw_only=True)
class SnatPool:
    """Source addresses of the tenant's outgoing connections."""

    name: Annotated[Name, Says("Unique in the tenant.")]
    addresses: Annotated[tuple[Address, ...], Says("In order: the n-th proxy instance's.")]
    shared: Annotated[bool, Says("One address serves all proxy instances.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticRoute:
    """A way to a network that is not on one of the tenant's segments."""

    name: Annotated[Name, Says("Unique in the tenant.")]
    destination: Annotated[Cidr, Says("0.0.0.0/0 or ::/0 for the default route.")]
    next_hop: Annotated[Address, Says("Router; inside one of the tenant's subnets.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class BgpPeer:
    """A router that is told how to reach the tenant's addresses."""

    name: Annotated[Name, Says("Unique in the tenant.")]
    address: Annotated[Address, Says("The neighbour.")]
    asn: Annotated[Asn, Says("The neighbour's autonomous system.")]
    local_asn: Annotated[Asn, Says("Ours.")]
    bfd: Annotated[bool, Says("Watch the neighbour with BFD.")] = False
    hold_seconds: Annotated[
        int, Limits(minimum=3, maximum=65535), Says("Silence after which it counts as gone.")
    ] = 90
    advertise: Annotated[tuple[Advertised, ...], Says("Which addresses are announced.")] = (
        Advertised.VIRTUAL_ADDRESSES,
    )
    advertise_lists: Annotated[tuple[Name, ...], Says("Address lists announced as well.")] = ()
