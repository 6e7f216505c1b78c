"""Which changes a rule may approve at once, and which wait for a person.

Pure. Judged are sets of addresses and names, never their spelling or the names of policies: equal
sets give equal findings. What the intent before already allows does not count again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from tld import is_tld
from tld.utils import MozillaTLDSourceParser, get_tld_names

from proxyconfig.domain.address_sets import AddressSet, phrase, public_space
from proxyconfig.domain.fields import JsonValue, PortRange, Transport
from proxyconfig.domain.grants import new_ungranted, with_kept_grants
from proxyconfig.domain.intent import EgressRule, Intent, SnatPool, canonical
from proxyconfig.domain.limits import DEFAULT_LIMITS, Limits
from proxyconfig.domain.objects import ChangeKind, IntentObject, ObjectChange, difference
from proxyconfig.domain.openings import (
    Door,
    Reach,
    admitted,
    is_named,
    port_lists,
    reaches,
    resolved_ports,
    total_reaches,
    used_pools,
    with_ports,
)

PRIVATE_DESTINATION: Final = "private-destination"
OPEN_TO_ANY_SOURCE: Final = "open-to-any-source"
OPEN_TO_ANY_DESTINATION: Final = "open-to-any-destination"
PORT_LIMIT: Final = "port-limit"
PROTOCOL_LIMIT: Final = "protocol-limit"
DESTINATION_LIMIT: Final = "destination-limit"
POOL_LIMIT: Final = "pool-limit"
MANY_DELETES: Final = "many-deletes"
CHANGE_RATE: Final = "change-rate"
APPROVAL_REQUIRED: Final = "approval-required"
# Not of the guardrails: its author wants somebody to look at it.
APPROVAL_REQUESTED: Final = "approval-requested"

# Things named in a message; the rest is counted.
_MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why a person has to look at a change.

    Attributes:
        code: stable word for machines; ``PRIVATE_DESTINATION`` needs a platform administrator.
        message: for people; the same for equal sets.
    """

    code: str
    message: str

    def plain(self) -> dict[str, JsonValue]:
        """For storage and API."""
        return {"code": self.code, "message": self.message}


@dataclass(frozen=True, slots=True)
class _Change:
    """What the checks look at."""

    before: Intent
    after: Intent
    limits: Limits
    changes: tuple[ObjectChange, ...]
    auto_apply: bool


def findings(
    before: Intent, after: Intent, *, limits: Limits = DEFAULT_LIMITS, auto_apply: bool = True
) -> tuple[Finding, ...]:
    """Why a rule may not approve the change, in reading order; empty when it may.

    Args:
        limits: what the tenant may open by rule.
        auto_apply: the tenant's wish that rules approve its changes at all.
    """
    before, after = canonical(before), canonical(after)
    change = _Change(before, after, limits, difference(before, after), auto_apply)
    return tuple(finding for check in CHECKS for finding in check(change))


def _private_destination(change: _Change) -> Iterator[Finding]:
    # A grant that only goes away asks nobody; one that no longer fits its rule asks again.
    after = with_kept_grants(change.before, change.after)
    rules = [rule for _, rule in new_ungranted(change.before, after)]
    if rules:
        yield Finding(
            PRIVATE_DESTINATION,
            f"Private destinations without a grant: {_private(rules, after)}. A platform"
            " administrator must grant them to open them.",
        )


def _private(rules: Iterable[EgressRule], intent: Intent) -> str:
    """Where the rules lead, the same for equal sets of networks and ports."""
    lists = port_lists(intent)
    openings = [
        (rule.protocol, resolved_ports(rule, lists), AddressSet.of((rule.cidr or "",)))
        for rule in rules
    ]
    found: dict[tuple[Transport, str], list[PortRange]] = {}
    for transport in Transport:
        here = [(ports, networks) for kind, ports, networks in openings if kind is transport]
        ranges = [entry for ports, _ in here for entry in ports]
        edges = sorted({edge for entry in ranges for edge in (entry.first, entry.last + 1)})
        for start, end in pairwise(edges):
            open_here = [
                networks for ports, networks in here if any(start in each for each in ports)
            ]
            if open_here:
                text = str(AddressSet.union(open_here))
                found.setdefault((transport, text), []).append(PortRange(start, end - 1))
    return ", ".join(with_ports(*item) for item in found.items())


def _open_to_any_source(change: _Change) -> Iterator[Finding]:
    known = admitted(change.before)
    for door, clients in sorted(admitted(change.after).items()):
        public = clients.public
        if door.port >= change.limits.open_ports_from:
            continue
        if not change.limits.has_too_many_sources(public):
            continue
        if not public <= known.get(door, AddressSet()).public:
            yield Finding(
                OPEN_TO_ANY_SOURCE,
                f"{_clients(clients)} can reach {door}. Name the networks that may connect, or"
                " have another member approve it.",
            )


def _clients(clients: AddressSet) -> str:
    version = 4 if clients.v4 else 6
    if clients == AddressSet.everything().family(version):
        return "Any client"
    if clients.public == public_space().family(version):
        return "Any public client"
    return f"Clients in {clients.public} ({_share(clients, version)})"


def _share(addresses: AddressSet, version: int) -> str:
    part = addresses.public.size(version) / public_space().size(version)
    return f"{part:.1%} of the public IPv{version} addresses"


def _open_to_any_destination(change: _Change) -> Iterator[Finding]:
    total = Reach.union(now for _, now in total_reaches(change.before, change.after))
    everything = total.addresses.public
    if new := _too_many_new_addresses(change, everything):
        says = f"can reach {_destinations(new)}"
        if new != everything:
            together = f"together with what is open, {_shares(everything)}"
            says = f"can also reach {_destinations(new)}; {together}"
        yield Finding(
            OPEN_TO_ANY_DESTINATION,
            f"Workloads {says}. Name the hosts or networks that are needed, or have another member"
            " approve it.",
        )
    grown = Reach.union(now.beyond(was) for was, now in reaches(change.before, change.after))
    if broad := sorted(filter(is_broad_name, grown.names)):
        yield Finding(
            OPEN_TO_ANY_DESTINATION,
            f"Workloads can reach every host under {_listed(broad)}, where anybody can register"
            " names. Name the hosts that are needed, or have another member approve it.",
        )


def _too_many_new_addresses(change: _Change, total: AddressSet) -> AddressSet:
    """The public destinations that are new, where too many are open; else none.

    New: on all ports together, on one port, or in what is new on any port.
    """
    is_wide = change.limits.has_too_many_destinations
    if not is_wide(total):
        return AddressSet()  # Then no part of it is; the pieces need no look.
    pieces = [
        (was.addresses.public, now.addresses.public)
        for was, now in (
            *total_reaches(change.before, change.after),
            *reaches(change.before, change.after),
        )
    ]
    new = AddressSet.union(now - was for was, now in pieces)
    is_more = any(is_wide(now) and not now <= was for was, now in pieces)
    return new if is_more or is_wide(new) else AddressSet()


def _destinations(public: AddressSet) -> str:
    text = phrase(public)
    return text if text != str(public) else f"{text} ({_shares(public)})"


def _shares(public: AddressSet) -> str:
    return ", ".join(_share(public, version) for version in (4, 6) if public.family(version))


def is_broad_name(name: str) -> bool:
    """True for a wildcard whose base is a public suffix, is one label, or is above such suffixes.

    By the public suffix list, private suffixes (``github.io``) included: ``*.amazonaws.com`` holds
    ``s3.amazonaws.com``, under which anybody has a name.
    """
    if not name.startswith("*"):
        return False
    base = name.removeprefix("*").removeprefix(".")
    if "." not in base:
        return True
    return any(is_tld(text) or _is_above_suffixes(text) for text in {base, _unicode(base)})


def _is_above_suffixes(name: str) -> bool:
    """True when the public suffix list goes on below the name; its trie is built once."""
    # Any: the package leaves its nodes untyped.
    node: Any = (get_tld_names() or {})[MozillaTLDSourceParser.local_path].root
    for label in reversed(name.split(".")):
        below = node.children or {}
        node = below.get(label) or below.get("*")
        if node is None:
            return False
    return bool(node.children)


def _unicode(name: str) -> str:
    """The name as the public suffix list writes it."""
    try:
        return name.encode("ascii").decode("idna")
    except UnicodeError:
        return name


def _doors(change: _Change) -> list[Door]:
    """The doors that the change opens."""
    return sorted(admitted(change.after).keys() - admitted(change.before).keys())


def _listener_limits(change: _Change) -> Iterator[Finding]:
    limits, doors = change.limits, _doors(change)
    ports = sorted({d.port for d in doors if not any(d.port in r for r in limits.ports)})
    if limits.ports and ports:
        yield Finding(
            PORT_LIMIT,
            f"Listeners open on {_listed(map(str, ports))}; by rule only on"
            f" {_listed(map(str, limits.ports))}.",
        )
    protocols = sorted({door.protocol for door in doors} - {*limits.protocols})
    if limits.protocols and protocols:
        yield Finding(
            PROTOCOL_LIMIT,
            f"Listeners open for {_listed(protocols)}; by rule only for"
            f" {_listed(limits.protocols)}.",
        )


def _destination_limit(change: _Change) -> Iterator[Finding]:
    allowed = change.limits.destinations
    if not allowed:
        return
    networks = AddressSet.of(allowed)
    beyond = Reach.union(now.beyond(was) for was, now in reaches(change.before, change.after))
    addresses = beyond.addresses.public - networks
    names = sorted(name for name in beyond.names if not is_named(name, frozenset(allowed)))
    found = [*([str(addresses)] if addresses else []), *names]
    if found:
        yield Finding(
            DESTINATION_LIMIT,
            f"Workloads can reach {_listed(found)}; by rule only {_listed(allowed)}.",
        )


def _pool_limit(change: _Change) -> Iterator[Finding]:
    allowed = change.limits.pools
    found = sorted(used_pools(change.after) - used_pools(change.before) - {*allowed})
    if allowed and found:
        yield Finding(
            POOL_LIMIT,
            f"Connections leave from SNAT pool {_listed(found)}; by rule only from"
            f" {_listed(allowed)}.",
        )


def _many_deletes(change: _Change) -> Iterator[Finding]:
    deleted = sum(map(_deleted, change.changes))
    if deleted > change.limits.deletes:
        yield Finding(
            MANY_DELETES,
            f"{deleted} objects and rules are deleted; up to {change.limits.deletes} need no"
            " approval.",
        )


def _deleted(change: ObjectChange) -> int:
    if change.kind is ChangeKind.DELETE:
        return 1
    return max(_parts(change.before) - _parts(change.after), 0)


def _parts(item: IntentObject | None) -> int:
    """How many rules, subnets or SNAT addresses an object has."""
    if isinstance(item, SnatPool):
        return len(item.addresses)
    return sum(len(getattr(item, name, ())) for name in ("rules", "subnets"))


def _auto_apply_off(change: _Change) -> Iterator[Finding]:
    if change.changes and not change.auto_apply:
        yield Finding(
            APPROVAL_REQUIRED,
            f"Every change of tenant {change.after.tenant} needs the approval of another member.",
        )


def _listed(texts: Iterable[str]) -> str:
    known = [*texts]
    more = len(known) - _MOST_NAMED
    named = ", ".join(known[:_MOST_NAMED])
    return f"{named} and {more} more" if more > 0 else named


# In the order in which people should read them.
CHECKS = (
    _private_destination,
    _open_to_any_source,
    _open_to_any_destination,
    _listener_limits,
    _destination_limit,
    _pool_limit,
    _many_deletes,
    _auto_apply_off,
)
