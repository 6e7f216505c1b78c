"""Addresses that a proxy can hold for a tenant, in one spelling each. Pure."""

import ipaddress

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
