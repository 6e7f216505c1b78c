"""What a target keeps in mind of the objects that it applied, so that the next look is cheap.

A placement stores it and hands it back; only the target that made a record reads it.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeAlias

from proxyconfig.domain.fields import JsonValue
from proxyconfig.domain.resources import Identity


@dataclass(frozen=True, slots=True)
class Record:
    """One object as it was after it was applied.

    Attributes:
        uid: a later object of the same name has another.
        sent: hash of what was sent; "" while that is not known.
        owned: hash of the fields that were ours in the answer, without their values; it moves
            whenever somebody takes, changes or removes one.
        generation: the server's count of changes to what is wanted; 0 for kinds without one.
    """

    uid: str
    sent: str
    owned: str
    generation: int


Inventory: TypeAlias = Mapping[Identity, Record]


def plain(inventory: Inventory) -> list[JsonValue]:
    """For storage, sorted: ``[group, kind, namespace, name, uid, sent, owned, generation]``."""
    return [
        [*identity, record.uid, record.sent, record.owned, record.generation]
        for identity, record in sorted(inventory.items(), key=itemgetter(0))
    ]


def parse(stored: Iterable[Sequence[JsonValue]]) -> dict[Identity, Record]:
    """What ``plain`` wrote; what cannot be read is forgotten, and the target finds it out again."""
    inventory: dict[Identity, Record] = {}
    for row in stored:
        with contextlib.suppress(ValueError, TypeError):
            group, kind, namespace, name, uid, sent, owned, generation = row
            identity = Identity(str(group), str(kind), str(namespace), str(name))
            inventory[identity] = Record(str(uid), str(sent), str(owned), int(str(generation)))
    return inventory
