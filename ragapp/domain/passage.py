"""A passage: a span of a document that a search found, with every score that ranked it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Source(StrEnum):
    """Where a passage was found."""

    LOCAL = "local"
    WEB = "web"


@dataclass(frozen=True, slots=True)
class Passage:
    """What is shown to the model as ``[n]`` and opened by a citation.

    Attributes:
        key: Unique among one run's passages: ``chunk:<id>`` or ``<url>#<start>``.
        text: Exactly the document's text between ``start`` and ``end``.
        start: First character's offset in the document's text.
        end: Offset after the last character.
        page: From 1; None for formats without pages.
        score: Fused score, 0 to 1 within one search; higher is better.
        dense: Inner product of normalised vectors, None where not computed.
        lexical: BM25, None where not computed.
        dense_rank: From 1, by dense score alone.
        lexical_rank: From 1, by lexical score alone; None where no word matched.
    """

    key: str
    source: Source
    title: str
    text: str
    start: int
    end: int
    section: tuple[str, ...] = ()
    page: int | None = None
    url: str = ""
    chunk_id: int | None = None
    document_id: int | None = None
    score: float = 0.0
    dense: float | None = None
    lexical: float | None = None
    dense_rank: int | None = None
    lexical_rank: int | None = None

    @property
    def place(self) -> str:
        """Title and section in one line: ``Guide > Egress > SNAT pools``."""
        return joined_place(self.title, self.section)


def joined_place(title: str, section: Sequence[str]) -> str:
    """Title and headings in one line; a first heading that repeats the title says nothing new."""
    headings = [heading for heading in section if heading and heading != title]
    return " > ".join(" ".join(part.split()) for part in ([title] if title else []) + headings)
