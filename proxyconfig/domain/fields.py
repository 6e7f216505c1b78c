"""The scalar types of an intent. Limits stand in the type; schema, codec and docs read them."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self, TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
Format = Literal["", "address", "cidr", "source", "host", "destination"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a value must satisfy beyond its Python type.

    Attributes:
        pattern: anchored regular expression for text.
        says: how to write it, for whoever did not match the pattern; no one is shown a pattern.
        minimum, maximum: inclusive, for integers.
        longest: greatest number of characters of text, or of items of a list.
        form: a notation that a pattern cannot express; see ``notation.complaint``.
    """

    pattern: str = ""
    says: str = ""
    minimum: int | None = None
    maximum: int | None = None
    longest: int | None = None
    form: Format = ""


@dataclass(frozen=True, slots=True)
class Says:
    """One line for the schema and the reference page."""

    text: str


class Protocol(StrEnum):
    """What a listener speaks."""

    HTTP = "http"
    TCP = "tcp"
    UDP = "udp"


class Transport(StrEnum):
    """What an egress rule is about."""

    TCP = "tcp"
    UDP = "udp"


class Action(StrEnum):
    """What a matching egress rule does."""

    ALLOW = "allow"
    DENY = "deny"


class Mode(StrEnum):
    """Enforced acts; staged is only looked at, so that its effect can be seen before it has one."""

    ENFORCED = "enforced"
    STAGED = "staged"


class Advertised(StrEnum):
    """Which of the tenant's addresses a BGP peer is told about."""

    VIRTUAL_ADDRESSES = "virtualAddresses"
    SNAT_ADDRESSES = "snatAddresses"
    SUBNETS = "subnets"


_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """One port, or all from ``first`` to ``last`` inclusive; written ``443`` or ``"8000-8099"``."""

    first: int
    last: int

    @classmethod
    def single(cls, port: int) -> Self:
        """The range that holds just ``port``."""
        return cls(port, port)

    @classmethod
    def parse(cls, value: JsonValue) -> Self:
        """Read what ``plain`` writes; text digits are taken too.

        Raises:
            ValueError: not a port or range, or the range runs backwards.
        """
        match = None if isinstance(value, bool) else _PORTS.fullmatch(str(value))
        if match is None:
            raise ValueError(f"{value!r} is neither a port nor a range such as 8000-8099")
        first = int(match[1])
        last = int(match[2] or match[1])
        if not 1 <= first <= last <= 65535:
            raise ValueError(f"{value} is not within 1 to 65535, lower port first")
        return cls(first, last)

    def plain(self) -> int | str:
        """The form that stands in a manifest."""
        return self.first if self.first == self.last else f"{self.first}-{self.last}"

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last

    def __str__(self) -> str:
        return str(self.plain())


# DNS-1123 label: it becomes part of Kubernetes, TMM and Caddy object names.
Name = Annotated[
    str,
    Limits(
        pattern=r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
        says="use lower-case letters, digits and hyphens; begin and end with a letter or digit",
        longest=63,
    ),
]
Address = Annotated[str, Limits(form="address", longest=45)]
Cidr = Annotated[str, Limits(form="cidr", longest=49)]
# A bare address means that one address.
Source = Annotated[str, Limits(form="source", longest=49)]
Host = Annotated[str, Limits(form="host", longest=255)]
Port = Annotated[int, Limits(minimum=1, maximum=65535)]
Order = Annotated[int, Limits(minimum=0, maximum=1_000_000)]
Asn = Annotated[int, Limits(minimum=1, maximum=4_294_967_295)]
Text = Annotated[str, Limits(longest=500)]
Moment: TypeAlias = datetime
