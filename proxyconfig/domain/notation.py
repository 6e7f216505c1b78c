"""How addresses, networks and host names are written: one form each, so equal means equal text."""

import ipaddress
import re
from typing import assert_never

from proxyconfig.domain.fields import Format

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_MAPPED_BITS = 96
_DOTTED = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}")
_PARTIAL = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}")
# What inet_aton and browsers take for an address: 127.1, 0x7f.1, 017700000001, 2130706433.
_NUMERIC = re.compile(r"0x[0-9a-f]*|[0-9]+")


def complaint(form: Format, text: str) -> str:
    """What is wrong with ``text`` as a ``form``; "" when it is well written."""
    match form:
        case "":
            return ""
        case "address":
            return _address_complaint(text)
        case "cidr":
            return _cidr_complaint(text)
        case "source":
            return _cidr_complaint(text) if "/" in text else _address_complaint(text)
        case "host":
            return _host_complaint(text)
        case "destination":
            is_address = "/" in text or ":" in text or is_numeric_host(text)
            return complaint("source" if is_address else "host", text)
        case _:
            assert_never(form)


def is_numeric_host(host: str) -> bool:
    """True for names that some resolvers read as an IPv4 address (the last label is a number)."""
    return _NUMERIC.fullmatch(host.lower().rstrip(".").rpartition(".")[2]) is not None


def is_host_name(host: str) -> bool:
    """True for a lower-case ASCII name of at most 253 characters, not numeric, no final dot."""
    labels = host.split(".")
    return (
        len(host) <= 253
        and all(_LABEL.fullmatch(label) for label in labels)
        and not is_numeric_host(host)
    )


def as_network(text: str) -> IpNetwork:
    """The network of a CIDR or of a single address.

    Raises:
        ValueError: it is neither, or has host bits set.
    """
    return ipaddress.ip_network(text)


def _address_complaint(text: str) -> str:
    if zone := _zone(text):
        return f"{text!r} names an interface; leave out {zone}"
    try:
        address = ipaddress.ip_address(_bare(text))
    except ValueError:
        if "/" in text and not _cidr_complaint(text):
            return f"{text!r} is a network; name one address of it"
        return f"{text!r} is not an IP address such as 10.1.0.5 or 2001:db8::5"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return f"write {text} as {address.ipv4_mapped}"
    return "" if str(address) == text else f"write {text} as {address}"


def _cidr_complaint(text: str) -> str:
    if zone := _zone(text):
        return f"{text!r} names an interface; leave out {zone}"
    address, slash, length = text.strip().partition("/")
    if not slash:
        said = _address_complaint(text)
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


def _host_complaint(text: str) -> str:
    name = text.removeprefix("*.")
    if is_numeric_host(name) or ":" in name:
        return f"{text!r} looks like an address, not a host name"
    if not text.isascii():
        return f"{text!r} is not ASCII; write its xn-- form"
    if is_host_name(name):
        return ""
    plain = text.strip().lower().removesuffix(".")
    if is_host_name(plain.removeprefix("*.")):
        return f"write {text} as {plain}"
    return f"{text!r} is not a host name"
