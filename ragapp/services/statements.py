"""The statements of the search: which chunks, with which two scores.

Two ways lead to the same candidates. The *open* one reads chunks and postings by corpus alone. The
*narrowed* one first makes the set of chunks that the reader may see and the filters let through,
and then knows nothing else: not in its lists, nor in df, N or the average length, so that what is
hidden moves no score either. It reads that set exactly, whatever indexes there are.

The tenant and the corpora stand in each as literals, so that one partition is planned.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from psycopg import sql

from ragapp.domain.filters import NO_FILTERS, Filters
from ragapp.domain.reader import Reader
from ragapp.services.lexemes import terms

K1, B = 1.2, 0.75


def _joined(*pieces: str) -> sql.SQL:
    """One statement of several pieces; all of them stand in this module."""
    return sql.SQL(" ".join(pieces))


_COLLECTION = """
collection AS MATERIALIZED (
    SELECT sum(chunk_count)::float8 AS size,
           sum(lexeme_count)::float8 / nullif(sum(chunk_count), 0) AS average
    FROM ragapp_corpus WHERE tenant_id = {tenant} AND id IN ({corpora})
)"""

# The index alone answers df and the scores (its INCLUDE columns), and its pages are hot after the
# first. To keep df in a table of its own was measured: no quicker, and every writer would wait.
_LEXICAL = """
question AS MATERIALIZED (
    SELECT term, ln(1 + (size - df + 0.5) / (df + 0.5)) * ({k1} + 1) AS idf,
           {k1} * {b} / average AS slope
    FROM ({terms}) AS asked CROSS JOIN collection CROSS JOIN LATERAL (
        SELECT count(*)::float8 AS df FROM ragapp_posting AS posting {posting_join}
        WHERE posting.tenant_id = {tenant} AND posting.corpus_id IN ({corpora})
          AND posting.term = asked.term
    ) AS counted
), lexical AS MATERIALIZED (
    SELECT chunk_id AS id, sum(
        idf * frequency / (frequency + {k1} * (1 - {b}) + slope * posting.lexeme_count)
    )::float8 AS bm25
    FROM question JOIN ragapp_posting AS posting USING (term) {posting_join}
    WHERE posting.tenant_id = {tenant} AND posting.corpus_id IN ({corpora})
    GROUP BY chunk_id
), best AS (
    SELECT id FROM lexical ORDER BY bm25 DESC, id LIMIT {depth}
)"""

_OPEN = _joined(
    "WITH",
    _COLLECTION,
    ",",
    _LEXICAL,
    ",",
    """
dense AS (
    SELECT id FROM ragapp_chunk WHERE tenant_id = {tenant} AND corpus_id IN ({corpora})
    ORDER BY {distance}, id LIMIT {depth}
)
SELECT chunk.id, -(chunk.embedding <#> {vector}::halfvec), coalesce(lexical.bm25, 0),
       chunk.corpus_id, chunk.content_hash
FROM (SELECT id FROM dense UNION SELECT id FROM best) AS candidate
JOIN ragapp_chunk AS chunk ON chunk.tenant_id = {tenant} AND chunk.id = candidate.id
LEFT JOIN lexical ON lexical.id = candidate.id
""",
)

_PERMITTED = """
permitted AS MATERIALIZED (
    SELECT document.id FROM ragapp_document AS document
    WHERE document.tenant_id = {tenant} AND document.corpus_id IN ({corpora})
      AND {readable} AND {filters}
)"""

_NARROWED = _joined(
    "WITH",
    _PERMITTED,
    ",",
    """
pool AS MATERIALIZED (
    SELECT chunk.id, chunk.corpus_id, chunk.lexeme_count, chunk.content_hash,
           -(chunk.embedding <#> {vector}::halfvec) AS likeness
    FROM ragapp_chunk AS chunk JOIN permitted ON permitted.id = chunk.document_id
    WHERE chunk.tenant_id = {tenant} AND chunk.corpus_id IN ({corpora}) AND {pages}
), collection AS MATERIALIZED (
    SELECT count(*)::float8 AS size, nullif(avg(lexeme_count), 0)::float8 AS average FROM pool
),""",
    _LEXICAL,
    ",",
    """
dense AS (
    SELECT id FROM pool ORDER BY likeness DESC, id LIMIT {depth}
)
SELECT pool.id, pool.likeness, coalesce(lexical.bm25, 0), pool.corpus_id, pool.content_hash
FROM (SELECT id FROM dense UNION SELECT id FROM best) AS candidate
JOIN pool ON pool.id = candidate.id
LEFT JOIN lexical ON lexical.id = candidate.id
""",
)

_READ = sql.SQL("""
SELECT chunk.id, chunk.document_id, chunk.title, chunk.section, chunk.page, chunk.char_start,
       chunk.char_end, chunk.text, document.url
FROM ragapp_chunk AS chunk
JOIN ragapp_document AS document
  ON document.tenant_id = {tenant} AND document.id = chunk.document_id
WHERE chunk.tenant_id = {tenant} AND chunk.id IN ({chunks}) AND {readable}
""")

_LOOK_UP_OPEN = sql.SQL("""
SELECT asked.term, count(posting.chunk_id)
FROM ({terms}) AS asked
LEFT JOIN ragapp_posting AS posting
  ON posting.tenant_id = {tenant} AND posting.corpus_id IN ({corpora})
 AND posting.term = asked.term
GROUP BY asked.term
""")

_VISIBLE = (
    "WITH",
    _PERMITTED,
    ",",
    """
pool AS MATERIALIZED (
    SELECT chunk.id FROM ragapp_chunk AS chunk JOIN permitted ON permitted.id = chunk.document_id
    WHERE chunk.tenant_id = {tenant} AND chunk.corpus_id IN ({corpora})
)""",
)

_COUNT_NARROWED = _joined(*_VISIBLE, "SELECT count(*) FROM pool")

_LOOK_UP_NARROWED = _joined(
    *_VISIBLE,
    """
SELECT asked.term, count(pool.id)
FROM ({terms}) AS asked
LEFT JOIN ragapp_posting AS posting
  ON posting.tenant_id = {tenant} AND posting.corpus_id IN ({corpora})
 AND posting.term = asked.term
LEFT JOIN pool ON pool.id = posting.chunk_id
GROUP BY asked.term
""",
)

# The document's own parser says which words of a text a question's word meets, stem by stem.
_MARK = sql.SQL("""
WITH question AS (
    SELECT string_agg(quote_literal(term), ' | ')::tsquery AS words FROM ({terms}) AS asked
)
SELECT chunk.id, coalesce(
    ts_headline('english', translate(chunk.text, {start} || {stop}, ''), question.words, {options}),
    chunk.text)
FROM ragapp_chunk AS chunk CROSS JOIN question
WHERE chunk.tenant_id = {tenant} AND chunk.id IN ({chunks})
""")
# Control characters, which no HTML has and no text needs.
MARK_START, MARK_STOP = "\x02", "\x03"

_WITH_POOL = sql.SQL("JOIN pool ON pool.id = posting.chunk_id")
_TRUE = sql.SQL("true")


@dataclass(frozen=True, slots=True)
class Field:
    """Where a search looks: the chosen corpora of one tenant, as one reader sees them."""

    tenant_id: int
    corpus_ids: Sequence[int]
    reader: Reader
    filters: Filters = NO_FILTERS


def rank(
    field: Field, query: str, vector: str, *, depth: int, narrowed: bool, indexed: bool
) -> sql.Composed:
    """Rows of chunk id, inner product, BM25, corpus id and content hash.

    Args:
        narrowed: Whether something in the corpora may be hidden from the search.
        indexed: Whether the dense leg may use a vector index; else it is exact.
    """
    given = sql.Literal(vector)
    # An index can serve only the bare expression.
    distance = sql.SQL(
        "embedding <#> {}::halfvec" if indexed else "(embedding <#> {}::halfvec) + 0"
    )
    return (_NARROWED if narrowed else _OPEN).format(
        terms=terms(text(query)),
        vector=given,
        distance=distance.format(given),
        depth=sql.Literal(depth),
        k1=sql.Literal(K1),
        b=sql.Literal(B),
        posting_join=_WITH_POOL if narrowed else sql.SQL(""),
        pages=_pages(field.filters),
        **_documents(field),
        **_names(field),
    )


def read(field: Field, chunk_ids: Sequence[int]) -> sql.Composed:
    """What a passage shows of each chunk that the reader may still read."""
    return _READ.format(
        tenant=sql.Literal(int(field.tenant_id)),
        chunks=sql.SQL(",").join(sql.Literal(chunk) for chunk in chunk_ids),
        readable=_readable(field.reader),
    )


def mark(field: Field, query: str, chunk_ids: Sequence[int]) -> sql.Composed:
    """Rows of chunk id and its text, with the query's words between the two marks."""
    options = f"HighlightAll=true, StartSel={MARK_START}, StopSel={MARK_STOP}"
    return _MARK.format(
        terms=terms(text(query)),
        start=sql.Literal(MARK_START),
        stop=sql.Literal(MARK_STOP),
        options=sql.Literal(options),
        tenant=sql.Literal(int(field.tenant_id)),
        chunks=sql.SQL(",").join(sql.Literal(chunk) for chunk in chunk_ids),
    )


def look_up(field: Field, question: str, *, narrowed: bool) -> sql.Composed:
    """Rows of each of the question's terms and the number of chunks with it."""
    statement = _LOOK_UP_NARROWED if narrowed else _LOOK_UP_OPEN
    return statement.format(terms=terms(text(question)), **_documents(field), **_names(field))


def count(field: Field) -> sql.Composed:
    """The number of chunks that the reader may see."""
    return _COUNT_NARROWED.format(**_documents(field), **_names(field))


def text(query: str) -> sql.Composable:
    """The query as an SQL text. PostgreSQL's holds no NUL, and yet such a query is a query."""
    return sql.Literal(query.replace("\0", " "))


def rows(statement: sql.Composed) -> list[tuple[Any, ...]]:  # Any: database rows.
    """Run the statement inside the caller's scope."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def _names(field: Field) -> dict[str, sql.Composable]:
    return {
        "tenant": sql.Literal(int(field.tenant_id)),
        "corpora": sql.SQL(",").join(sql.Literal(int(key)) for key in field.corpus_ids),
    }


def _documents(field: Field) -> dict[str, sql.Composable]:
    return {"readable": _readable(field.reader), "filters": _filters(field.filters)}


def _readable(reader: Reader) -> sql.Composable:
    if reader.sees_all:
        return _TRUE
    principals = sql.SQL(",").join(sql.Literal(name) for name in sorted(reader.principals))
    return sql.SQL(
        "(document.readers = '[]'::jsonb OR document.readers ?| ARRAY[{}]::text[])"
    ).format(principals)


def _filters(filters: Filters) -> sql.Composable:
    conditions: list[sql.Composable] = []
    if filters.title:
        conditions.append(
            sql.SQL("strpos(lower(document.title), lower({})) > 0").format(text(filters.title))
        )
    if filters.url:
        conditions.append(sql.SQL("starts_with(document.url, {})").format(text(filters.url)))
    if filters.content_type:
        conditions.append(
            sql.SQL("split_part(document.content_type, ';', 1) = {}").format(
                text(filters.content_type)
            )
        )
    if filters.fetched_since is not None:
        conditions.append(
            sql.SQL("document.fetched_at >= {}").format(sql.Literal(filters.fetched_since))
        )
    if filters.labels:
        labels = json.dumps(dict(filters.labels)).replace("\\u0000", " ")
        conditions.append(sql.SQL("document.labels @> {}::jsonb").format(sql.Literal(labels)))
    return sql.SQL(" AND ").join(conditions) if conditions else _TRUE


def _pages(filters: Filters) -> sql.Composable:
    conditions: list[sql.Composable] = []
    if filters.first_page is not None:
        conditions.append(sql.SQL("chunk.page >= {}").format(sql.Literal(filters.first_page)))
    if filters.last_page is not None:
        conditions.append(sql.SQL("chunk.page <= {}").format(sql.Literal(filters.last_page)))
    return sql.SQL(" AND ").join(conditions) if conditions else _TRUE
