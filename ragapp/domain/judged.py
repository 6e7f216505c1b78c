"""Judged questions: what is known to be the right answer, and where it stands.

A judgement names a document by its URL, or a passage by the hash of its content, never by a row's
id: so it holds after the corpus was trained anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

MOST_CHARACTERS = 4000
MOST_ANSWERS = 20
MOST_ANSWER_CHARACTERS = 500
MOST_RELEVANT = 200
MOST_GRADE = 10


@dataclass(frozen=True, slots=True)
class Relevant:
    """One judgement.

    Attributes:
        url: Of the document.
        passage: Content hash of one chunk of it; empty where the whole document is meant.
        grade: 1 or more; higher is more relevant.
    """

    url: str
    passage: str = ""
    grade: int = 1

    @property
    def unit(self) -> str:
        """What is found or missed: the passage if one is named, else the document."""
        return self.passage or self.url


@dataclass(frozen=True, slots=True)
class Judged:
    """A question with its reference answers and what is relevant to it."""

    text: str
    answers: tuple[str, ...] = ()
    is_answerable: bool = True
    relevant: tuple[Relevant, ...] = ()


class Found(Protocol):
    """What a ranking needs of a passage that was found."""

    @property
    def url(self) -> str:
        """Of its document."""
        ...

    @property
    def content_hash(self) -> str:
        """Of its text."""
        ...


def grade_of(judged: Judged, url: str, content_hash: str) -> int:
    """How relevant a passage is: by its own judgement, else by its document's; 0 if by neither."""
    grade_by_unit = {entry.unit: entry.grade for entry in judged.relevant}
    return grade_by_unit.get(content_hash) or grade_by_unit.get(url, 0)


def ranking(judged: Judged, found: Sequence[Found]) -> list[str]:
    """The units that a search found, best first, each once.

    A passage that is judged itself is a unit; any other stands for its document, so that ten
    passages of one document do not count ten times.
    """
    passages = {entry.passage for entry in judged.relevant if entry.passage}
    units = (hit.content_hash if hit.content_hash in passages else hit.url for hit in found)
    return list(dict.fromkeys(units))


def grades(judged: Judged) -> dict[str, int]:
    """Grade by unit."""
    return {entry.unit: entry.grade for entry in judged.relevant}
