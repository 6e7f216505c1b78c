"""Which addresses are the public internet's, and which must be granted by name.

``ipaddress.is_global`` alone is True for NAT64 and 6to4 forms of private addresses, for multicast
and for some clouds' metadata services; this module closes those holes.
"""

import ipaddress
from typing import Final

from tenants.domain.notation import IpAddress, IpNetwork, as_network

_NOT_PUBLIC: Final[tuple[IpNetwork, ...]] = tuple(
    as_network(text)
    for text in (
        "64:ff9b::/96",  # NAT64 (RFC 6052): hides an IPv4 address, private ones too.
        "64:ff9b:1::/48",  # NAT64 local use (RFC 8215).
        "2001::/32",  # Teredo: embeds an IPv4 address.
        "2002::/16",  # 6to4: embeds an IPv4 address.
        "::/96",  # IPv4-compatible, deprecated.
        "fec0::/10",  # Site-local, deprecated.
        "192.88.99.0/24",  # 6to4 relay anycast.
        "168.63.129.16/32",  # Azure's host and metadata address.
    )
)


def unmapped(address: IpAddress) -> IpAddress:
    """The IPv4 address inside an IPv4-mapped IPv6 one; others as they are."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_public(address: IpAddress) -> bool:
    """True when an egress rule may allow the address without a platform administrator's grant."""
    plain = unmapped(address)
    if isinstance(plain, ipaddress.IPv6Address) and plain.scope_id:
        return False
    if not plain.is_global or plain.is_multicast or plain.is_reserved:
        return False
    return not any(plain in network for network in _NOT_PUBLIC)


def can_be_granted(network: IpNetwork) -> bool:
    """True for a network that lies in private space: a grant for more would open all of it."""
    shortest = 8 if network.version == 4 else 7
    ends = (network.network_address, network.broadcast_address)
    return network.prefixlen >= shortest and not any(is_public(end) for end in ends)
