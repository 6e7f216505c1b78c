"""Sets of addresses: equal sets are equal values, however their networks were written.

Each family is a tuple of intervals of numbers, so that thousands of networks cost milliseconds.
"""

import bisect
import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final, Self

from proxyconfig.domain.destinations import is_public
from tenants.domain.notation import IpNetwork

# Inclusive at both ends.
Interval = tuple[int, int]
_Intervals = tuple[Interval, ...]
_LAST: Final = {4: (1 << 32) - 1, 6: (1 << 128) - 1}
# Networks named in a description; the rest is counted.
_MOST_NAMED: Final = 3
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")

# Every place at which ``is_public`` can change its answer: IANA's special-purpose registries of
# both families, the reserved blocks of RFC 4291, and what ``destinations`` adds.
_EDGES: Final[tuple[str, ...]] = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32"),
    *("169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32"),
    *("192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/31", "192.0.2.0/24", "192.31.196.0/24"),
    *("192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    *("255.255.255.255/32", "::/128", "::1/128", "::/96", "::ffff:0:0/96", "::/8", "100::/8"),
    *("64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "200::/7", "400::/6"),
    *("800::/5", "1000::/4", "2001::/23", "2001::/32", "2001:1::1/128", "2001:1::2/128"),
    *("2001:1::3/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48", "2001:10::/28"),
    *("2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48"),
    *("3fff::/20", "4000::/3", "5f00::/16", "6000::/3", "8000::/3", "a000::/3", "c000::/3"),
    *("e000::/4", "f000::/5", "f800::/6", "fc00::/7", "fe00::/9", "fe80::/10", "fec0::/10"),
    "ff00::/8",
)


@dataclass(frozen=True, slots=True)
class AddressSet:
    """A set of IPv4 and IPv6 addresses; both families ascending, apart, never adjacent."""

    v4: _Intervals = ()
    v6: _Intervals = ()

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """The union of addresses and networks; host bits are left out.

        Text that is neither holds nothing: a stored intent may be older than today's notation.
        """
        found: dict[int, list[Interval]] = {4: [], 6: []}
        for text in texts:
            network = network_of(text)
            if network is not None:
                ends = (int(network.network_address), int(network.broadcast_address))
                found[network.version].append(ends)
        return cls(_normal(found[4]), _normal(found[6]))

    @classmethod
    def everything(cls) -> Self:
        """Every address of both families."""
        return cls(((0, _LAST[4]),), ((0, _LAST[6]),))

    @classmethod
    def union(cls, sets: Iterable["AddressSet"]) -> Self:
        """What is in any of the sets."""
        known = tuple(sets)
        return cls(
            _normal([pair for one in known for pair in one.v4]),
            _normal([pair for one in known for pair in one.v6]),
        )

    def __or__(self, other: "AddressSet") -> "AddressSet":
        return AddressSet.union((self, other))

    def __sub__(self, other: "AddressSet") -> "AddressSet":
        return AddressSet(_without(self.v4, other.v4), _without(self.v6, other.v6))

    def __and__(self, other: "AddressSet") -> "AddressSet":
        return self - (self - other)

    def __le__(self, other: "AddressSet") -> bool:
        return not self - other

    def __bool__(self) -> bool:
        return bool(self.v4 or self.v6)

    def family(self, version: int) -> "AddressSet":
        """The addresses of IP version 4 or 6."""
        return AddressSet(v4=self.v4) if version == 4 else AddressSet(v6=self.v6)

    @property
    def public(self) -> "AddressSet":
        """Those that an egress rule may open without a grant; see ``destinations``."""
        return self & public_space()

    def size(self, version: int) -> int:
        """How many addresses of that IP version."""
        return sum(last - first + 1 for first, last in (self.v4 if version == 4 else self.v6))

    def networks(self) -> Iterator[IpNetwork]:
        """The fewest networks that are the set, IPv4 first, ascending."""
        for first, last in self.v4:
            yield from ipaddress.summarize_address_range(
                ipaddress.IPv4Address(first), ipaddress.IPv4Address(last)
            )
        for first, last in self.v6:
            yield from ipaddress.summarize_address_range(
                ipaddress.IPv6Address(first), ipaddress.IPv6Address(last)
            )

    def __str__(self) -> str:
        """The first networks and how many more there are; a single address without its length."""
        texts = [_short(network) for network in self.networks()]
        if not texts:
            return "no address"
        more = len(texts) - _MOST_NAMED
        named = ", ".join(texts[:_MOST_NAMED])
        return f"{named} and {more} more network{'s' if more > 1 else ''}" if more > 0 else named


@cache
def public_space() -> AddressSet:
    """Every address that ``is_public`` calls public."""
    edges = [ipaddress.ip_network(text) for text in _EDGES]
    found: dict[int, list[Interval]] = {}
    for version, kind in ((4, ipaddress.IPv4Address), (6, ipaddress.IPv6Address)):
        starts = {0, _LAST[version] + 1}
        for edge in edges:
            if edge.version == version:
                starts |= {int(edge.network_address), int(edge.broadcast_address) + 1}
        found[version] = [
            (start, end - 1) for start, end in pairwise(sorted(starts)) if is_public(kind(start))
        ]
    mapped = AddressSet(v6=((int(_MAPPED[0]), int(_MAPPED[-1])),))
    # ``is_public`` judges a mapped address as its IPv4 one, which is in the other family here.
    return AddressSet(_normal(found[4]), _normal(found[6])) - mapped


def phrase(addresses: AddressSet) -> str:
    """The set as a destination in a sentence."""
    if addresses == public_space():
        return "any public address"
    for version in (4, 6):
        if addresses == public_space().family(version):
            return f"any public IPv{version} address"
    return str(addresses)


def network_of(text: str) -> IpNetwork | None:
    """The network or address, host bits left out, a mapped one as IPv4; None for other text."""
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        address = ipaddress.IPv4Address(int(network.network_address) & _LAST[4])
        return ipaddress.ip_network(f"{address}/{network.prefixlen - 96}")
    return network


def _normal(pairs: list[Interval]) -> _Intervals:
    merged: list[Interval] = []
    for first, last in sorted(pairs):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def _without(left: _Intervals, right: _Intervals) -> _Intervals:
    kept: list[Interval] = []
    for first, last in left:
        start = first
        # The first one that may reach into this interval: intervals are apart and ascending.
        place = max(bisect.bisect_left(right, (first, first)) - 1, 0)
        while place < len(right) and right[place][0] <= last and start <= last:
            low, high = right[place]
            if high >= start:
                if low > start:
                    kept.append((start, low - 1))
                start = high + 1
            place += 1
        if start <= last:
            kept.append((start, last))
    return tuple(kept)


def _short(network: IpNetwork) -> str:
    is_single = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if is_single else str(network)
