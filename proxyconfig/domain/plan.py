"""Desired against observed: what has to be created, updated, deleted or kept, and why.

Pure. Targets apply the entries, revisions keep ``Plan.plain()``, pages show it beforehand.
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from proxyconfig.domain.fields import JsonValue
from proxyconfig.domain.inventory import Record
from proxyconfig.domain.resources import Identity, Resource, by_identity, canonical_json

HIDDEN = "(hidden)"
_SECRET = re.compile(r"password|secret|token|credential|private_?key", re.IGNORECASE)


class PlanAction(StrEnum):
    """What an entry does to the proxy."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs; None stands for absent. Secrets read ``(hidden)`` on both sides."""

    path: str
    before: JsonValue
    after: JsonValue

    def plain(self) -> dict[str, JsonValue]:
        """For storage and API."""
        return {"path": self.path, "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """What happens to one object.

    Attributes:
        desired: what it should be; None for a delete.
        observed: what it is; None for a create.
        record: which live object was compared, for targets that keep an inventory.
    """

    action: PlanAction
    identity: Identity
    reason: str
    changes: tuple[FieldChange, ...] = ()
    desired: Resource | None = None
    observed: Resource | None = None
    record: Record | None = None

    def plain(self, *, cluster: str = "") -> dict[str, JsonValue]:
        """For storage and API: without the bodies, secrets hidden.

        Args:
            cluster: whose proxy it is for; "" where there is only one.
        """
        return {
            "action": self.action.value,
            "cluster": cluster,
            "group": self.identity.group,
            "kind": self.identity.kind,
            "namespace": self.identity.namespace,
            "name": self.identity.name,
            "reason": self.reason,
            "changes": [change.plain() for change in self.changes],
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """All entries, in the order in which they are applied.

    Unless its target knows better: deletes first, so that what they hold is free, each group by
    identity.
    """

    entries: tuple[PlanEntry, ...]

    @property
    def changing(self) -> tuple[PlanEntry, ...]:
        """The entries that do something."""
        return tuple(entry for entry in self.entries if entry.action is not PlanAction.KEEP)

    @property
    def is_empty(self) -> bool:
        """True when the proxy already holds what it should."""
        return not self.changing

    @property
    def differs(self) -> bool:
        """True when an object is not as it should be; an update without changes is only sent again
        so that it is on record.
        """
        return any(
            entry.changes or entry.action is not PlanAction.UPDATE for entry in self.changing
        )

    def count(self, action: PlanAction) -> int:
        """How many entries do ``action``."""
        return sum(entry.action is action for entry in self.entries)

    @property
    def summary(self) -> str:
        """One line: ``2 added, 1 changed, 0 deleted``."""
        return (
            f"{self.count(PlanAction.CREATE)} added, "
            f"{self.count(PlanAction.UPDATE)} changed, "
            f"{self.count(PlanAction.DELETE)} deleted"
        )

    def plain(self, *, cluster: str = "") -> dict[str, JsonValue]:
        """For storage and API."""
        entries: list[JsonValue] = [entry.plain(cluster=cluster) for entry in self.entries]
        return {"summary": self.summary, "entries": entries}


_ORDER = {
    action: place
    for place, action in enumerate(
        (PlanAction.DELETE, PlanAction.UPDATE, PlanAction.CREATE, PlanAction.KEEP)
    )
}


def diff(desired: Iterable[Resource], observed: Iterable[Resource]) -> Plan:
    """What turns ``observed`` into ``desired``.

    Raises:
        ValueError: one side names an object twice.
    """
    wanted = by_identity(desired)
    present = by_identity(observed)
    entries = [
        _entry(identity, wanted.get(identity), present.get(identity))
        for identity in wanted.keys() | present.keys()
    ]
    entries.sort(key=lambda entry: (_ORDER[entry.action], entry.identity))
    return Plan(tuple(entries))


def _entry(identity: Identity, desired: Resource | None, observed: Resource | None) -> PlanEntry:
    if desired is None:
        assert observed is not None  # noqa: S101 - one side always has it; for the type checker
        reason = "no policy of the tenant asks for it"
        return PlanEntry(PlanAction.DELETE, identity, reason, observed=observed)
    if observed is None:
        reason = "new on the proxy"
        return PlanEntry(PlanAction.CREATE, identity, reason, desired=desired)
    if desired == observed:
        reason = "as it is on the proxy"
        return PlanEntry(PlanAction.KEEP, identity, reason, desired=desired, observed=observed)
    changes = changed_fields(observed.body, desired.body)
    reason = f"{len(changes)} field{'' if len(changes) == 1 else 's'} differ"
    if len(changes) == 1:
        reason = f"{changes[0].path} differs"
    return PlanEntry(PlanAction.UPDATE, identity, reason, changes, desired, observed)


def changed_fields(before: JsonValue, after: JsonValue) -> tuple[FieldChange, ...]:
    """The smallest fields that differ, in path order.

    List items are matched by what they are: mappings by ``id`` or ``name`` where all have one, else
    by content and then by ``order``; scalars by value. So one more item is one change, and items
    that are only numbered anew to make room for it are none.
    """
    return tuple(_walk("", before, after))


def _walk(path: str, before: JsonValue, after: JsonValue) -> Iterator[FieldChange]:
    if canonical_json(before) == canonical_json(after):  # 1 == True in Python, not in JSON.
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            child = f"{path}.{key}".lstrip(".")
            if key in before and key in after:
                yield from _walk(child, before[key], after[key])
            else:
                yield _masked(child, before.get(key), after.get(key))
    elif isinstance(before, list) and isinstance(after, list):
        yield from _walk_lists(path, before, after)
    else:
        yield _masked(path, before, after)


def _walk_lists(
    path: str, before: list[JsonValue], after: list[JsonValue]
) -> Iterator[FieldChange]:
    pairs = _pairs(before, after)
    found: list[FieldChange] = []
    for place, item in enumerate(before):
        child = f"{path}{_label(item, place)}"
        if place not in pairs:
            found.append(_masked(child, item, None))
        elif _content(item) != _content(after[pairs[place]]):
            found.extend(_walk(child, item, after[pairs[place]]))
    new = sorted({*range(len(after))} - {*pairs.values()})
    found.extend(_masked(f"{path}{_label(after[n], n)}", None, after[n]) for n in new)
    found.sort(key=lambda change: _natural(change.path))
    moved = sorted(pairs, key=pairs.__getitem__)
    if moved != sorted(moved):  # The order of the same items changed.
        old, now = ([_label(before[n], n) for n in places] for places in (sorted(moved), moved))
        yield FieldChange(path, [*old], [*now])
    elif not found:  # They differ, so what differs is the numbers alone.
        yield FieldChange(f"{path}.order", [*map(_order, before)], [*map(_order, after)])
    yield from found


def _pairs(before: list[JsonValue], after: list[JsonValue]) -> dict[int, int]:
    """Places in ``before`` of the items that are in ``after`` too, with their places there."""
    is_named = all(_has_names(items) for items in (before, after))
    pairs: dict[int, int] = {}
    for key in (_name,) if is_named else (_content, _order, _shape):
        old, new = _keyed(key, before, pairs.keys()), _keyed(key, after, {*pairs.values()})
        pairs |= {place: new[found] for found, place in old.items() if found in new}
    return pairs


def _keyed(
    key: Callable[[JsonValue], Hashable], items: list[JsonValue], taken: AbstractSet[int]
) -> dict[Hashable, int]:
    """Places by key and how often the key came before; items without a key are left out."""
    seen: Counter[Hashable] = Counter()
    places: dict[Hashable, int] = {}
    for place, item in enumerate(items):
        found = None if place in taken else key(item)
        if found is not None:
            places[(found, seen[found])] = place
            seen[found] += 1
    return places


def _has_names(items: list[JsonValue]) -> bool:
    names = [_name(item) for item in items]
    return None not in names and len({*names}) == len(names)


def _name(item: JsonValue) -> str | None:
    if isinstance(item, dict):
        for key in ("id", "name"):
            if isinstance(item.get(key), str | int):
                return f"[{item[key]}]"
    return None


def _content(item: JsonValue) -> bytes:
    if isinstance(item, dict):
        item = {key: content for key, content in item.items() if key != "order"}
    return canonical_json(item)


def _order(item: JsonValue) -> int | None:
    order = item.get("order") if isinstance(item, dict) else None
    return order if isinstance(order, int) else None


def _shape(item: JsonValue) -> str | None:
    """Mappings and lists that are left over are taken for each other in turn; scalars are not."""
    return type(item).__name__ if isinstance(item, dict | list) else None


def _label(item: JsonValue, place: int) -> str:
    if isinstance(item, dict | list):
        order = _order(item)
        return _name(item) or f"[{place if order is None else order}]"
    return f"[{item}]"


def _natural(path: str) -> tuple[tuple[str, int], ...]:
    return tuple(
        ("", int(part)) if part.isdecimal() else (part, 0) for part in re.split(r"([0-9]+)", path)
    )


def _masked(path: str, before: JsonValue, after: JsonValue) -> FieldChange:
    if _SECRET.search(path):
        return FieldChange(
            path, None if before is None else HIDDEN, None if after is None else HIDDEN
        )
    return FieldChange(path, _without_secrets(before), _without_secrets(after))


def _without_secrets(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {
            key: HIDDEN if _SECRET.search(key) and child else _without_secrets(child)
            for key, child in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return value
