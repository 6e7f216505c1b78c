"""The HTTP/1.1 that the egress proxy needs: heads, framing and answers. No I/O.

Strict on purpose (RFC 9112): what two parsers could read differently is refused, not repaired.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from proxyconfig.domain.fields import JsonValue

Framing = int | Literal["chunked"]

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "te", "trailer", "upgrade", "proxy-connection"}
)
REASONS: Final[Mapping[int, str]] = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass(frozen=True, slots=True)
class Head:
    """The first line in its three parts, and the fields in their order, names as they came."""

    first: tuple[str, str, str]
    fields: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        """All values of a field; ``name`` in lower case."""
        return [value for key, value in self.fields if key.lower() == name]

    def value(self, name: str) -> str:
        """The only value of a field, "" when it is absent.

        Raises:
            ValueError: it is there more than once.
        """
        found = self.values(name)
        if len(found) > 1:
            raise ValueError(f"the header {name} is there {len(found)} times")
        return found[0] if found else ""


def parse_head(raw: bytes) -> Head:
    """Read a head that ends with an empty line.

    Raises:
        ValueError: it is not strictly HTTP/1.x.
    """
    lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    parts = lines[0].split(" ", 2)
    if len(parts) != 3 or any("\n" in line or "\r" in line or "\0" in line for line in lines):
        raise ValueError("the first line is not that of an HTTP message")
    fields = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError("a header line is malformed")
        fields.append((name, value))
    return Head((parts[0], parts[1], parts[2]), tuple(fields))


def parse_request(raw: bytes) -> Head:
    """Read a request head: method, target, version.

    Raises:
        ValueError: it is not strictly an HTTP/1.0 or 1.1 request.
    """
    head = parse_head(raw)
    method, target, version = head.first
    if not _TOKEN.fullmatch(method) or version not in ("HTTP/1.1", "HTTP/1.0"):
        raise ValueError("only HTTP/1.1 is spoken here")
    if not re.fullmatch(r"[\x21-\x7e]+", target):
        raise ValueError("the request target has characters outside printable ASCII")
    return head


def body_framing(head: Head) -> Framing:
    """How a request's body is delimited: its length in bytes (0: none), or chunked.

    Raises:
        ValueError: it says both, or two lengths, or a coding other than chunked.
    """
    length, coding = head.value("content-length"), head.value("transfer-encoding")
    if coding:
        if length or coding.lower() != "chunked":
            raise ValueError("the body's framing is ambiguous")
        return "chunked"
    if length and not re.fullmatch(r"[0-9]{1,15}", length):
        raise ValueError("Content-Length is not a number")
    return int(length or 0)


def split_absolute(target: str) -> tuple[str, str]:
    """``http://host:port/path?query`` as authority and origin form.

    Raises:
        ValueError: another scheme, user information, a fragment or a backslash.
    """
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() != "http":
        raise ValueError("the target is not an absolute http:// URL; use CONNECT for https")
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    if "@" in authority or "\\" in target or "#" in target:
        raise ValueError("the URL has user information, a backslash or a fragment")
    origin = rest[len(authority) :]
    return authority, origin if origin.startswith("/") else f"/{origin}"


def forwarded_request(head: Head, *, origin: str, host: str) -> bytes:
    """The request as the far side sees it: origin form, one exchange, nothing that is ours.

    Credentials for the proxy, ``X-Sluice-*`` and hop-by-hop fields are gone, Host is the URL's.
    """
    method = head.first[0]
    lines = [f"{method} {origin} HTTP/1.1", f"Host: {host}"]
    lines.extend(f"{name}: {value}" for name, value in _end_to_end(head) if name.lower() != "host")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


def forwarded_response(head: Head) -> bytes:
    """A response head for the client: as it came, but the connection ends after it."""
    lines = [" ".join(head.first)]
    lines.extend(f"{name}: {value}" for name, value in _end_to_end(head))
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


def _end_to_end(head: Head) -> list[tuple[str, str]]:
    named = {
        token.strip().lower() for value in head.values("connection") for token in value.split(",")
    }
    # What delimits the body stays, whatever Connection says; dropping it would smuggle a request.
    dropped = (named - {"content-length", "transfer-encoding", "host"}) | _HOP_BY_HOP
    return [
        (name, value)
        for name, value in head.fields
        if name.lower() not in dropped and not name.lower().startswith(("proxy-", "x-sluice"))
    ]


def answer(
    status: int,
    body: Mapping[str, JsonValue],
    *,
    reason: str = "",
    fields: Sequence[tuple[str, str]] = (),
) -> bytes:
    """A whole JSON response after which the connection closes."""
    content = json.dumps(body).encode() + b"\n"
    lines = [
        f"HTTP/1.1 {status} {reason or REASONS.get(status, 'OK')}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in fields),
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1", "replace") + content


def proxy_status(error: str, details: str) -> tuple[str, str]:
    """The Proxy-Status field (RFC 9209); ``details`` becomes a structured string (RFC 9651)."""
    plain = re.sub(r"[^\x20-\x7e]", "?", details).replace("\\", "\\\\").replace('"', '\\"')
    return "Proxy-Status", f'sluice; error={error}; details="{plain}"'
