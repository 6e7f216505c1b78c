"""What a change opens and closes, in sentences for the people who decide about it.

Made from sets, so that the same change reads the same however it was written.
"""

import textwrap
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from proxyconfig.domain.address_sets import AddressSet
from proxyconfig.domain.fields import Mode
from proxyconfig.domain.holdings import claims
from proxyconfig.domain.intent import Backend, Intent, canonical
from proxyconfig.domain.objects import BY_NAME, ChangeKind, ObjectChange, difference, plain
from proxyconfig.domain.openings import Door, admitted, door_of, is_named
from proxyconfig.domain.outward import outward
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
_MOST_REQUESTS: Final = 3
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
    out = outward(before, after)
    taken, released = _network(before, after)
    sentences = [*opened, *out.opened, *closed, *out.closed, *out.rerouted, *released, *taken]
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
        if old and new:
            answered, unanswered = _requests(_routes(before, door), _routes(after, door))
            opened += [(True, f"{named(door)} {text}") for text in answered]
            closed += [f"{named(door)} {text}" for text in unanswered]
    return [text for _, text in sorted(opened, key=lambda pair: pair[0])], closed


def _door_namer(before: Intent, after: Intent) -> Callable[[Door], str]:
    is_one = len({*before.clusters, *after.clusters}) < 2
    return lambda door: str(door) if is_one else f"{door} on cluster {door.cluster}"


@dataclass(frozen=True, slots=True)
class _Requests:
    """Requests by host and path; no host: any."""

    host: str
    path: str

    def has(self, other: "_Requests") -> bool:
        """True when all of the other are among these."""
        is_host = not self.host or (other.host and is_named(other.host, {self.host}))
        return bool(is_host) and _is_below(other.path, self.path)

    def __str__(self) -> str:
        if self.path == "/":
            return self.host or "any host"
        return f"{self.host}{self.path}" if self.host else f"{self.path} of any host"


def _is_below(path: str, prefix: str) -> bool:
    stem = prefix.rstrip("/")
    return path == stem or path.startswith(f"{stem}/")


def _routes(intent: Intent, door: Door) -> list[tuple[_Requests, Backend]]:
    """What is matched on a door and who answers, in order; sources aside."""
    names = {listener.name for listener in intent.listeners if door_of(listener) == door}
    return [
        (_Requests(host, policy.path_prefix), policy.backend)
        for policy in intent.ingress_policies
        if policy.listener in names and policy.mode is Mode.ENFORCED
        for host in sorted({*policy.hostnames}) or [""]
    ]


def _requests(
    old: list[tuple[_Requests, Backend]], new: list[tuple[_Requests, Backend]]
) -> tuple[list[str], list[str]]:
    """Which requests a door answers now, and which no longer or by another backend."""
    was, now = ([*dict.fromkeys(requests for requests, _ in side)] for side in (old, new))
    more = [one for one in now if not any(known.has(one) for known in was)]
    less = [one for one in was if not any(known.has(one) for known in now)]
    answered = [f"also answers requests for {_named(more)}"] if more and not less else []
    unanswered = []
    if less:
        only = [one for one in now if any(known.has(one) for known in less)]
        rest = f", only for {_named(only)}" if only else ""
        unanswered.append(f"no longer answers requests for {_named(less)}{rest}")
        other = [one for one in more if one not in only]
        answered = [f"answers requests for {_named(other)}"] if other else []
    kept = {*was} & {*now}
    if [one for one in old if one[0] in kept] != [one for one in new if one[0] in kept]:
        unanswered.append("routes requests differently")
    return answered, unanswered


def _named(requests: list[_Requests]) -> str:
    more = len(requests) - _MOST_REQUESTS
    named = ", ".join(str(one) for one in requests[:_MOST_REQUESTS])
    return f"{named} and {more} more" if more > 0 else named


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
