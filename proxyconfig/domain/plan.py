"""Desired against observed: what has to be created, updated, deleted or kept, and why.

Pure. Targets apply the entries, revisions keep ``Plan.plain()``, pages show it beforehand.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from proxyconfig.domain.fields import JsonValue
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
    """

    action: PlanAction
    identity: Identity
    reason: str
    changes: tuple[FieldChange, ...] = ()
    desired: Resource | None = None
    observed: Resource | None = None

    def plain(self) -> dict[str, JsonValue]:
        """For storage and API: without the bodies, secrets hidden."""
        return {
            "action": self.action.value,
            "kind": self.identity.kind,
            "name": self.identity.name,
            "reason": self.reason,
            "changes": [change.plain() for change in self.changes],
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """All entries, deletes first so that what they hold is free, each group by identity."""

    entries: tuple[PlanEntry, ...]

    @property
    def changing(self) -> tuple[PlanEntry, ...]:
        """The entries that do something."""
        return tuple(entry for entry in self.entries if entry.action is not PlanAction.KEEP)

    @property
    def is_empty(self) -> bool:
        """True when the proxy already holds what it should."""
        return not self.changing

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

    def plain(self) -> dict[str, JsonValue]:
        """For storage and API."""
        return {"summary": self.summary, "entries": [entry.plain() for entry in self.entries]}


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
        reason = "the proxy does not have it yet"
        return PlanEntry(PlanAction.CREATE, identity, reason, desired=desired)
    if desired == observed:
        reason = "the proxy already has it so"
        return PlanEntry(PlanAction.KEEP, identity, reason, desired=desired, observed=observed)
    changes = changed_fields(observed.body, desired.body)
    reason = f"{len(changes)} field{'' if len(changes) == 1 else 's'} differ"
    if len(changes) == 1:
        reason = f"{changes[0].path} differs"
    return PlanEntry(PlanAction.UPDATE, identity, reason, changes, desired, observed)


def changed_fields(before: JsonValue, after: JsonValue) -> tuple[FieldChange, ...]:
    """The smallest fields that differ, in path order.

    List items with an ``id`` or ``name`` are matched by it, others by position. Also fit for two
    manifests, so that a change of intent reads the same way as a change of a proxy.
    """
    return tuple(_walk("", before, after))


def _walk(path: str, before: JsonValue, after: JsonValue) -> Iterator[FieldChange]:
    if canonical_json(before) == canonical_json(after):  # 1 == True in Python, not in JSON.
        return
    left, right = _children(before), _children(after)
    if left is None or right is None or isinstance(before, dict) != isinstance(after, dict):
        yield _masked(path, before, after)
        return
    if isinstance(before, list) and _common(left, right) != _common(right, left):
        yield FieldChange(path, [*left], [*right])  # The order of the same items changed.
    for key in sorted(left.keys() | right.keys(), key=_natural):
        child = f"{path}{key}" if key.startswith("[") else f"{path}.{key}".lstrip(".")
        if key in left and key in right:
            yield from _walk(child, left[key], right[key])
        else:
            yield _masked(child, left.get(key), right.get(key))


def _common(keys: Iterable[str], others: Mapping[str, JsonValue]) -> list[str]:
    return [key for key in keys if key in others]


def _children(value: JsonValue) -> dict[str, JsonValue] | None:
    if isinstance(value, dict):
        return dict(value)
    if not isinstance(value, list):
        return None
    labels = [_label(item, place) for place, item in enumerate(value)]
    if len(set(labels)) < len(labels):
        labels = [f"[{place}]" for place in range(len(value))]
    return dict(zip(labels, value, strict=True))


def _label(item: JsonValue, place: int) -> str:
    if isinstance(item, Mapping):
        for key in ("id", "name", "order"):
            if isinstance(item.get(key), str | int):
                return f"[{item[key]}]"
    return f"[{place}]"


def _natural(key: str) -> tuple[str, int, str]:
    digits = key.strip("[]")
    return ("[", int(digits), "") if digits.isdigit() else (key, 0, key)


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
