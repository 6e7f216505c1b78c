"""What retrieval reads of a document: its chunks and postings, written and deleted as sets.

Runs inside the caller's tenant scope and transaction. PostgreSQL itself makes the postings from
the text, so index and question always agree (``lexemes.py``). The tenant stands in each statement
as a literal, so that one partition is planned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import connection
from psycopg import sql

from ragapp.domain.chunk import Chunk
from ragapp.domain.engine import Vectors
from ragapp.models import Document
from ragapp.services.lexemes import terms

# Chunks in one statement: bounds its size, some 5 MB.
BATCH = 500
SECTION_JOINT = " > "

Vector = npt.NDArray[np.float32]

_WRITE = sql.SQL("""
WITH incoming AS MATERIALIZED (
    SELECT nextval('ragapp_chunk_id_seq') AS id, given.*
    FROM unnest(%s::int[], %s::text[], %s::int[], %s::int[], %s::int[], %s::text[], %s::text[],
                %s::int[], %s::text[], %s::text[])
      AS given(ordinal, section, page, char_start, char_end, text, indexed_text, token_count,
               content_hash, embedding)
), counted AS MATERIALIZED (
    SELECT incoming.id, found.term, found.frequency
    FROM incoming CROSS JOIN LATERAL ({terms}) AS found
), measured AS (
    SELECT incoming.*, coalesce(sum(counted.frequency), 0)::int AS lexeme_count
    FROM incoming LEFT JOIN counted USING (id)
    GROUP BY incoming.id, ordinal, section, page, char_start, char_end, text, indexed_text,
             token_count, content_hash, embedding
), chunks AS (
    INSERT INTO ragapp_chunk (tenant_id, id, corpus_id, document_id, ordinal, title, section, page,
        char_start, char_end, text, token_count, lexeme_count, content_hash, embedding)
    SELECT {tenant}, id, {corpus}, {document}, ordinal, %s, section, page, char_start, char_end,
        text, token_count, lexeme_count, content_hash, embedding::halfvec
    FROM measured
    RETURNING id, lexeme_count
), postings AS (
    INSERT INTO ragapp_posting (tenant_id, corpus_id, term, chunk_id, frequency, lexeme_count)
    SELECT {tenant}, {corpus}, counted.term, counted.id, counted.frequency, measured.lexeme_count
    FROM counted JOIN measured USING (id)
)
SELECT count(*), coalesce(sum(lexeme_count), 0) FROM chunks
""")

_DELETE = sql.SQL("""
WITH chunks AS (
    DELETE FROM ragapp_chunk WHERE tenant_id = {tenant} AND document_id = {document}
    RETURNING id, lexeme_count
), postings AS (
    DELETE FROM ragapp_posting WHERE tenant_id = {tenant} AND chunk_id IN (SELECT id FROM chunks)
)
SELECT count(*), coalesce(sum(lexeme_count), 0) FROM chunks
""")

_DELETE_CORPUS = sql.SQL("""
WITH postings AS (DELETE FROM ragapp_posting WHERE tenant_id = {tenant} AND corpus_id = {corpus})
DELETE FROM ragapp_chunk WHERE tenant_id = {tenant} AND corpus_id = {corpus}
""")

_VECTORS = sql.SQL("""
SELECT content_hash, embedding::text FROM ragapp_chunk
WHERE tenant_id = {tenant} AND document_id = {document}
""")


@dataclass(frozen=True, slots=True)
class Size:
    """How much was written or deleted."""

    chunks: int = 0
    lexemes: int = 0

    def __add__(self, other: "Size") -> "Size":
        return Size(self.chunks + other.chunks, self.lexemes + other.lexemes)


def write(document: Document, chunks: Sequence[Chunk], vectors: Vectors) -> Size:
    """Store the document's chunks and their postings; it must have none yet.

    Args:
        vectors: (n_chunks, dimensions), float32, each of length 1, in the chunks' order.
    """
    statement = _WRITE.format(
        terms=terms(sql.Identifier("incoming", "indexed_text")), **_literals(document)
    )
    written = Size()
    for begin in range(0, len(chunks), BATCH):
        batch = chunks[begin : begin + BATCH]
        columns = _columns(batch, vectors[begin : begin + BATCH], first=begin)
        with connection.cursor() as cursor:
            cursor.execute(statement, [*columns, document.title])
            count, lexemes = cursor.fetchone()
        written += Size(count, int(lexemes))
    return written


def delete(document: Document) -> Size:
    """Take the document out of retrieval; after the commit nothing of it can be found."""
    with connection.cursor() as cursor:
        cursor.execute(_DELETE.format(**_literals(document)))
        count, lexemes = cursor.fetchone()
    return Size(count, int(lexemes))


def delete_corpus(tenant_id: int, corpus_id: int) -> None:
    """Take a whole corpus out of retrieval."""
    statement = _DELETE_CORPUS.format(
        tenant=sql.Literal(int(tenant_id)), corpus=sql.Literal(int(corpus_id))
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)


def vector_by_hash(document: Document) -> Mapping[str, Vector]:
    """The stored vectors by content hash: an equal hash need not be embedded again."""
    with connection.cursor() as cursor:
        cursor.execute(_VECTORS.format(**_literals(document)))
        return {content_hash: from_text(text) for content_hash, text in cursor.fetchall()}


def as_text(vector: Vector) -> str:
    """pgvector's input form; six digits are more than half precision keeps."""
    return f"[{','.join(f'{value:.6g}' for value in vector.tolist())}]"


def from_text(text: str) -> Vector:
    """The vector of pgvector's output form."""
    return np.array(text[1:-1].split(","), dtype=np.float32)


def _literals(document: Document) -> dict[str, sql.Composable]:
    return {
        "tenant": sql.Literal(int(document.tenant_id)),
        "corpus": sql.Literal(int(document.corpus_id)),
        "document": sql.Literal(int(document.pk)),
    }


def _columns(chunks: Sequence[Chunk], vectors: Vectors, *, first: int) -> list[list[object]]:
    rows = [
        (
            ordinal,
            SECTION_JOINT.join(chunk.section),
            chunk.page,
            chunk.start,
            chunk.end,
            chunk.text,
            chunk.indexed_text,
            chunk.tokens,
            chunk.content_hash,
            as_text(vector),
        )
        for ordinal, (chunk, vector) in enumerate(zip(chunks, vectors, strict=True), start=first)
    ]
    return [list(column) for column in zip(*rows, strict=True)]
