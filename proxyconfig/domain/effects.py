"""What a change opens and closes, in sentences for the people who decide about it.

Made from sets, so that the same change reads the same however it was written.
"""

import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from proxyconfig.domain.address_sets import AddressSet, phrase
from proxyconfig.domain.fields import Action, Mode, PortRange, Transport
from proxyconfig.domain.holdings import claims
from proxyconfig.domain.intent import Intent, canonical
from proxyconfig.domain.objects import BY_NAME, ChangeKind, ObjectChange, difference, plain
from proxyconfig.domain.openings import Door, Exit, admitted, is_named, pieces, with_ports
from proxyconfig.domain.plan import FieldChange, changed_fields
from tenants.domain.claims import (
    AddressClaim,
    AddressRole,
    Claim,
    NamespaceClaim,
    SubnetClaim,
    VlanClaim,
    VniClaim,
)

MOST_SENTENCES: Final = 12
# Characters of one sentence.
LONGEST: Final = 200
_DONE: Final = {
    ChangeKind.ADD: "added",
    ChangeKind.CHANGE: "changed",
    ChangeKind.DELETE: "deleted",
}
_ROLES: Final = {
    AddressRole.VIRTUAL: "Virtual address",
    AddressRole.SNAT: "SNAT address",
    AddressRole.SELF_IP: "Self-IP",
    AddressRole.GATEWAY: "Gateway",
    AddressRole.RESERVED: "Reserved address",
}


def effects(before: Intent, after: Intent) -> tuple[str, ...]:
    """What the change opens and closes, most important first; bounded.

    Outward, denials are taken into account; a name that a rule denies and the addresses that
    another one allows are not compared, since only a look-up could tell.
    """
    before, after = canonical(before), canonical(after)
    opened, closed = _ingress(before, after)
    out_opened, out_closed = _egress(before, after)
    taken, released = _network(before, after)
    sentences = [*opened, *out_opened, *closed, *out_closed, *released, *taken]
    if len(sentences) > MOST_SENTENCES:
        more = len(sentences) - MOST_SENTENCES + 1
        sentences = [*sentences[: MOST_SENTENCES - 1], f"{more} more effects"]
    return tuple(textwrap.shorten(text, LONGEST, placeholder=" …") for text in sentences)


def summary(before: Intent, after: Intent) -> str:
    """The change in counts: ``2 policies added, 1 segment changed``."""
    counts: Counter[tuple[ChangeKind, str, str]] = Counter()
    for change in difference(canonical(before), canonical(after)):
        entry = BY_NAME[change.key.collection]
        is_policy = entry.label.endswith("policy")
        names = ("policy", "policies") if is_policy else (entry.label, entry.plural)
        counts[(change.kind, *names)] += 1
    order = [*_DONE]
    parts = [
        f"{count} {singular if count == 1 else plural} {_DONE[kind]}"
        for (kind, singular, plural), count in sorted(
            counts.items(), key=lambda item: (order.index(item[0][0]), item[0][1] != "policy")
        )
    ]
    return ", ".join(parts) or "No changes"


def field_changes(change: ObjectChange) -> tuple[FieldChange, ...]:
    """The fields of one object that the change touches; parts are matched by what they are."""
    return changed_fields(
        {} if change.before is None else plain(change.before),
        {} if change.after is None else plain(change.after),
    )


def _ingress(before: Intent, after: Intent) -> tuple[list[str], list[str]]:
    """Sentences of what is opened, and of what is closed."""
    was, now = admitted(before), admitted(after)
    named = _door_namer(before, after)
    opened: list[tuple[bool, str]] = []
    closed: list[str] = []
    for door in sorted(was.keys() | now.keys()):
        old, new = was.get(door, AddressSet()), now.get(door, AddressSet())
        everyone = AddressSet.everything().family(6 if ":" in door.address else 4)
        if new - old:
            who = "Any client" if new == everyone else str(new - old)
            opened.append((new != everyone, f"{who} can reach {named(door)}"))
        if not new:
            closed.append(f"{named(door)} no longer accepts connections")
        elif old - new:
            who = f"Clients outside {new}" if old == everyone else str(old - new)
            closed.append(f"{who} can no longer reach {named(door)}")
        if old and new and _routes(before, door) != _routes(after, door):
            closed.append(f"Requests to {named(door)} are routed differently")
    return [text for _, text in sorted(opened, key=lambda pair: pair[0])], closed


def _door_namer(before: Intent, after: Intent) -> Callable[[Door], str]:
    is_one = len({*before.clusters, *after.clusters}) < 2
    return lambda door: str(door) if is_one else f"{door} on cluster {door.cluster}"


def _routes(intent: Intent, door: Door) -> list[object]:
    """What is matched on a door and who answers, in order; sources aside."""
    names = {
        listener.name
        for listener in intent.listeners
        if (listener.cluster, listener.virtual_address, listener.port, listener.protocol) == door
    }
    return [
        (frozenset(policy.hostnames), policy.path_prefix, policy.backend)
        for policy in intent.ingress_policies
        if policy.listener in names and policy.mode is Mode.ENFORCED
    ]


@dataclass(frozen=True, slots=True)
class _Allowed:
    """Where workloads can go on one port, in the order of rules.

    Attributes:
        names: allowed names that no earlier rule denies.
        exceptions: names that are denied although a later rule would fit them.
    """

    addresses: AddressSet
    names: frozenset[str]
    exceptions: frozenset[str]

    def has(self, name: str) -> bool:
        """True when the name is allowed, whole."""
        return is_named(name, self.names) and not is_named(name, self.exceptions)


def _egress(before: Intent, after: Intent) -> tuple[list[str], list[str]]:
    gained: dict[tuple[Transport, str], list[PortRange]] = {}
    lost: dict[tuple[Transport, str], list[PortRange]] = {}
    for piece in pieces(before, after):
        was, now = _allowed(piece.before), _allowed(piece.after)
        for found, some, other in ((gained, now, was), (lost, was, now)):
            for what in _beyond(some, other):
                found.setdefault((piece.transport, what), []).append(piece.ports)
    return (
        [f"Workloads can reach {with_ports(*item)}" for item in gained.items()],
        [f"Workloads can no longer reach {with_ports(*item)}" for item in lost.items()],
    )


def _allowed(found: Iterable[Exit]) -> _Allowed:
    denied, allowed = AddressSet(), AddressSet()
    denied_names: set[str] = set()
    names: set[str] = set()
    exceptions: set[str] = set()
    for entry in found:
        if entry.action is Action.DENY:
            denied |= entry.addresses
            denied_names |= {entry.host} if entry.host else set()
        elif not entry.host:
            allowed |= entry.addresses - denied
        elif not is_named(entry.host, denied_names):
            names.add(entry.host)
            exceptions |= {name for name in denied_names if is_named(name, {entry.host})}
    hidden = {name for name in exceptions if not is_named(name, names - {name})}
    return _Allowed(allowed, frozenset(names), frozenset(exceptions - hidden))


def _beyond(some: _Allowed, other: _Allowed) -> Iterator[str]:
    """What one allows and the other does not."""
    addresses = some.addresses - other.addresses
    if addresses:
        yield phrase(addresses)
    for name in sorted(some.names | other.exceptions):
        if some.has(name) and not other.has(name):
            yield name


def _network(before: Intent, after: Intent) -> tuple[list[str], list[str]]:
    """Sentences of what is taken, and of what is released."""
    was, now = claims(before), claims(after)
    taken = [_claim_sentence(claim, is_taken=True) for claim in _ordered(now - was)]
    released = [_claim_sentence(claim, is_taken=False) for claim in _ordered(was - now)]
    for is_taken, sentences, some, other in (
        (True, taken, after, before),
        (False, released, before, after),
    ):
        word = "added" if is_taken else "removed"
        sentences.extend(
            f"{text} is {word}" for text in _routing(some) if text not in {*_routing(other)}
        )
    return taken, released


def _ordered(found: Iterable[Claim]) -> list[Claim]:
    kinds = (VlanClaim, VniClaim, SubnetClaim, AddressClaim, NamespaceClaim)
    return sorted(found, key=lambda claim: (kinds.index(type(claim)), str(claim)))


def _claim_sentence(claim: Claim, *, is_taken: bool) -> str:
    text = str(claim)
    match claim:
        case VlanClaim() | VniClaim():
            return f"{text} is {'attached' if is_taken else 'detached'}"
        case AddressClaim():
            text = f"{_ROLES[claim.role]} {text.removeprefix('address ')}"
            return f"{text} is {'added' if is_taken else 'released'}"
        case SubnetClaim() | NamespaceClaim():
            return f"{text[0].upper()}{text[1:]} is {'added' if is_taken else 'released'}"


def _routing(intent: Intent) -> list[str]:
    routes = [
        f"Route to {route.destination} through {route.next_hop} on cluster {route.cluster}"
        for route in intent.static_routes
    ]
    peers = [
        f"BGP peer {peer.address} (AS {peer.asn}) of cluster {peer.cluster}"
        for peer in intent.bgp_peers
    ]
    return sorted({*routes, *peers})
