"""Addresses that a proxy can hold for a tenant, in one spelling each. Pure."""

import ipaddress
from typing import Final

from tenants.domain.notation import IpAddress, IpNetwork, as_network

# The portal and the embedded services listen here.
_OWN = ipaddress.ip_network("127.0.0.0/16")
# What ``holdable`` refuses, as networks, and the IPv4-mapped ones that it makes IPv4.
_UNHOLDABLE: Final = (
    ("0.0.0.0/32", "means every address"),
    ("::/128", "means every address"),
    ("224.0.0.0/4", "is multicast"),
    ("ff00::/8", "is multicast"),
    ("169.254.0.0/16", "is link-local"),
    ("fe80::/10", "is link-local"),
    ("255.255.255.255/32", "is the broadcast address"),
    (str(_OWN), "belongs to the portal itself"),
    ("::1/128", "belongs to the portal itself"),
    ("::ffff:0:0/96", "is IPv4 written as IPv6"),
)


def holdable(text: str) -> str:
    """``text`` in its canonical spelling; an IPv4-mapped IPv6 address becomes IPv4.

    Without that, ``::ffff:10.0.0.1`` and ``10.0.0.1`` would be two rows for one address.

    Raises:
        ValueError: not an address, or not one that a proxy can listen on or send from; the message
            says why.
    """
    address = ipaddress.ip_address(text.strip())
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    for is_refused, what in (
        (address.is_unspecified, "means every address"),
        (address.is_multicast, "is a multicast address"),
        (address.is_link_local, "is link-local"),
        (address.version == 4 and address.packed == b"\xff" * 4, "is the broadcast address"),
        (address in _OWN or address == ipaddress.ip_address("::1"), "belongs to the portal itself"),
    ):
        if is_refused:
            raise ValueError(f"{address} {what}; choose a unicast address of the cluster")
    return str(address)


def edges(network: IpNetwork) -> tuple[IpAddress, ...]:
    """Addresses that no host may have: of IPv4 the network's own and the broadcast, of IPv6 the
    routers' anycast (RFC 4291, 2.6.1); none in networks of one or two.
    """
    if network.max_prefixlen - network.prefixlen < 2:
        return ()
    first, last = network.network_address, network.broadcast_address
    return (first, last) if network.version == 4 else (first,)


def pool_complaint(prefix: str) -> str:
    """Why tenants cannot take from ``prefix``; "" when a proxy can hold all of it."""
    network = as_network(prefix)
    if network.prefixlen == 0:
        return f"{prefix} is every address; give the prefix that tenants take from"
    for text, what in _UNHOLDABLE:
        refused = as_network(text)
        if network.version != refused.version or not network.overlaps(refused):
            continue
        part = f"{prefix} {what}"
        if network.prefixlen < refused.prefixlen:
            bare = text.removesuffix("/32").removesuffix("/128")
            part = f"{prefix} includes {bare}, which {what}"
        return f"{part}; choose a prefix of unicast addresses"
    return ""
