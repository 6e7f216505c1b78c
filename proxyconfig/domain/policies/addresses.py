"""Every address of an intent in whatever role: one address, one use, and one that can be held."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxyconfig.domain.problems import Problem, Side
from tenants.domain.addresses import edges, holdable
from tenants.domain.claims import AddressRole

if TYPE_CHECKING:
    from proxyconfig.domain.intent import Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedAddress:
    """One address and its use.

    Attributes:
        vrf: "" for the default routing table.
        subnet: of the segment, for self-IPs and gateways; None for the others.
        user: the object, for people: ``SNAT pool web``.
        path: where it stands, in the manifest's words.
    """

    role: AddressRole
    cluster: str
    vrf: str
    address: str
    subnet: str | None
    user: str
    path: str


def used_addresses(intent: Intent) -> Iterator[UsedAddress]:
    """Every address that a proxy of the tenant's answers on or sends from, and its gateways."""
    yield from _on_segments(intent)
    for entry in intent.virtual_addresses:
        yield UsedAddress(
            role=AddressRole.VIRTUAL,
            cluster=entry.cluster,
            vrf=entry.vrf or "",
            address=entry.address,
            subnet=None,
            user=f"virtual address {entry.address}",
            path=f"spec.virtualAddresses[{entry.cluster}:{entry.address}].address",
        )
    for pool in intent.snat_pools:
        for place, address in enumerate(pool.addresses):
            yield UsedAddress(
                role=AddressRole.SNAT,
                cluster=pool.cluster,
                vrf=pool.vrf or "",
                address=address,
                subnet=None,
                user=f"SNAT pool {pool.name}",
                path=f"spec.snatPools[{pool.name}].addresses[{place}]",
            )


def _on_segments(intent: Intent) -> Iterator[UsedAddress]:
    segments = {segment.name: segment for segment in intent.segments}
    for segment in intent.segments:
        for place, subnet in enumerate(segment.subnets):
            if subnet.gateway:
                yield UsedAddress(
                    role=AddressRole.GATEWAY,
                    cluster=segment.cluster,
                    vrf=segment.vrf or "",
                    address=subnet.gateway,
                    subnet=subnet.cidr,
                    user=f"gateway of segment {segment.name}",
                    path=f"spec.segments[{segment.name}].subnets[{place}].gateway",
                )
    for place, self_ip in enumerate(intent.self_ips):
        segment_of = segments.get(self_ip.segment)
        if segment_of is not None:
            yield UsedAddress(
                role=AddressRole.SELF_IP,
                cluster=segment_of.cluster,
                vrf=segment_of.vrf or "",
                address=self_ip.address,
                subnet=segment_of.subnet_of(self_ip.address),
                user=f"self-IP {self_ip.number} of segment {self_ip.segment}",
                path=f"spec.selfIps[{place}].address",
            )


def _apart(intent: Intent) -> Iterator[Problem]:
    seen: dict[tuple[str, str, str], UsedAddress] = {}
    for used in used_addresses(intent):
        key = (used.cluster, used.vrf, used.address)
        if other := seen.get(key):
            says = f"{used.address} is already used by {{}}; one address, one use"
            yield Problem(
                used.path,
                "address-taken",
                says.format(other.user),
                sides=(Side(other.path, says.format(used.user)),),
            )
        seen.setdefault(key, used)


def _can_be_held(intent: Intent) -> Iterator[Problem]:
    for used in used_addresses(intent):
        try:
            holdable(used.address)
        except ValueError as error:
            yield Problem(used.path, "address-unusable", str(error))


def _no_edges(intent: Intent) -> Iterator[Problem]:
    """Self-IPs and gateways are checked against their own subnets, with these."""
    own = {
        (segment.cluster, segment.vrf or "", edge): (subnet.cidr, number)
        for segment in intent.segments
        for subnet in segment.subnets
        for number, edge in enumerate(edges(ipaddress.ip_network(subnet.cidr)))
    }
    for used in used_addresses(intent):
        address = ipaddress.ip_address(used.address)
        at = own.get((used.cluster, used.vrf, address))
        if at is not None and used.subnet is None:
            first = "network" if address.version == 4 else "subnet-router anycast"
            word = "broadcast" if at[1] else first
            yield Problem(
                used.path,
                "address-unusable",
                f"{address} is the {word} address of subnet {at[0]}; choose a host address",
            )


def _neighbours(intent: Intent) -> Iterator[tuple[str, str]]:
    """Path and address of the routers and tunnel endpoints that a proxy speaks to."""
    for route in intent.static_routes:
        yield f"spec.staticRoutes[{route.name}].nextHop", route.next_hop
    for peer in intent.bgp_peers:
        yield f"spec.bgpPeers[{peer.name}].address", peer.address
    for segment in intent.segments:
        for place, address in enumerate(segment.vxlan.remote_vteps if segment.vxlan else ()):
            yield f"spec.segments[{segment.name}].vxlan.remoteVteps[{place}]", address


def _can_be_reached(intent: Intent) -> Iterator[Problem]:
    # A link-local address means nothing without an interface, which an intent cannot name.
    for path, address in _neighbours(intent):
        try:
            holdable(address)
        except ValueError as error:
            yield Problem(path, "address-unusable", str(error))


CHECKS = (_apart, _can_be_held, _no_edges, _can_be_reached)
