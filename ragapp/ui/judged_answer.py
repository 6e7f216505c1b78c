"""One question of an evaluation as its page shows it: the ranking, the answer, the way there.

The text of a passage is read from the corpus each time, as everywhere: so a document that was
deleted is gone from old evaluations too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ragapp.domain.citation import Support
from ragapp.domain.judged import grade_of
from ragapp.domain.scores import METRIC_BY_NAME
from ragapp.models import Chunk, EvaluationAnswer
from ragapp.ui.figures import written
from ragapp.ui.trace import Trace

# Places of a ranking that a page shows at once.
PLACES = 10


@dataclass(frozen=True, slots=True)
class Place:
    """One passage of a ranking."""

    rank: int
    title: str
    url: str
    text: str
    grade: int
    score: float
    dense: float | None
    dense_rank: int | None
    lexical: float | None
    lexical_rank: int | None
    was_read: bool


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of the answer with what it rests on."""

    text: str
    support: str
    passages: Sequence[int]
    missing: Sequence[str]

    @property
    def is_unsupported(self) -> bool:
        """True when it rests on nothing."""
        return self.support == Support.UNSUPPORTED


@dataclass(frozen=True, slots=True)
class Read:
    """A passage that the model read."""

    number: int
    title: str
    url: str
    text: str
    grade: int
    is_cited: bool


class JudgedAnswer:
    """One side of the page."""

    def __init__(self, row: EvaluationAnswer, chunks: Mapping[int, Chunk]) -> None:
        self.row = row
        self._chunks = chunks
        self._judged = row.judged

    @property
    def places(self) -> list[Place]:
        """The first places, and each relevant passage further down."""
        read = {citation["chunk_id"] for citation in self.row.citations}
        return [
            Place(
                rank=hit["rank"],
                title=hit["place"],
                url=hit["url"],
                text=self._text(hit["chunk_id"]),
                grade=hit["grade"],
                was_read=hit["chunk_id"] in read,
                **{name: hit[name] for name in _SCORES},
            )
            for hit in self.row.hits
            if hit["rank"] <= PLACES or hit["grade"]
        ]

    @property
    def missing(self) -> list[str]:
        """What is relevant and was not among the hundred that were found."""
        found = {hit["url"] for hit in self.row.hits} | {
            hit["content_hash"] for hit in self.row.hits
        }
        return [entry.url for entry in self._judged.relevant if entry.unit not in found]

    @property
    def sentences(self) -> list[Said]:
        """The answer, sentence by sentence."""
        return [
            Said(
                sentence["text"],
                sentence["support"],
                sentence["passages"],
                sentence.get("missing_literals", ()),
            )
            for sentence in self.row.sentences
        ]

    @property
    def read(self) -> list[Read]:
        """The passages that the model read, by number."""
        return [
            Read(
                number=citation["number"],
                title=citation["title"] or citation["url"],
                url=citation["url"],
                text=self._text(citation["chunk_id"]) or citation["text"],
                grade=grade_of(self._judged, citation["url"], self._hash(citation["chunk_id"])),
                is_cited=citation["is_cited"],
            )
            for citation in self.row.citations
        ]

    @property
    def figures(self) -> list[tuple[str, str]]:
        """Each metric of the question."""
        return [
            (metric.label, written(metric, self.row.metrics[name]))
            for name, metric in METRIC_BY_NAME.items()
            if name in self.row.metrics
        ]

    @cached_property
    def trace(self) -> Trace:
        """How the answer was reached."""
        return Trace(self.row.entries)

    def _text(self, chunk_id: int | None) -> str:
        chunk = self._chunks.get(chunk_id or 0)
        return chunk.text if chunk else ""

    def _hash(self, chunk_id: int | None) -> str:
        chunk = self._chunks.get(chunk_id or 0)
        return chunk.content_hash if chunk else ""


_SCORES = ("score", "dense", "dense_rank", "lexical", "lexical_rank")


def passages_of(rows: Iterable[EvaluationAnswer]) -> dict[int, Chunk]:
    """What the corpus still has of the passages that the rows name; one query."""
    named: list[Mapping[str, Any]] = [
        entry for row in rows for entry in (*row.hits, *row.citations)
    ]
    ids = {entry["chunk_id"] for entry in named if entry["chunk_id"]}
    if not ids:
        return {}
    return {chunk.id: chunk for chunk in Chunk.objects.defer("embedding").filter(id__in=ids)}
