"""What a run's row keeps of how it went: the passages that were read, the way, and the tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

from ragapp.domain import trace
from ragapp.domain.ends import Answer
from ragapp.domain.passage import Passage, Source

Json = dict[str, Any]  # Any: as nested as JSON is.


def citations(reached: Answer) -> list[Json]:
    """The passages that the model read; the text of a corpus's passage stays in the corpus.

    So a document that is deleted is deleted: an old run cannot show what it said.
    """
    used = {n for s in (reached.cited.sentences if reached.cited else ()) for n in s.passages}
    return [
        citation(number, passage, is_cited=number in used)
        for number, passage in enumerate(reached.passages, start=1)
    ]


def citation(number: int, passage: Passage, *, is_cited: bool) -> Json:
    """One of them, under the number by which the answer names it."""
    return {
        "number": number,
        "is_cited": is_cited,
        "source": passage.source.value,
        "title": passage.title,
        "section": list(passage.section),
        "page": passage.page,
        "url": passage.url,
        "chunk_id": passage.chunk_id,
        "document_id": passage.document_id,
        "start": passage.start,
        "end": passage.end,
        "score": passage.score,
        "text": passage.text if passage.source is Source.WEB else "",
    }


def route(entries: Sequence[Mapping[str, Any]]) -> str:
    """The way that was taken last."""
    ways = [entry["way"] for entry in entries if entry["kind"] == trace.Route.kind]
    return str(ways[-1]) if ways else ""


def usage(entries: Sequence[Mapping[str, Any]], *, seconds: float) -> Json:
    """Tokens by purpose, as the model calls counted them, and seconds from claim to end."""
    spent: Json = {"seconds": round(seconds, 3), "tokens_in": 0, "tokens_out": 0}
    for entry in entries:
        if entry["kind"] == trace.ModelCall.kind:
            spent["tokens_in"] += entry["tokens_in"]
            spent["tokens_out"] += entry["tokens_out"]
            purpose = f"{entry['purpose']}_tokens"
            spent[purpose] = spent.get(purpose, 0) + entry["tokens_in"] + entry["tokens_out"]
    return spent
