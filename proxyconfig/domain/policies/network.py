"""Where a tenant lives on the wire: segments (VLAN, VXLAN overlay or plain subnet) and self-IPs."""

from dataclasses import dataclass
from typing import Annotated

from proxyconfig.domain.fields import Address, Cidr, Limits, Name, Port, Says

Mtu = Annotated[int, Limits(minimum=1280, maximum=9216)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """One IPv4 or IPv6 subnet of a segment."""

    cidr: Annotated[Cidr, Says("Network address and prefix length, host bits zero.")]
    gateway: Annotated[Address | None, Says("The data centre's router; inside the subnet.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VlanLink:
    """A VLAN on one of a cluster proxy's trunks."""

    cluster: Annotated[Name, Says("Cluster whose proxy has the trunk.")]
    interface: Annotated[
        str, Limits(pattern=r"[A-Za-z0-9][A-Za-z0-9._/-]*", longest=32), Says('Trunk: "1.1".')
    ]
    tag: Annotated[int, Limits(minimum=1, maximum=4094), Says("802.1Q tag.")]
    internal: Annotated[bool, Says("Faces the cluster's nodes.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VxlanLink:
    """A VXLAN overlay between the proxy and remote tunnel endpoints (RFC 7348)."""

    cluster: Annotated[Name, Says("Cluster whose proxy ends the tunnel.")]
    vni: Annotated[int, Limits(minimum=1, maximum=16_777_215), Says("Network identifier, 24 bit.")]
    remote_vteps: Annotated[tuple[Address, ...], Says("Far tunnel endpoints, underlay.")] = ()
    port: Annotated[Port, Says("UDP port of the tunnel.")] = 4789


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A piece of network that is the tenant's: a VLAN, a VXLAN overlay, or only subnets."""

    name: Annotated[Name, Says("Unique in the tenant.")]
    vlan: Annotated[VlanLink | None, Says("Set for a VLAN.")] = None
    vxlan: Annotated[VxlanLink | None, Says("Set for an overlay; not beside vlan.")] = None
    subnets: Annotated[tuple[Subnet, ...], Says("IPv4 and IPv6 subnets.")] = ()
    vrf: Annotated[Name | None, Says("Routing table; subnets may overlap across VRFs.")] = None
    mtu: Annotated[Mtu, Says("Bytes.")] = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfIp:
    """The proxy's own address on a segment; number n goes to the proxy's n-th instance."""

    segment: Annotated[Name, Says("Segment of this tenant.")]
    number: Annotated[int, Limits(minimum=1, maximum=256), Says("Which proxy instance, from 1.")]
    address: Annotated[Address, Says("Bare, inside one of the segment's subnets.")]
