"""What the data centre sees of a tenant: SNAT pools, static routes and BGP peers."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from proxyconfig.domain.fields import Address, Advertised, Asn, Cidr, Limits, Name, Says, Text
from proxyconfig.domain.problems import Problem, Side

if TYPE_CHECKING:
    from proxyconfig.domain.intent import Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class SnatPool:
    """Source addresses of the tenant's outgoing connections."""

    name: Annotated[Name, Says("Unique in the tenant.")]
    cluster: Annotated[Name, Says("Cluster whose proxy uses them.")]
    addresses: Annotated[tuple[Address, ...], Says("In order: the n-th proxy instance's.")]
    shared: Annotated[bool, Says("One address serves all proxy instances.")] = False
    vrf: Annotated[Name | None, Says("Routing table; empty: the default one.")] = None
    description: Annotated[Text, Says("For people.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticRoute:
    """A way to a network that is not on one of the tenant's segments."""

    name: Annotated[Name, Says("Unique in the tenant.")]
    cluster: Annotated[Name, Says("Cluster whose proxy has the route.")]
    destination: Annotated[Cidr, Says("0.0.0.0/0 or ::/0 for the default route.")]
    next_hop: Annotated[Address, Says("Router; inside one of the tenant's subnets.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class BgpPeer:
    """A router that is told how to reach the tenant's addresses."""

    name: Annotated[Name, Says("Unique in the tenant.")]
    cluster: Annotated[Name, Says("Cluster whose proxy speaks to it.")]
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


def _pools_filled(intent: Intent) -> Iterator[Problem]:
    for pool in intent.snat_pools:
        if not pool.addresses:
            yield Problem(
                f"spec.snatPools[{pool.name}].addresses",
                "empty",
                f"SNAT pool {pool.name} has no address; give it one or delete it",
            )


def _routes_reach(intent: Intent) -> Iterator[Problem]:
    networks = [
        (segment.cluster, ipaddress.ip_network(subnet.cidr))
        for segment in intent.segments
        for subnet in segment.subnets
    ]
    seen: dict[tuple[str, str], str] = {}
    for route in intent.static_routes:
        path = f"spec.staticRoutes[{route.name}]"
        hop = ipaddress.ip_address(route.next_hop)
        if hop.version != ipaddress.ip_network(route.destination).version:
            yield Problem(
                f"{path}.nextHop", "family", f"{route.next_hop} cannot lead to {route.destination}"
            )
        elif not any(route.cluster == place and hop in network for place, network in networks):
            yield Problem(
                f"{path}.nextHop",
                "next-hop-outside",
                f"next hop {route.next_hop} is in none of the tenant's subnets on cluster"
                f" {route.cluster}",
                sides=tuple(_hop_sides(intent, route)),
            )
        key = (route.cluster, route.destination)
        if key in seen:
            yield Problem(
                f"{path}.destination",
                "destination-taken",
                f"route {seen[key]} already leads to {route.destination}",
                sides=(
                    Side(
                        f"spec.staticRoutes[{seen[key]}].destination",
                        f"route {route.name} already leads to {route.destination}",
                    ),
                ),
            )
        seen.setdefault(key, route.name)


def _hop_sides(intent: Intent, route: StaticRoute) -> Iterator[Side]:
    """The segments that could have the next hop, of which one had it before."""
    hop = ipaddress.ip_address(route.next_hop)
    says = f"static route {route.name} needs a subnet with its next hop {route.next_hop}"
    for segment in intent.segments:
        path = f"spec.segments[{segment.name}]"
        if segment.cluster == route.cluster:
            yield Side(f"{path}.subnets", says)
        elif any(hop in ipaddress.ip_network(subnet.cidr) for subnet in segment.subnets):
            yield Side(f"{path}.cluster", f"{says} on cluster {route.cluster}")


def _peers_fit(intent: Intent) -> Iterator[Problem]:
    lists = {entry.name for entry in intent.address_lists}
    seen: dict[tuple[str, str], str] = {}
    for peer in intent.bgp_peers:
        path = f"spec.bgpPeers[{peer.name}]"
        key = (peer.cluster, peer.address)
        if key in seen:
            yield Problem(
                f"{path}.address",
                "peer-taken",
                f"{peer.address} is already peer {seen[key]}",
                sides=(
                    Side(
                        f"spec.bgpPeers[{seen[key]}].address",
                        f"{peer.address} is already peer {peer.name}",
                    ),
                ),
            )
        seen.setdefault(key, peer.name)
        for name in peer.advertise_lists:
            if name not in lists:
                yield Problem(
                    f"{path}.advertiseLists", "unknown-list", f"there is no address list {name}"
                )


CHECKS = (_pools_filled, _routes_reach, _peers_fit)
