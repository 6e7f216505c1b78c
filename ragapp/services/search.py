"""Hybrid retrieval inside one tenant's partition: dense and BM25, both scores, one order.

One statement ranks: each leg's best hundred are united, and both scores are computed for the whole
union. ``ragapp.domain.fuse`` orders it, and a second statement reads the few winners' texts; to
carry two hundred texts along to show eight would cost more than the second trip.

BM25 (k1 1.2, b 0.75, IDF ln(1 + (N - df + 0.5) / (df + 0.5))) counts N, df and the average length
in the searched corpora alone: no other corpus, and no other tenant, moves a score.
"""

from collections.abc import Sequence
from typing import Any

from django.db import connection
from psycopg import sql

from ragapp.domain.fuse import DENSE_WEIGHT, Candidate, Fused, fuse
from ragapp.domain.passage import Passage, Source
from ragapp.domain.route import Lexicon
from ragapp.models import Corpus
from ragapp.services import index, serving
from ragapp.services.lexemes import terms
from tenants.models.scoped import tenant_scope

DEPTH = 100
K1, B = 1.2, 0.75

_RANK = sql.SQL("""
WITH collection AS (
    SELECT sum(chunk_count)::float8 AS size,
           sum(lexeme_count)::float8 / nullif(sum(chunk_count), 0) AS average
    FROM ragapp_corpus WHERE tenant_id = {tenant} AND id IN ({corpora})
), question AS MATERIALIZED ({terms}), matched AS (
    SELECT chunk_id, posting.frequency, lexeme_count, count(*) OVER (PARTITION BY term) AS df
    FROM ragapp_posting AS posting JOIN question USING (term)
    WHERE tenant_id = {tenant} AND corpus_id IN ({corpora})
), lexical AS MATERIALIZED (
    SELECT chunk_id AS id, sum(
        ln(1 + (size - df + 0.5) / (df + 0.5)) * frequency * ({k1} + 1)
        / (frequency + {k1} * (1 - {b} + {b} * lexeme_count / average))
    )::float8 AS bm25
    FROM matched CROSS JOIN collection GROUP BY chunk_id
), dense AS (
    SELECT id FROM ragapp_chunk WHERE tenant_id = {tenant} AND corpus_id IN ({corpora})
    ORDER BY embedding <#> {vector}::halfvec, id LIMIT {depth}
), best AS (
    SELECT id FROM lexical ORDER BY bm25 DESC, id LIMIT {depth}
)
SELECT chunk.id, -(chunk.embedding <#> {vector}::halfvec), coalesce(lexical.bm25, 0)
FROM (SELECT id FROM dense UNION SELECT id FROM best) AS candidate
JOIN ragapp_chunk AS chunk ON chunk.tenant_id = {tenant} AND chunk.id = candidate.id
LEFT JOIN lexical ON lexical.id = candidate.id
""")

_READ = sql.SQL("""
SELECT chunk.id, chunk.document_id, chunk.title, chunk.section, chunk.page, chunk.char_start,
       chunk.char_end, chunk.text, document.url
FROM ragapp_chunk AS chunk
JOIN ragapp_document AS document
  ON document.tenant_id = {tenant} AND document.id = chunk.document_id
WHERE chunk.tenant_id = {tenant} AND chunk.id IN ({chunks})
""")

_LOOK_UP = sql.SQL("""
SELECT question.term, count(posting.chunk_id)
FROM ({terms}) AS question
LEFT JOIN ragapp_posting AS posting
  ON posting.tenant_id = {tenant} AND posting.corpus_id IN ({corpora})
 AND posting.term = question.term
GROUP BY question.term
""")


def search(
    tenant_id: int,
    corpus_ids: Sequence[int],
    query: str,
    *,
    k: int,
    weight: float | None = None,
) -> list[Passage]:
    """The ``k`` best passages of the corpora, best first, with both scores and ranks.

    Opens the tenant's scope itself, after the query was embedded: no transaction waits for a model.

    Args:
        corpus_ids: Corpora of this tenant; another's yield nothing.
        weight: Share of the dense score; the corpora's own when None.
    """
    if not corpus_ids or k < 1:
        return []
    vector = index.as_text(serving.embedder().embed_queries([query])[0])
    with tenant_scope(tenant_id):
        return ranked(tenant_id, corpus_ids, query, vector, k=k, weight=weight)


def ranked(
    tenant_id: int,
    corpus_ids: Sequence[int],
    query: str,
    vector: str,
    *,
    k: int,
    weight: float | None = None,
) -> list[Passage]:
    """As ``search``, inside the caller's tenant scope, for a query embedded already.

    Args:
        vector: The query's embedding in pgvector's input form.
    """
    names = _names(tenant_id, corpus_ids)
    statement = _RANK.format(
        terms=terms(_text(query)),
        vector=sql.Literal(vector),
        depth=sql.Literal(max(DEPTH, k)),
        k1=sql.Literal(K1),
        b=sql.Literal(B),
        **names,
    )
    candidates = [Candidate(key, dense, lexical) for key, dense, lexical in _rows(statement)]
    if not candidates:
        return []
    share = _weight(corpus_ids) if weight is None else weight
    order = fuse(candidates, weight=share)[:k]
    return _passages(order, names["tenant"])


def look_up(tenant_id: int, corpus_ids: Sequence[int], question: str) -> Lexicon:
    """How many chunks of the corpora contain each of the question's terms."""
    with tenant_scope(tenant_id):
        chunks = sum(Corpus.objects.filter(pk__in=corpus_ids).values_list("chunk_count", flat=True))
        if not chunks:
            return Lexicon(0, {})
        statement = _LOOK_UP.format(terms=terms(_text(question)), **_names(tenant_id, corpus_ids))
        return Lexicon(chunks, dict(_rows(statement)))


def _passages(order: Sequence[Fused], tenant: sql.Composable) -> list[Passage]:
    chunks = sql.SQL(",").join(sql.Literal(hit.key) for hit in order)
    row_by_id = {row[0]: row for row in _rows(_READ.format(tenant=tenant, chunks=chunks))}
    return [_passage(hit, row_by_id[hit.key]) for hit in order if hit.key in row_by_id]


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


def _weight(corpus_ids: Sequence[int]) -> float:
    """The corpora's own dense weight; their mean where several are searched."""
    weights = list(Corpus.objects.filter(pk__in=corpus_ids).values_list("dense_weight", flat=True))
    return sum(weights) / len(weights) if weights else DENSE_WEIGHT


def _names(tenant_id: int, corpus_ids: Sequence[int]) -> dict[str, sql.Composable]:
    return {
        "tenant": sql.Literal(int(tenant_id)),
        "corpora": sql.SQL(",").join(sql.Literal(int(corpus_id)) for corpus_id in corpus_ids),
    }


def _text(query: str) -> sql.Composable:
    # PostgreSQL's text holds no NUL; a question that has one is still a question.
    return sql.Literal(query.replace("\0", " "))


def _rows(statement: sql.Composed) -> list[tuple[Any, ...]]:  # Any: a database row.
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())
