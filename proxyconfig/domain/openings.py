"""What an intent lets in and out, as sets of addresses and names: the ground of guardrails, rights
and the sentences about a change. Spelling, order and the names of policies are gone here.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final, NamedTuple

from proxyconfig.domain.address_sets import AddressSet
from proxyconfig.domain.fields import Action, Mode, PortRange, Protocol, Transport
from proxyconfig.domain.intent import EgressPolicy, EgressRule, IngressPolicy, Intent, Listener

_MOST_PORTS: Final = 3
_ANY_PORT: Final = (PortRange(1, 65535),)


class Door(NamedTuple):
    """Where clients connect; the name of the listener does not matter."""

    cluster: str
    address: str
    port: int
    protocol: Protocol

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        suffix = "/udp" if self.protocol is Protocol.UDP else ""
        return f"{host}:{self.port}{suffix}"


def door_of(listener: Listener) -> Door:
    """The door of a listener."""
    return Door(listener.cluster, listener.virtual_address, listener.port, listener.protocol)


def address_lists(intent: Intent) -> dict[str, AddressSet]:
    """Each address list as a set."""
    return {entry.name: AddressSet.of(entry.addresses) for entry in intent.address_lists}


def admitted(intent: Intent) -> dict[Door, AddressSet]:
    """Which clients reach each open door, of the door's own IP version.

    The union over the enforced policies of the door; hosts and paths do not matter. A policy with
    neither sources nor lists lets in everything.
    """
    lists = address_lists(intent)
    doors = {listener.name: door_of(listener) for listener in intent.listeners}
    found: dict[Door, list[AddressSet]] = {}
    for policy in intent.ingress_policies:
        door = doors.get(policy.listener)
        if door is not None and policy.mode is Mode.ENFORCED:
            found.setdefault(door, []).append(_sources(policy, lists))
    clients = {
        door: AddressSet.union(sets).family(6 if ":" in door.address else 4)
        for door, sets in found.items()
    }
    return {door: addresses for door, addresses in clients.items() if addresses}


def _sources(policy: IngressPolicy, lists: dict[str, AddressSet]) -> AddressSet:
    if not policy.sources and not policy.source_lists:
        return AddressSet.everything()
    listed = (lists.get(name, AddressSet()) for name in policy.source_lists)
    return AddressSet.union((AddressSet.of(policy.sources), *listed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """One enforced egress rule with its lists resolved.

    Attributes:
        host: a name or ``*.suffix``; "" for a rule about addresses.
        addresses: that it can open: the public ones, and private ones where it is granted.
        until: when it expires; None for never.
        sources: the SNAT addresses that connections leave from.
    """

    action: Action
    transport: Transport
    ports: tuple[PortRange, ...]
    host: str
    addresses: AddressSet
    until: datetime | None
    sources: AddressSet

    def lives_to(self, moment: datetime | None) -> bool:
        """True when it does not expire before ``moment``; None stands for the end of time."""
        return self.until is None or (moment is not None and self.until >= moment)


def exits(intent: Intent) -> tuple[Exit, ...]:
    """The enforced egress rules in the order of matching.

    Staged policies are not among them: a proxy lets nothing through because of them, and making
    one enforced is a change of its own.
    """
    lists = address_lists(intent)
    ports, pools = port_lists(intent), _pool_addresses(intent)
    return tuple(
        Exit(
            action=rule.action,
            transport=rule.protocol,
            ports=resolved_ports(rule, ports),
            host=rule.host or "",
            addresses=_reachable(rule, lists),
            until=policy.expires_at,
            sources=pools.get(policy.snat_pool, AddressSet()),
        )
        for policy in sorted(intent.egress_policies, key=_place)
        for rule in sorted(policy.rules, key=lambda rule: rule.order)
        if policy.mode is Mode.ENFORCED
    )


def port_lists(intent: Intent) -> dict[str, tuple[PortRange, ...]]:
    """The ports of each port list."""
    return {entry.name: entry.ports for entry in intent.port_lists}


def resolved_ports(
    rule: EgressRule, lists: dict[str, tuple[PortRange, ...]]
) -> tuple[PortRange, ...]:
    """Ports of the rule and its lists, joined, ascending and apart."""
    listed = (ports for name in rule.port_lists for ports in lists.get(name, ()))
    return joined_ports((*rule.ports, *listed))


def joined_ports(ranges: Iterable[PortRange]) -> tuple[PortRange, ...]:
    """The same ports, ascending and apart."""
    merged: list[PortRange] = []
    for ports in sorted(ranges):
        if merged and ports.first <= merged[-1].last + 1:
            merged[-1] = PortRange(merged[-1].first, max(ports.last, merged[-1].last))
        else:
            merged.append(ports)
    return tuple(merged)


def with_ports(what: tuple[Transport, str], ports: Iterable[PortRange]) -> str:
    """A destination and its ports for people, as in ``10.0.0.0/8 on ports 80, 443``."""
    transport, text = what
    joined = joined_ports(ports)
    suffix = "" if transport is Transport.TCP else "/udp"
    if joined == _ANY_PORT:
        return f"{text} on every {transport.value.upper()} port"
    if len(joined) == 1 and " " not in text and ":" not in text and "/" not in text:
        return f"{text}:{joined[0]}{suffix}"
    more = len(joined) - _MOST_PORTS
    named = ", ".join(str(entry) for entry in joined[:_MOST_PORTS])
    is_single = len(joined) == 1 and joined[0].first == joined[0].last
    word = "port" if is_single else "ports"
    return f"{text} on {word} {named}{f' and {more} more' if more > 0 else ''}{suffix}"


def _pool_addresses(intent: Intent) -> dict[str | None, AddressSet]:
    """The addresses of each SNAT pool; at None those that a policy takes which names no pool."""
    known: dict[str | None, AddressSet] = {
        pool.name: AddressSet.of(pool.addresses) for pool in intent.snat_pools
    }
    return {**known, None: AddressSet.union(known[name] for name in _only_pools(intent))}


def _place(policy: EgressPolicy) -> tuple[int, str]:
    return policy.order, policy.name


def _reachable(rule: EgressRule, lists: dict[str, AddressSet]) -> AddressSet:
    named = AddressSet.of((rule.cidr,)) if rule.cidr else AddressSet()
    named |= lists.get(rule.address_list or "", AddressSet())
    # As the proxies do: only a granted rule opens what is not public; a denial denies all of it.
    is_whole = rule.granted is not None or rule.action is Action.DENY
    return named if is_whole else named.public


@dataclass(frozen=True, slots=True)
class Reach:
    """Where workloads can go on some ports, denials ignored."""

    addresses: AddressSet
    names: frozenset[str]

    @classmethod
    def of(cls, found: Iterable[Exit]) -> "Reach":
        """What the allowing rules among them open together."""
        allowing = [entry for entry in found if entry.action is Action.ALLOW]
        names = frozenset(entry.host for entry in allowing if entry.host)
        return cls(
            AddressSet.union(entry.addresses for entry in allowing),
            _fewest(names),
        )

    @classmethod
    def union(cls, reaches: Iterable["Reach"]) -> "Reach":
        """What is in any of them."""
        known = tuple(reaches)
        return cls(
            AddressSet.union(reach.addresses for reach in known),
            _fewest(frozenset(name for reach in known for name in reach.names)),
        )

    def beyond(self, other: "Reach") -> "Reach":
        """What is in this and not in the other."""
        return Reach(
            self.addresses - other.addresses,
            frozenset(name for name in self.names if not is_named(name, other.names)),
        )


def is_named(name: str, patterns: AbstractSet[str]) -> bool:
    """True when one of the patterns fits every name that ``name``, maybe a wildcard, fits."""
    labels = name.removeprefix("*.").split(".")
    first = 0 if name.startswith("*.") else 1
    return (
        name in patterns
        or "*" in patterns
        or any("*." + ".".join(labels[place:]) in patterns for place in range(first, len(labels)))
    )


def _fewest(names: frozenset[str]) -> frozenset[str]:
    """Without the names that another one fits."""
    wildcards = frozenset(name for name in names if name.startswith("*"))
    return frozenset(name for name in names if not is_named(name, wildcards - {name}))


class Piece(NamedTuple):
    """Ports so few that each rule has all of them or none, and the rules of both sides there."""

    transport: Transport
    ports: PortRange
    before: tuple[Exit, ...]
    after: tuple[Exit, ...]


def pieces(before: Intent, after: Intent) -> Iterator[Piece]:
    """Every port that a rule of either side is about, in pieces, rules in the order of matching."""
    sides = (exits(before), exits(after))
    for transport in Transport:
        # By port: the rules that begin or end there. A rule's ranges are apart, so it does so once.
        edges: dict[int, set[tuple[int, int]]] = {}
        for side, found in enumerate(sides):
            for place, entry in enumerate(found):
                for ports in entry.ports if entry.transport is transport else ():
                    edges.setdefault(ports.first, set()).add((side, place))
                    edges.setdefault(ports.last + 1, set()).add((side, place))
        active: set[tuple[int, int]] = set()
        for start, end in pairwise(sorted(edges)):
            active ^= edges[start]
            here = sorted(active)
            was, now = (tuple(sides[n][place] for side, place in here if side == n) for n in (0, 1))
            yield Piece(transport, PortRange(start, end - 1), was, now)


def reaches(before: Intent, after: Intent) -> Iterator[tuple[Reach, Reach]]:
    """What each side allows in each piece of ports and time, as pairs (before, after).

    Pieces in which ``after`` has no rule are left out. Pieces of time end where a rule of
    ``after`` expires, so that a later expiry counts as more.
    """
    for piece in pieces(before, after):
        for moment in {entry.until for entry in piece.after}:
            yield _lasting(piece.before, moment), _lasting(piece.after, moment)


def total_reaches(before: Intent, after: Intent) -> Iterator[tuple[Reach, Reach]]:
    """As ``reaches``, all ports together."""
    old, new = exits(before), exits(after)
    for moment in {entry.until for entry in new}:
        yield _lasting(old, moment), _lasting(new, moment)


def _lasting(found: Iterable[Exit], moment: datetime | None) -> Reach:
    return Reach.of(entry for entry in found if entry.lives_to(moment))


def used_pools(intent: Intent) -> frozenset[str]:
    """The SNAT pools that enforced egress policies send from.

    A policy that names none takes the only pool of each cluster.
    """
    only = _only_pools(intent)
    used: set[str] = set()
    for policy in intent.egress_policies:
        if policy.mode is Mode.ENFORCED and any(r.action is Action.ALLOW for r in policy.rules):
            used |= {policy.snat_pool} if policy.snat_pool else only
    return frozenset(used)


def _only_pools(intent: Intent) -> frozenset[str]:
    """The SNAT pools that are the only one of their cluster."""
    by_cluster: dict[str, list[str]] = {}
    for pool in intent.snat_pools:
        by_cluster.setdefault(pool.cluster, []).append(pool.name)
    return frozenset(names[0] for names in by_cluster.values() if len(names) == 1)
