"""A complaint about an intent, in words that the person who wrote it can act on."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: where, in the manifest's words: ``spec.listeners[web].port``; "" for the whole.
        code: stable word for machines.
        message: what is wrong and what to do, as one or two sentences.
        severity: an error blocks, a warning does not.
    """

    path: str
    code: str
    message: str
    severity: Severity = "error"

    @property
    def blocks(self) -> bool:
        """True when the intent must not be published."""
        return self.severity == "error"

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message
