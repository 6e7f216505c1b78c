"""Citations that hold: what a sentence of the answer rests on, checked without a model.

A number that the model wrote is kept only where such a passage exists. Small models often cite
nothing at all, so the supporting passages of each sentence are also found by the words they
share; those are shown as "supported by". Literals (numbers, dates, identifiers, quoted spans)
must occur in the passage word for word.
"""

from dataclasses import dataclass
from enum import StrEnum


class Support(StrEnum):
    """How a sentence stands to its passages."""

    CITED = "Cited"
    SUPPORTED = "Supported"
    UNSUPPORTED = "Unsupported"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an answer with what it rests on.

    Attributes:
        text: Without citation marks.
        support: Cited where the model named a passage that does support it; Supported where the
            passage was found by the check; Unsupported where none was, or a literal is in none.
        passages: Numbers of the supporting passages, best first; empty if Unsupported.
        claimed: Numbers that the model itself wrote and that exist.
        missing_literals: Literals of the sentence that no supporting passage contains.
    """

    text: str
    support: Support
    passages: tuple[int, ...] = ()
    claimed: tuple[int, ...] = ()
    missing_literals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CitedAnswer:
    """An answer whose every mark ``[n]`` was checked.

    Attributes:
        text: The sentences, each followed by the marks of its passages.
    """

    text: str
    sentences: tuple[Sentence, ...]
