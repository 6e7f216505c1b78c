"""How host names are written, and which notation a field has; addresses are the ground's."""

import re
from typing import assert_never

from proxyconfig.domain.fields import Format
from tenants.domain.notation import address_complaint, network_complaint, source_complaint

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# What inet_aton and browsers take for an address: 127.1, 0x7f.1, 017700000001, 2130706433.
_NUMERIC = re.compile(r"0x[0-9a-f]*|[0-9]+")


def complaint(form: Format, text: str) -> str:
    """What is wrong with ``text`` as a ``form``; "" when it is well written."""
    match form:
        case "":
            return ""
        case "address":
            return address_complaint(text)
        case "cidr":
            return network_complaint(text)
        case "source":
            return source_complaint(text)
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
