"""What a change lets out and no longer lets out, until when and from which address, in sentences.

A part of ``effects``. Made from sets, for each span of time in which no rule expires: the clock is
not asked, so a rule counts as alive before its date.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from proxyconfig.domain.address_sets import AddressSet, phrase
from proxyconfig.domain.fields import Action, PortRange, Transport
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.openings import Exit, Piece, is_named, pieces, with_ports

# By span of time: is a destination allowed in it, and when does it end; None at the end of time.
Marks = Sequence[bool]
Ends = Sequence[datetime | None]
# Begin of a sentence, transport, destination, end of the sentence.
_Key = tuple[str, Transport, str, str]


@dataclass(frozen=True, slots=True)
class Outward:
    """Sentences of what is opened, of what is closed, and of what leaves from another address."""

    opened: tuple[str, ...]
    closed: tuple[str, ...]
    rerouted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Allowed:
    """Where workloads can go on one port, in the order of rules.

    Attributes:
        names: allowed names that no earlier rule denies.
        exceptions: names that are denied although a later rule would fit them.
        leaving: the allowing rules' addresses with the source addresses, apart, first match first.
        sources: the source addresses of the names, first match first.
    """

    addresses: AddressSet
    names: frozenset[str]
    exceptions: frozenset[str]
    leaving: tuple[tuple[AddressSet, AddressSet], ...]
    sources: tuple[tuple[str, AddressSet], ...]

    def has(self, name: str) -> bool:
        """True when the name is allowed, whole."""
        return is_named(name, self.names) and not is_named(name, self.exceptions)

    def source_of(self, name: str) -> AddressSet:
        """Where connections to an allowed name leave from."""
        found = (sources for known, sources in self.sources if is_named(name, {known}))
        return next(found, AddressSet())


class _Difference(NamedTuple):
    """One destination, allowed or not before and after, in each span of time."""

    what: str
    was: Marks
    now: Marks
    ends: Ends


def outward(before: Intent, after: Intent) -> Outward:
    """What the change does to where workloads can go."""
    found: dict[bool, dict[_Key, list[PortRange]]] = {True: {}, False: {}}
    moved: dict[_Key, list[PortRange]] = {}
    for piece in pieces(before, after):
        if piece.before == piece.after:
            continue
        for one in _differences(piece):
            is_opening, verb, span = _said(one)
            key = (f"Workloads {verb}", piece.transport, one.what, span)
            found[is_opening].setdefault(key, []).append(piece.ports)
        for what, end in _moves(piece):
            key = ("Workloads reach", piece.transport, what, end)
            moved.setdefault(key, []).append(piece.ports)
    return Outward(_sentences(found[True]), _sentences(found[False]), _sentences(moved))


def _sentences(found: dict[_Key, list[PortRange]]) -> tuple[str, ...]:
    return tuple(
        f"{begin} {with_ports((transport, what), ports)}{end}"
        for (begin, transport, what, end), ports in found.items()
    )


def _differences(piece: Piece) -> Iterator[_Difference]:
    """What one side allows and the other does not, addresses first."""
    dates = {entry.until for entry in (*piece.before, *piece.after) if entry.until}
    ends = (*sorted(dates), None)
    was, now = ([_allowed(side, end) for end in ends] for side in (piece.before, piece.after))
    for addresses, marks in _atoms([entry.addresses for entry in (*was, *now)]):
        before, after = marks[: len(ends)], marks[len(ends) :]
        if before != after:
            yield _Difference(phrase(addresses), before, after, ends)
    names = {name for entry in (*was, *now) for name in entry.names | entry.exceptions}
    for name in sorted(names):
        before, after = ([entry.has(name) for entry in side] for side in (was, now))
        if before != after:
            yield _Difference(name, before, after, ends)


def _atoms(sets: Sequence[AddressSet]) -> Iterator[tuple[AddressSet, list[bool]]]:
    """The union of the sets, cut so that each part is in each set whole or not at all.

    Yields:
        a part, joined over all its addresses, and in which of the sets it is.
    """
    atoms: list[tuple[AddressSet, list[bool]]] = []
    for place, one in enumerate(sets):
        cut = [
            (part, [*marks, is_in])
            for known, marks in atoms
            for part, is_in in ((known & one, True), (known - one, False))
            if part
        ]
        rest = one - AddressSet.union(known for known, _ in atoms)
        atoms = [*cut, *([(rest, [False] * place + [True])] if rest else [])]
    yield from atoms


def _allowed(found: Iterable[Exit], end: datetime | None) -> _Allowed:
    """What rules allow in the span of time that ends at ``end``."""
    denied, allowed = AddressSet(), AddressSet()
    denied_names: set[str] = set()
    names: dict[str, AddressSet] = {}
    exceptions: set[str] = set()
    leaving: list[tuple[AddressSet, AddressSet]] = []
    for entry in found:
        if not entry.lives_to(end):
            continue
        if entry.action is Action.DENY:
            denied |= entry.addresses
            denied_names |= {entry.host} if entry.host else set()
        elif not entry.host:
            fresh = entry.addresses - denied
            leaving.append((fresh - allowed, entry.sources))
            allowed |= fresh
        elif not is_named(entry.host, denied_names):
            names.setdefault(entry.host, entry.sources)
            exceptions |= {name for name in denied_names if is_named(name, {entry.host})}
    known = frozenset(names)
    hidden = {name for name in exceptions if not is_named(name, known - {name})}
    return _Allowed(
        allowed, known, frozenset(exceptions - hidden), tuple(leaving), tuple(names.items())
    )


def _moves(piece: Piece) -> Iterator[tuple[str, str]]:
    """What is allowed on both sides, for now, and leaves from another address; with both."""
    first = min(
        (entry.until for entry in (*piece.before, *piece.after) if entry.until), default=None
    )
    was, now = _allowed(piece.before, first), _allowed(piece.after, first)
    moved: dict[tuple[AddressSet, AddressSet], list[AddressSet]] = {}
    for old, old_source in was.leaving:
        for new, new_source in now.leaving:
            if old_source != new_source and (both := old & new):
                moved.setdefault((old_source, new_source), []).append(both)
    for pair, sets in moved.items():
        yield phrase(AddressSet.union(sets)), _sources(*pair)
    for name in sorted(was.names | now.names):
        old_source, new_source = was.source_of(name), now.source_of(name)
        if was.has(name) and now.has(name) and old_source != new_source:
            yield name, _sources(old_source, new_source)


def _sources(old: AddressSet, new: AddressSet) -> str:
    named = (str(one) if one else "no SNAT address" for one in (new, old))
    return " from {} instead of {}".format(*named)


def _said(one: _Difference) -> tuple[bool, str, str]:
    """Whether it opens, what workloads can do then, and for how long; by the first difference."""
    first = next(place for place, mark in enumerate(one.was) if mark != one.now[place])
    is_opening = one.now[first]
    verb = "can reach" if is_opening else "can no longer reach"
    if first == 0:
        end = _end(one.now, 0, one.ends)
        return is_opening, verb, f" until {end}" if end else ""
    start = _moment(one.ends[first - 1])
    if not one.was[first - 1]:
        return is_opening, verb, f" from {start} on"
    if is_opening:
        end = _end(one.now, first, one.ends)
        span = f" until {end} instead of {start}" if end else f" after {start}: no longer expires"
        return True, verb, span
    end = _end(one.was, first, one.ends)
    return False, "can reach", f" only until {start}{f' instead of {end}' if end else ''}"


def _end(marks: Marks, first: int, ends: Ends) -> str:
    """When the run of equal marks ends that begins at ``first``; "" at the end of time."""
    others = (place for place in range(first, len(marks)) if marks[place] != marks[first])
    return _moment(ends[next(others, len(marks)) - 1])


def _moment(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else ""
