"""Whose eyes a search has: which documents of its tenant somebody may read. Pure.

A document names its readers as principals: ``role:mlops``, ``user:alice``. One that names none is
for everybody in the tenant. Whoever may train corpora put the documents there and reads them all.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tenants.domain.actor import Actor
from tenants.domain.roles import Action, Role

MOST_READERS = 50
_USER = re.compile(r"user:[\w.@+-]{1,150}")
_ROLES = frozenset(f"role:{role.value}" for role in Role)


@dataclass(frozen=True, slots=True)
class Reader:
    """The principals of somebody who searches.

    Attributes:
        principals: What a document's list must meet, where it has one.
        sees_all: True where no list holds this reader back.
    """

    principals: frozenset[str] = frozenset()
    sees_all: bool = False

    def may_read(self, readers: Iterable[str]) -> bool:
        """True when a document with this list of readers is for them."""
        listed = set(readers)
        return self.sees_all or not listed or not listed.isdisjoint(self.principals)


# Without a name: what everybody in the tenant may read. So a caller that forgets to say who asks
# hides too much and never shows it.
ANYBODY = Reader()
EVERYTHING = Reader(sees_all=True)


def reader_of(actor: Actor) -> Reader:
    """What ``actor`` may read in the tenant at hand; a token reads with its role."""
    if actor.may(Action.TRAIN):
        return EVERYTHING
    principals = {f"user:{actor.name}"} if actor.user_id is not None else set()
    if actor.role is not None:
        principals.add(f"role:{actor.role.value}")
    return Reader(frozenset(principals))


def to_json(reader: Reader) -> list[str]:
    """The reader as a run's row keeps it."""
    return ["*"] if reader.sees_all else sorted(reader.principals)


def from_json(kept: Iterable[str]) -> Reader:
    """The reader of a run's row."""
    principals = frozenset(kept)
    return EVERYTHING if "*" in principals else Reader(principals)


def complaint(principal: str) -> str:
    """Why ``principal`` names no reader; empty if it does."""
    if principal in _ROLES or _USER.fullmatch(principal):
        return ""
    roles = ", ".join(sorted(_ROLES))
    return f"{principal[:80]!r} names no reader: write user:<name> or one of {roles}."
