"""Hybrid retrieval inside one tenant's partition: dense and BM25, both scores, one order.

One statement ranks (``statements.py``): each leg's best hundred are united, and both scores are
computed for the whole union. ``ragapp.domain.fuse`` orders it, and another statement reads the few
winners' texts; to carry two hundred texts along to show eight would cost more than the trip.

BM25 (k1 1.2, b 0.75, IDF ln(1 + (N - df + 0.5) / (df + 0.5))) counts N, df and the average length
in the searched corpora alone, and there in what the reader may see: no other corpus, no other
tenant and no document of others moves a score.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Exists, OuterRef

from ragapp.domain.engine import Reranker
from ragapp.domain.fuse import Candidate, Fused, fuse, without_twins
from ragapp.domain.passage import Passage, Source
from ragapp.domain.reader import ANYBODY, Reader
from ragapp.domain.route import Lexicon
from ragapp.models import Corpus, Document
from ragapp.services import index, serving, statements, vector_index, vectors
from ragapp.services.statements import Field
from tenants.models.scoped import tenant_scope

DEPTH = 100
# The best of the fused order, which a cross-encoder reads; each costs a forward pass.
RERANKED = 30
# More than a person reads; a program that wants all of a document asks for the document.
MOST_RESULTS = 50


@dataclass(frozen=True, slots=True)
class Result:
    """A passage as the search page shows it.

    Attributes:
        marked: The text in pieces, each with whether it is one of the question's words.
    """

    passage: Passage
    marked: Sequence[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Results:
    """What a person's search found, and how long the two steps took."""

    results: Sequence[Result]
    embed_seconds: float
    search_seconds: float


@dataclass(frozen=True, slots=True)
class _Collection:
    """What the search must know of its corpora before it ranks."""

    weight_by_corpus: Mapping[int, float]
    chunks: int
    has_limited: bool

    def is_narrowed(self, field: Field) -> bool:
        """True when some of it may be hidden from this search."""
        return field.filters.are_set or (self.has_limited and not field.reader.sees_all)


def search(
    tenant_id: int,
    corpus_ids: Sequence[int],
    query: str,
    *,
    k: int,
    weight: float | None = None,
    reader: Reader = ANYBODY,
    rerank: bool = False,
) -> list[Passage]:
    """The ``k`` best passages of the corpora, best first, with both scores and ranks.

    Opens the tenant's scope itself, after the query was embedded: no transaction waits for a model.

    Args:
        corpus_ids: Corpora of this tenant; another's yield nothing.
        weight: Share of the dense score; each corpus's own when None.
        reader: Who asks; without one, only what everybody in the tenant may read is found.
        rerank: Whether a cross-encoder orders the best anew, where one is set up.
    """
    if not corpus_ids or k < 1:
        return []
    vector = index.as_text(serving.embedder().embed_queries([query])[0])
    reranker = serving.reranker() if rerank else None
    depth = k if reranker is None else max(k, RERANKED)
    with tenant_scope(tenant_id):
        found = _ranked(Field(tenant_id, corpus_ids, reader), query, vector, depth, weight)
    return found if reranker is None else _reordered(reranker, query, found)[:k]


def by_weight(
    tenant_id: int,
    corpus_ids: Sequence[int],
    query: str,
    weights: Sequence[float],
    *,
    k: int,
    reader: Reader = ANYBODY,
) -> list[list[Passage]]:
    """The ``k`` best at each of the dense ``weights``, in their order, from one look at the index.

    As ``search`` otherwise, without the cross-encoder.
    """
    vector = index.as_text(serving.embedder().embed_queries([query])[0])
    field = Field(tenant_id, corpus_ids, reader)
    with tenant_scope(tenant_id):
        found = _candidates(field, _collection(corpus_ids), query, vector, depth=max(DEPTH, k))
        orders = [without_twins(fuse(found, weight=weight), found)[:k] for weight in weights]
        return _passages(orders, field)


def results(field: Field, query: str, *, k: int) -> Results:
    """The ``k`` best passages with the query's words marked, inside the caller's tenant scope.

    Raises:
        TransientError: the query could not be embedded now.
    """
    begun = time.monotonic()
    vector = vectors.of_question(query)
    embedded = time.monotonic()
    found = _ranked(field, query, vector, min(k, MOST_RESULTS), None) if field.corpus_ids else []
    marked = _marked(field, query, found)
    return Results(
        [Result(hit, marked.get(hit.chunk_id or 0, [(hit.text, False)])) for hit in found],
        embed_seconds=embedded - begun,
        search_seconds=time.monotonic() - embedded,
    )


def ranked(
    tenant_id: int,
    corpus_ids: Sequence[int],
    query: str,
    vector: str,
    *,
    k: int,
    weight: float | None = None,
    reader: Reader = ANYBODY,
) -> list[Passage]:
    """As ``search``, inside the caller's tenant scope, for a query embedded already.

    Args:
        vector: The query's embedding in pgvector's input form.
    """
    return _ranked(Field(tenant_id, corpus_ids, reader), query, vector, k, weight)


def candidates(
    tenant_id: int,
    corpus_ids: Sequence[int],
    query: str,
    vector: str,
    *,
    depth: int = DEPTH,
    reader: Reader = ANYBODY,
) -> list[Candidate]:
    """The union of both legs' ``depth`` best chunks with both scores, in no order.

    Inside the caller's tenant scope. For whoever tries several weights on the same question.
    """
    field = Field(tenant_id, corpus_ids, reader)
    return _candidates(field, _collection(corpus_ids), query, vector, depth=depth)


def look_up(
    tenant_id: int, corpus_ids: Sequence[int], question: str, *, reader: Reader = ANYBODY
) -> Lexicon:
    """How many of the corpora's chunks that the reader may see contain each of its terms."""
    field = Field(tenant_id, corpus_ids, reader)
    with tenant_scope(tenant_id):
        collection = _collection(corpus_ids)
        narrowed = collection.is_narrowed(field)
        chunks = collection.chunks
        if chunks and narrowed:
            chunks = statements.rows(statements.count(field))[0][0]
        if not chunks:
            return Lexicon(0, {})
        found = statements.rows(statements.look_up(field, question, narrowed=narrowed))
        return Lexicon(chunks, dict(found))


def _ranked(field: Field, query: str, vector: str, k: int, weight: float | None) -> list[Passage]:
    collection = _collection(field.corpus_ids)
    found = _candidates(field, collection, query, vector, depth=max(DEPTH, k))
    share = collection.weight_by_corpus if weight is None else weight
    order = without_twins(fuse(found, weight=share), found)[:k]
    return _passages([order], field)[0]


def _reordered(reranker: Reranker, query: str, found: Sequence[Passage]) -> list[Passage]:
    """The first by the cross-encoder's score, which becomes theirs; ties, and the rest, as before.

    The two kinds of score do not compare, so what was not read again stays behind.
    """
    best, rest = found[:RERANKED], found[RERANKED:]
    texts = [f"{hit.place}\n{hit.text}" if hit.place else hit.text for hit in best]
    scored = zip(best, reranker.score(query, texts).tolist(), strict=True)
    ordered = sorted(
        (replace(hit, score=score) for hit, score in scored), key=lambda hit: -hit.score
    )
    return [*ordered, *rest]


def _collection(corpus_ids: Sequence[int]) -> _Collection:
    limited = Document.objects.filter(corpus=OuterRef("pk")).exclude(readers=[])
    rows = list(
        Corpus.objects.filter(pk__in=corpus_ids).values_list(
            "pk", "dense_weight", "chunk_count", Exists(limited)
        )
    )
    return _Collection(
        weight_by_corpus={pk: weight for pk, weight, _, _ in rows},
        chunks=sum(chunks for _, _, chunks, _ in rows),
        has_limited=any(has_limited for _, _, _, has_limited in rows),
    )


def _candidates(
    field: Field, collection: _Collection, query: str, vector: str, *, depth: int
) -> list[Candidate]:
    if not collection.chunks:
        return []
    narrowed = collection.is_narrowed(field)
    indexed = not narrowed and vector_index.serves(field.tenant_id, collection.chunks)
    if indexed:
        vector_index.prepare(depth)
    statement = statements.rank(
        field, query, vector, depth=depth, narrowed=narrowed, indexed=indexed
    )
    return [Candidate(*row) for row in statements.rows(statement)]


def _passages(orders: Sequence[Sequence[Fused]], field: Field) -> list[list[Passage]]:
    """The passages of each order; their texts are read once for all."""
    keys = sorted({hit.key for order in orders for hit in order})
    row_by_id = (
        {row[0]: row for row in statements.rows(statements.read(field, keys))} if keys else {}
    )
    return [
        [_passage(hit, row_by_id[hit.key]) for hit in order if hit.key in row_by_id]
        for order in orders
    ]


def _marked(
    field: Field, query: str, found: Sequence[Passage]
) -> dict[int, list[tuple[str, bool]]]:
    """Each passage's text in pieces, by chunk."""
    chunk_ids = [hit.chunk_id for hit in found if hit.chunk_id]
    if not chunk_ids:
        return {}
    rows = statements.rows(statements.mark(field, query, chunk_ids))
    return {chunk_id: _pieces(text) for chunk_id, text in rows}


def _pieces(text: str) -> list[tuple[str, bool]]:
    pieces = []
    for number, part in enumerate(text.split(statements.MARK_START)):
        word, _, after = part.partition(statements.MARK_STOP) if number else ("", "", part)
        pieces += [(word, True), (after, False)]
    return [(piece, is_marked) for piece, is_marked in pieces if piece]


def _passage(hit: Fused, row: tuple[Any, ...]) -> Passage:  # Any: a database row.
    chunk_id, document_id, title, section, page, start, end, text, url = row
    return Passage(
        key=f"chunk:{chunk_id}",
        source=Source.LOCAL,
        title=title,
        text=text,
        start=start,
        end=end,
        section=tuple(section.split(index.SECTION_JOINT)) if section else (),
        page=page,
        url=url,
        chunk_id=chunk_id,
        document_id=document_id,
        score=hit.score,
        dense=hit.dense,
        lexical=hit.lexical,
        dense_rank=hit.dense_rank,
        lexical_rank=hit.lexical_rank,
    )
