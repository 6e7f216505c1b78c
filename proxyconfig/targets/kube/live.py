"""One live object's metadata: which object it is, whose it is, and whether it moved.

The metadata alone shows every change by another hand to what is ours: whoever changes a value takes
its field, and whoever removes it takes it from everybody. Values are read only where it moved.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from proxyconfig.domain import labels
from proxyconfig.domain.fields import JsonValue
from proxyconfig.domain.inventory import Record
from proxyconfig.domain.resources import canonical_json
from proxyconfig.targets.kube.fields import FieldSet


def short_hash(content: bytes) -> str:
    """32 hex digits."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What an object's ``metadata`` says.

    Attributes:
        own: the fields that our manager applied; None where it applied none.
        owned: hash of ``own`` and of when it last changed; "" where there is none.
        managers: the fields of every manager, by name.
        deleted_at: when its deletion was asked for; "" while nobody has.
        finalizers: what it waits for once it is being deleted.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    labels: Mapping[str, str]
    own: FieldSet | None
    owned: str
    managers: Mapping[str, FieldSet]
    deleted_at: str
    finalizers: tuple[str, ...]

    @classmethod
    def of(cls, metadata: Mapping[str, Any], *, manager: str) -> Self:
        """Read a ``metadata`` object.

        Args:
            manager: the name that is ours.
        """
        entries: Sequence[Mapping[str, Any]] = metadata.get("managedFields") or ()
        ours = next((entry for entry in entries if _is_applied_by(entry, manager)), None)
        return cls(
            namespace=str(metadata.get("namespace") or ""),
            name=str(metadata["name"]),
            uid=str(metadata["uid"]),
            generation=int(metadata.get("generation") or 0),
            labels=metadata.get("labels") or {},
            own=None if ours is None else ours.get("fieldsV1"),
            # With the time: of an own entry it moves only with a change, and kinds without a
            # generation show in no other way that somebody applied in our name.
            owned="" if ours is None else short_hash(canonical_json(dict(ours))),
            managers={
                str(entry.get("manager")): entry.get("fieldsV1") or {}
                for entry in entries
                if entry is not ours and not entry.get("subresource")
            },
            deleted_at=str(metadata.get("deletionTimestamp") or ""),
            finalizers=tuple(metadata.get("finalizers") or ()),
        )

    def record(self, sent: str) -> Record:
        """For the inventory.

        Args:
            sent: hash of what was sent to make it so; "" where that is not known.
        """
        return Record(self.uid, sent, self.owned, self.generation)

    def is_ours(self, known: Record | None) -> bool:
        """Whether Sluice may delete it: it says so itself, and Sluice has applied it."""
        if self.labels.get(labels.MANAGED_BY) != labels.SLUICE:
            return False
        return self.own is not None or (known is not None and known.uid == self.uid)


def _is_applied_by(entry: Mapping[str, JsonValue], manager: str) -> bool:
    return (
        entry.get("manager") == manager
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
    )
