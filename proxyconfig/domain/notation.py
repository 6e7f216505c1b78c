"""How addresses, networks and host names are written: one form each, so equal means equal text."""

import ipaddress
import re
from typing import assert_never

from proxyconfig.domain.fields import Format

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
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
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return f"{text!r} is not an IP address"
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        return f"{text!r} names an interface; leave out %{address.scope_id}"
    return "" if str(address) == text else f"write {text} as {address}"


def _cidr_complaint(text: str) -> str:
    if "/" not in text:
        return f"{text!r} has no prefix length; write for example {text}/32"
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return f"{text!r} is not a network such as 10.1.0.0/16"
    return "" if str(network) == text else f"write {text} as {network}"


def _host_complaint(text: str) -> str:
    name = text.removeprefix("*.")
    if is_numeric_host(name) or ":" in name:
        return f"{text!r} looks like an address; use cidr for addresses"
    if not text.isascii():
        return f"{text!r} is not ASCII; write its xn-- form"
    if text != text.lower() or text.endswith("."):
        return f"write {text} as {text.lower().rstrip('.')}"
    return "" if is_host_name(name) else f"{text!r} is not a host name"
