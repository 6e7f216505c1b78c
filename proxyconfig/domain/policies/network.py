"""Where a tenant lives on the wire: segments (VLAN, VXLAN overlay or plain subnet) and self-IPs."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from proxyconfig.domain.fields import Address, Cidr, Limits, Name, Port, Says, Text
from proxyconfig.domain.problems import Problem, Side
from tenants.domain.addresses import edges
from tenants.domain.notation import TRUNK, IpNetwork

if TYPE_CHECKING:
    from proxyconfig.domain.intent import Intent

Mtu = Annotated[int, Limits(minimum=1280, maximum=9216)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A Kubernetes namespace on a cluster."""

    name: Annotated[Name, Says("The namespace's name.")]
    cluster: Annotated[Name, Says("Cluster that has it.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualAddress:
    """An address that a cluster's proxy answers on for the tenant."""

    address: Annotated[Address, Says("Bare, in its shortest form.")]
    cluster: Annotated[Name, Says("Cluster whose proxy answers.")]
    vrf: Annotated[Name | None, Says("Routing table; empty: the default one.")] = None
    description: Annotated[Text, Says("For people.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """One IPv4 or IPv6 subnet of a segment."""

    cidr: Annotated[Cidr, Says("Network address and prefix length, host bits zero.")]
    gateway: Annotated[Address | None, Says("The data centre's router; inside the subnet.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VlanLink:
    """A VLAN on one of a cluster proxy's trunks."""

    interface: Annotated[
        str,
        Limits(
            pattern=TRUNK,
            says="begin it with a letter or digit, such as 1.1, and use letters, digits and"
            " ._/- only",
            longest=32,
        ),
        Says('Trunk: "1.1".'),
    ]
    tag: Annotated[int, Limits(minimum=1, maximum=4094), Says("802.1Q tag.")]
    internal: Annotated[bool, Says("Faces the cluster's nodes.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VxlanLink:
    """A VXLAN overlay between the proxy and remote tunnel endpoints (RFC 7348)."""

    vni: Annotated[int, Limits(minimum=1, maximum=16_777_215), Says("Network identifier, 24 bit.")]
    remote_vteps: Annotated[tuple[Address, ...], Says("Far tunnel endpoints, underlay.")] = ()
    port: Annotated[Port, Says("UDP port of the tunnel.")] = 4789


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A piece of network that is the tenant's: a VLAN, a VXLAN overlay, or only subnets."""

    name: Annotated[Name, Says("Unique in the tenant.")]
    cluster: Annotated[Name, Says("Cluster whose proxy is attached to it.")]
    vlan: Annotated[VlanLink | None, Says("Set for a VLAN.")] = None
    vxlan: Annotated[VxlanLink | None, Says("Set for an overlay; not beside vlan.")] = None
    subnets: Annotated[tuple[Subnet, ...], Says("IPv4 and IPv6 subnets.")] = ()
    vrf: Annotated[Name | None, Says("Routing table; subnets may overlap across VRFs.")] = None
    mtu: Annotated[Mtu, Says("Bytes.")] = 1500
    description: Annotated[Text, Says("For people.")] = ""

    def subnet_of(self, address: str) -> str | None:
        """The CIDR of the segment's subnet that has ``address``; None where none has."""
        found = ipaddress.ip_address(address)
        return next(
            (subnet.cidr for subnet in self.subnets if found in ipaddress.ip_network(subnet.cidr)),
            None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfIp:
    """The proxy's own address on a segment; number n goes to the proxy's n-th instance."""

    segment: Annotated[Name, Says("Segment of this tenant.")]
    number: Annotated[int, Limits(minimum=1, maximum=256), Says("Which proxy instance, from 1.")]
    address: Annotated[Address, Says("Bare, inside one of the segment's subnets.")]


def _one_link(intent: Intent) -> Iterator[Problem]:
    for segment in intent.segments:
        if segment.vlan and segment.vxlan:
            yield Problem(
                f"spec.segments[{segment.name}]",
                "two-links",
                "a segment is a VLAN or a VXLAN overlay, not both; make two segments",
            )


def _links_unique(intent: Intent) -> Iterator[Problem]:
    seen: dict[tuple[object, ...], str] = {}
    for segment in intent.segments:
        keys: list[tuple[tuple[object, ...], str, str]] = []
        if vlan := segment.vlan:
            on_trunk = (segment.cluster, vlan.interface, vlan.tag)
            keys.append((on_trunk, "vlan.tag", f"VLAN tag {vlan.tag}"))
        if vxlan := segment.vxlan:
            on_cluster = (segment.cluster, "vni", vxlan.vni)
            keys.append((on_cluster, "vxlan.vni", f"VNI {vxlan.vni}"))
        for key, field, word in keys:
            if key in seen:
                says = f"{word} is already that of segment {{}}; choose another"
                yield Problem(
                    f"spec.segments[{segment.name}].{field}",
                    "link-taken",
                    says.format(seen[key]),
                    sides=(Side(f"spec.segments[{seen[key]}].{field}", says.format(segment.name)),),
                )
            seen.setdefault(key, segment.name)


def _reserved_tag(intent: Intent) -> Iterator[Problem]:
    for segment in intent.segments:
        if segment.vlan and segment.vlan.tag == 4094:
            yield Problem(
                f"spec.segments[{segment.name}].vlan.tag",
                "reserved-tag",
                "F5's TMM uses tag 4094 for its untagged VLAN; choose another",
                "warning",
            )


def _gateways_inside(intent: Intent) -> Iterator[Problem]:
    for segment in intent.segments:
        for place, subnet in enumerate(segment.subnets):
            network = ipaddress.ip_network(subnet.cidr)
            if subnet.gateway and not _is_host_of(network, subnet.gateway):
                yield Problem(
                    f"spec.segments[{segment.name}].subnets[{place}].gateway",
                    "gateway-outside",
                    f"gateway {subnet.gateway} is not a host address of {subnet.cidr}",
                )


def _subnets_usable(intent: Intent) -> Iterator[Problem]:
    for segment in intent.segments:
        for place, subnet in enumerate(segment.subnets):
            network = ipaddress.ip_network(subnet.cidr)
            if network.prefixlen == 0 or network.is_link_local or network.is_multicast:
                yield Problem(
                    f"spec.segments[{segment.name}].subnets[{place}].cidr",
                    "subnet-unusable",
                    f"{subnet.cidr} cannot be a subnet; choose a unicast network such as"
                    " 10.1.0.0/24 or fd00:1::/64",
                )


def _subnets_apart(intent: Intent) -> Iterator[Problem]:
    placed = [
        (
            segment,
            ipaddress.ip_network(subnet.cidr),
            f"spec.segments[{segment.name}].subnets[{place}].cidr",
        )
        for segment in intent.segments
        for place, subnet in enumerate(segment.subnets)
    ]
    for (left, one, first), (right, other, second) in itertools.combinations(placed, 2):
        is_same_table = (left.cluster, left.vrf) == (right.cluster, right.vrf)
        if is_same_table and one.version == other.version and one.overlaps(other):
            hint = "change one, or use another VRF"
            yield Problem(
                second,
                "subnets-overlap",
                f"{other} overlaps {one} of segment {left.name}; {hint}",
                sides=(Side(first, f"{one} overlaps {other} of segment {right.name}; {hint}"),),
            )


def _self_ips_fit(intent: Intent) -> Iterator[Problem]:
    segments = {segment.name: segment for segment in intent.segments}
    for place, self_ip in enumerate(intent.self_ips):
        path = f"spec.selfIps[{place}]"
        segment = segments.get(self_ip.segment)
        if segment is None:
            yield Problem(
                f"{path}.segment", "unknown-segment", f"there is no segment {self_ip.segment}"
            )
            continue
        networks = [ipaddress.ip_network(subnet.cidr) for subnet in segment.subnets]
        if not any(_is_host_of(network, self_ip.address) for network in networks):
            yield Problem(
                f"{path}.address",
                "self-ip-outside",
                f"{self_ip.address} is not a host address of segment {segment.name}, which has"
                f" {', '.join(map(str, networks)) or 'no subnet'}",
                sides=(
                    Side(
                        f"spec.segments[{segment.name}].subnets",
                        f"self-IP {self_ip.address} of instance {self_ip.number} needs a subnet"
                        " that it is a host address of",
                    ),
                ),
            )


def _self_ips_unique(intent: Intent) -> Iterator[Problem]:
    seen: set[tuple[object, ...]] = set()
    for place, self_ip in enumerate(intent.self_ips):
        version = ipaddress.ip_address(self_ip.address).version
        key = (self_ip.segment, self_ip.number, version)
        if key in seen:
            yield Problem(
                f"spec.selfIps[{place}]",
                "self-ip-taken",
                f"segment {self_ip.segment} already has an IPv{version} self-IP of number"
                f" {self_ip.number}",
            )
        seen.add(key)


def _is_host_of(network: IpNetwork, address: str) -> bool:
    """Inside, and none of the addresses that no host may have."""
    candidate = ipaddress.ip_address(address)
    return candidate in network and candidate not in edges(network)


CHECKS = (
    _one_link,
    _links_unique,
    _reserved_tag,
    _gateways_inside,
    _subnets_usable,
    _subnets_apart,
    _self_ips_fit,
    _self_ips_unique,
)
