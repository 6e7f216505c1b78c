"""What a tenant takes of the platform's: addresses, prefixes, tags, identifiers, namespaces. Pure.

Equal claims are one claim: what the database lets one tenant have is told by these values alone.
``user`` says which object of the tenant uses it, and does not make it another claim.
"""

from dataclasses import dataclass, field
from enum import StrEnum

# The routing table of what names none.
DEFAULT_VRF = "default"


class AddressRole(StrEnum):
    """What an address is for."""

    VIRTUAL = "virtual"
    SNAT = "snat"
    SELF_IP = "self-ip"
    GATEWAY = "gateway"
    RESERVED = "reserved"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class NamespaceClaim:
    """A Kubernetes namespace of a cluster."""

    cluster: str
    name: str
    user: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"namespace {self.name} of cluster {self.cluster}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class VlanClaim:
    """A VLAN tag on a trunk of a cluster's proxy."""

    cluster: str
    trunk: str
    tag: int
    user: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"VLAN {self.tag} on trunk {self.trunk} of cluster {self.cluster}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class VniClaim:
    """A VXLAN network identifier on a cluster."""

    cluster: str
    vni: int
    user: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"VNI {self.vni} of cluster {self.cluster}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SubnetClaim:
    """An IP prefix of a segment, in one VRF of one cluster."""

    cluster: str
    vrf: str
    prefix: str
    user: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"subnet {self.prefix} (VRF {self.vrf}) of cluster {self.cluster}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class AddressClaim:
    """One address in one VRF of one cluster.

    Attributes:
        subnet: the tenant's own subnet that it lies in, for self-IPs and gateways; "" for an
            address that comes straight from a grant.
    """

    cluster: str
    vrf: str
    address: str
    role: AddressRole
    subnet: str = ""
    user: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"address {self.address} (VRF {self.vrf}) of cluster {self.cluster}"


Claim = NamespaceClaim | VlanClaim | VniClaim | SubnetClaim | AddressClaim
