"""An answer as pages show it: sentences with their marks, and the passages that they open.

A passage of a corpus is read from the corpus each time, never from the run: so a document that was
deleted is gone from old answers too, and only its title remains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from ragapp.domain.citation import Support
from ragapp.domain.reader import ANYBODY, Reader
from ragapp.models import Chunk, Document, Run
from ragapp.models.rights import readable

# Characters of the document shown around a passage.
CONTEXT = 160


@dataclass(frozen=True, slots=True)
class SentenceView:
    """A sentence with the numbers of its passages, and what of it stands in none of them."""

    text: str
    marks: tuple[int, ...]
    is_unsupported: bool
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a passage; marked where a sentence of the answer rests on it."""

    text: str
    is_marked: bool


@dataclass(frozen=True, slots=True)
class SourceView:
    """A passage that an answer rests on, between its surroundings.

    Attributes:
        pieces: The passage in order, with the exact spans marked; empty once it was removed.
        place: Characters of the document's text, counted from 0.
        page: From 1; None for formats without pages.
    """

    number: int
    title: str
    section: str
    url: str
    score: float | None
    before: str
    pieces: Sequence[Piece]
    after: str
    place: str
    page: int | None
    passage_url: str

    @property
    def is_removed(self) -> bool:
        """True when the passage is no longer in the corpus."""
        return not self.pieces


@dataclass(frozen=True, slots=True)
class AnswerView:
    """A finished run's answer."""

    sentences: Sequence[SentenceView]
    sources: Sequence[SourceView]

    @property
    def has_unsupported(self) -> bool:
        """True when a sentence rests on nothing."""
        return any(sentence.is_unsupported for sentence in self.sentences)


@dataclass(frozen=True, slots=True)
class _Shelf:
    """What the corpora still have of the passages that a run cites."""

    chunk_by_id: Mapping[int, Chunk]
    text_by_document: Mapping[int, str]


def answer_view(run: Run, reader: Reader = ANYBODY) -> AnswerView:
    """The answer of ``run`` with the passages that it cites; two queries at most.

    Args:
        reader: Who looks; the passages of other people's documents are as good as removed.
    """
    sentences = [
        SentenceView(
            sentence["text"],
            tuple(sentence["passages"]),
            sentence["support"] == Support.UNSUPPORTED,
            ", ".join(sentence.get("missing_literals", ())),
        )
        for sentence in run.sentences
    ]
    cited = [citation for citation in run.citations if citation["is_cited"]]
    shelf = _shelf(cited, reader)
    return AnswerView(sentences, [_source(citation, shelf, run) for citation in cited])


def _shelf(cited: Sequence[Mapping[str, Any]], reader: Reader) -> _Shelf:
    chunk_ids = [citation["chunk_id"] for citation in cited if citation["chunk_id"]]
    if not chunk_ids:
        return _Shelf({}, {})
    chunks = Chunk.objects.defer("embedding").filter(id__in=chunk_ids)
    documents = {chunk.document_id for chunk in chunks}
    texts = dict(
        Document.objects.filter(readable(reader), pk__in=documents).values_list("pk", "text")
    )
    return _Shelf({chunk.id: chunk for chunk in chunks if chunk.document_id in texts}, texts)


def _source(citation: Mapping[str, Any], shelf: _Shelf, run: Run) -> SourceView:
    chunk = shelf.chunk_by_id.get(citation["chunk_id"] or 0)
    before, text, after = _around(citation, chunk, shelf)
    spans = _spans(run, citation["number"], len(text))
    first = citation["start"]
    place = ", ".join(f"{first + start} to {first + end}" for start, end in spans)
    return SourceView(
        number=citation["number"],
        title=citation["title"] or citation["url"],
        section=" > ".join(citation["section"]),
        url=citation["url"],
        score=citation["score"],
        before=before,
        pieces=_pieces(text, spans),
        after=after,
        place=place,
        page=citation["page"],
        passage_url=_passage_url(run, chunk) if chunk else "",
    )


def _spans(run: Run, number: int, length: int) -> list[tuple[int, int]]:
    """Where the answer's sentences rest in a passage, joined and in order; the whole if unknown."""
    wanted = sorted(
        (span["start"], min(span["end"], length))
        for sentence in run.sentences
        for span in sentence.get("spans", ())
        if span["passage"] == number
    )
    joined: list[tuple[int, int]] = []
    for start, end in wanted:
        if joined and start <= joined[-1][1] + 1:
            start, end = joined[-1][0], max(joined.pop()[1], end)
        joined.append((start, end))
    return joined or [(0, length)]


def _pieces(text: str, spans: Sequence[tuple[int, int]]) -> list[Piece]:
    pieces: list[Piece] = []
    shown = 0
    for start, end in spans:
        pieces += [
            Piece(text[shown:start], is_marked=False),
            Piece(text[start:end], is_marked=True),
        ]
        shown = end
    pieces.append(Piece(text[shown:], is_marked=False))
    return [piece for piece in pieces if piece.text]


def _around(
    citation: Mapping[str, Any], chunk: Chunk | None, shelf: _Shelf
) -> tuple[str, str, str]:
    """The passage between what stands before and after it in its document."""
    if chunk is None:
        return "", citation["text"], ""
    text = shelf.text_by_document.get(chunk.document_id, "")
    start, end = chunk.char_start, chunk.char_end
    before, after = text[max(start - CONTEXT, 0) : start], text[end : end + CONTEXT]
    return (
        f"…{before}" if start > CONTEXT else before,
        chunk.text,
        f"{after}…" if end + CONTEXT < len(text) else after,
    )


def _passage_url(run: Run, chunk: Chunk) -> str:
    page = reverse("ragapp:document-detail", args=[run.tenant.slug, chunk.document_id])
    return f"{page}?passage={chunk.ordinal}#passage-{chunk.ordinal}"
