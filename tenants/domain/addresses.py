"""Addresses that a proxy can hold for a tenant, in one spelling each. Pure."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# The portal and the embedded services listen here.
_OWN = ipaddress.ip_network("127.0.0.0/16")


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


def edges(network: Network) -> tuple[Address, ...]:
    """Addresses that no host may have: of IPv4 the network's own and the broadcast, of IPv6 the
    routers' anycast (RFC 4291, 2.6.1); none in networks of one or two.
    """
    if network.max_prefixlen - network.prefixlen < 2:
        return ()
    first, last = network.network_address, network.broadcast_address
    return (first, last) if network.version == 4 else (first,)
