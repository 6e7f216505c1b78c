"""A complaint about an intent, in words that the person who wrote it can act on."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Side:
    """A problem between two objects, told to whoever edits the other one.

    Attributes:
        path: the field of that object, as in ``Problem``.
        message: as in ``Problem``.
    """

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: where, in the manifest's words: ``spec.listeners[web].port``; "" for the whole.
        code: stable word for machines.
        message: what is wrong and what to do, as one or two sentences.
        severity: an error blocks, a warning does not.
        sides: the other objects that it is about.
    """

    path: str
    code: str
    message: str
    severity: Severity = "error"
    sides: tuple[Side, ...] = ()

    @property
    def blocks(self) -> bool:
        """True when the intent must not be published."""
        return self.severity == "error"

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message
