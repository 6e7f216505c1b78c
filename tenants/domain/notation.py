"""How addresses and networks are written: one form each, so equal means equal text. Pure."""

import ipaddress
import re
from typing import Final

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# A proxy's interface that carries VLANs, as F5 and Linux name them.
TRUNK: Final = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
# A word of a sentence, unlike the addresses, hosts and values that one may begin with.
_WORD = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*[,:;]?(?=\s|$)")
_MAPPED_BITS = 96
_DOTTED = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}")
_PARTIAL = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}")


def sentence(said: str) -> str:
    """A complaint as a sentence of its own; an address in front of it keeps its spelling."""
    capital = said[:1].upper() if _WORD.match(said) else said[:1]
    return f"{capital}{said[1:].rstrip('.')}."


def trunk_complaint(text: str) -> str:
    """What is wrong with ``text`` as the name of a trunk; "" when it is well written."""
    if re.fullmatch(TRUNK, text):
        return ""
    return (
        f"{text!r} is not a trunk such as 1.1; use letters, digits, dots, hyphens, underscores and"
        " slashes, and begin with a letter or digit"
    )


def source_complaint(text: str) -> str:
    """What is wrong with ``text`` as an address or a network; "" when it is well written."""
    return network_complaint(text) if "/" in text else address_complaint(text)


def address_complaint(text: str) -> str:
    """What is wrong with ``text`` as one address; "" when it is well written."""
    if zone := _zone(text):
        return f"{text!r} names an interface; leave out {zone}"
    try:
        address = ipaddress.ip_address(_bare(text))
    except ValueError:
        if "/" in text and not network_complaint(text):
            return f"{text!r} is a network; name one address of it"
        return f"{text!r} is not an IP address such as 10.1.0.5 or 2001:db8::5"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return f"write {text} as {address.ipv4_mapped}"
    return "" if str(address) == text else f"write {text} as {address}"


def network_complaint(text: str) -> str:
    """What is wrong with ``text`` as a network in CIDR notation; "" when it is well written."""
    if zone := _zone(text):
        return f"{text!r} names an interface; leave out {zone}"
    address, slash, length = text.strip().partition("/")
    if not slash:
        said = address_complaint(text)
        right = said.removeprefix(f"write {text} as ") if said.startswith("write ") else text
        if said and right == text:
            return said
        bits = 128 if ":" in right else 32
        return f"{text!r} has no prefix length; write {right}/{bits} for this one address"
    try:
        network = ipaddress.ip_network(f"{_padded(_bare(address))}/{length}", strict=False)
    except ValueError:
        return f"{text!r} is not a network such as 10.1.0.0/16 or 2001:db8::/32"
    if isinstance(network, ipaddress.IPv6Network):
        mapped = network.network_address.ipv4_mapped
        if mapped is not None and network.prefixlen >= _MAPPED_BITS:
            return f"write {text} as {mapped}/{network.prefixlen - _MAPPED_BITS}"
    # 0/0 is what many tools take for everything; here it would be IPv4 only.
    other = ", or ::/0 for IPv6" if _PARTIAL.fullmatch(address) and not network.prefixlen else ""
    return "" if str(network) == text else f"write {text} as {network}{other}"


def as_network(text: str) -> IpNetwork:
    """The network of a CIDR or of a single address.

    Raises:
        ValueError: it is neither, has host bits set, or names an interface.
    """
    if zone := _zone(text):
        raise ValueError(f"{text!r} names an interface; leave out {zone}")
    return ipaddress.ip_network(text)


def _bare(text: str) -> str:
    """Without spaces and brackets around, and without leading zeros of IPv4's numbers."""
    bare = text.strip().removeprefix("[").removesuffix("]")
    # Some resolvers read 010 as 8; it is refused, and shown as people mean it.
    return ".".join(str(int(part)) for part in bare.split(".")) if _DOTTED.fullmatch(bare) else bare


def _padded(address: str) -> str:
    """``0``, ``10`` and ``10.1`` with the zeros that many tools leave out."""
    return f"{address}{'.0' * (3 - address.count('.'))}" if _PARTIAL.fullmatch(address) else address


def _zone(text: str) -> str:
    """An IPv6 zone such as ``%eth0``, which means something on one machine only."""
    _, percent, zone = text.partition("/")[0].partition("%")
    return f"{percent}{zone}"
