"""Many tenants with synthetic corpora: one large partition to time, and strangers who pry.

Imported only after Django is set up. Words follow Zipf's law with the stop words cut off; each
tenant has its own most frequent words, its own secret one, and vectors around its own topic.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from django.db import connection

from benchmarks.wire.shelf import Say, new_tenant
from ragapp.domain.chunk import Chunk
from ragapp.models import Corpus, Document, DocumentState
from ragapp.models.chunk import DIMENSIONS
from ragapp.services import corpora, index, search
from tenants.models.scoped import tenant_scope

VOCABULARY = 30_000
# The rank at which Zipf's law begins once the stop words are gone: the most frequent word then
# stands in about a quarter of the passages, as in real collections.
FIRST_RANK = 50
WORDS_IN_CHUNK = 110
WORDS_IN_QUERY = 9
CHUNKS_IN_DOCUMENT = 500
LIMIT = 8

INJECTED = (
    "') OR true; --",
    "'; SET LOCAL app.staff = 'on'; SELECT '",
    "x' UNION SELECT id, 1, 1, 1, text FROM ragapp_chunk --",
    "{tenant} %s {} \\ \0 $$",
)

_LEXICAL = """
WITH collection AS MATERIALIZED (
    SELECT chunk_count::float8 AS size, lexeme_count::float8 / chunk_count AS average
    FROM ragapp_corpus WHERE tenant_id = {tenant} AND id = {corpus}
), question AS MATERIALIZED (
    SELECT lexeme AS term, ln(1 + (size - df + 0.5) / (df + 0.5)) * 2.2 AS idf,
           0.9 / average AS slope
    FROM unnest(to_tsvector('english', '{text}')) AS asked CROSS JOIN collection
    CROSS JOIN LATERAL (
        SELECT count(*)::float8 AS df FROM ragapp_posting
        WHERE tenant_id = {tenant} AND corpus_id = {corpus} AND term = asked.lexeme
    ) AS counted
)
SELECT chunk_id, sum(idf * frequency / (frequency + 0.3 + slope * lexeme_count)) AS bm25
FROM question JOIN ragapp_posting USING (term)
WHERE tenant_id = {tenant} AND corpus_id = {corpus}
GROUP BY chunk_id ORDER BY bm25 DESC, chunk_id LIMIT 100
"""

_DENSE = """
SELECT id, embedding <#> '{vector}'::halfvec AS distance FROM ragapp_chunk
WHERE tenant_id = {tenant} AND corpus_id = {corpus} ORDER BY distance, id LIMIT {limit}
"""


@dataclass(frozen=True, slots=True)
class Resident:
    """One tenant with one corpus."""

    tenant_id: int
    corpus_id: int
    number: int
    chunks: int

    @property
    def secret(self) -> str:
        """A word that no other tenant's passages have."""
        return f"secret{self.number}x"


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of each query."""

    lexical: Sequence[float]
    dense: Sequence[float]
    hybrid: Sequence[float]


class Crowd:
    """Tenants of given sizes, their texts and questions; the same in each run.

    Args:
        sizes: Chunks of each tenant.
    """

    def __init__(self, sizes: Sequence[int], say: Say) -> None:
        self._random = np.random.default_rng(4)
        weights = 1.0 / (np.arange(VOCABULARY) + FIRST_RANK)
        self._weights = weights / weights.sum()
        self._words = np.array([f"w{_letters(number)}k" for number in range(VOCABULARY)])
        self._topics = _unit(self._random.normal(size=(len(sizes), DIMENSIONS)))
        self.residents = [self._move_in(number, size, say) for number, size in enumerate(sizes)]

    def question(self, resident: Resident, *, words: int = WORDS_IN_QUERY) -> tuple[str, str]:
        """A question on the resident's topic, and its embedding."""
        text = " ".join(self._text(resident.number, words))
        return text, index.as_text(self._vectors(resident.number, 1)[0])

    def recall(self, resident: Resident, *, questions: int, k: int = 10) -> float:
        """Share of the exact ``k`` nearest that the product's dense leg finds as its first."""
        shares = []
        for _ in range(questions):
            text, vector = self.question(resident)
            with tenant_scope(resident.tenant_id):
                exact = {row[0] for row in _rows(_dense(resident, vector, limit=k))}
                found = search.candidates(resident.tenant_id, [resident.corpus_id], text, vector)
            best = sorted(found, key=lambda candidate: (-candidate.dense, candidate.key))[:k]
            shares.append(len(exact.intersection(hit.key for hit in best)) / k)
        return float(np.mean(shares))

    def foreign_rows(self, questions: int) -> int:
        """What strangers get of others: passages, candidates and counts, over all questions.

        Each asks with another tenant's words, vector, secret and corpus, and some with SQL.
        """
        own = self._own_documents()
        foreign = 0
        for number in range(questions):
            thief, victim = self._random.choice(len(self.residents), size=2, replace=False)
            mine, theirs = self.residents[thief], self.residents[victim]
            text, vector = self.question(theirs)
            asked = f"{text} {theirs.secret} {INJECTED[number % 4] if number % 3 == 0 else ''}"
            both = [mine.corpus_id, theirs.corpus_id]
            with tenant_scope(mine.tenant_id):
                hits = search.ranked(mine.tenant_id, both, asked, vector, k=LIMIT)
            lexicon = search.look_up(mine.tenant_id, both, theirs.secret)
            foreign += sum(hit.document_id not in own[thief] for hit in hits)
            foreign += sum(lexicon.frequency_by_term.values()) + (lexicon.chunks != mine.chunks)
        return foreign

    def times(self, resident: Resident, *, questions: int) -> Times:
        """Each question asked of both legs, bare, and of the product, in turn on one connection."""
        lexical, dense, hybrid = [], [], []
        for _ in range(questions):
            text, vector = self.question(resident)
            bare = partial(str.format, tenant=resident.tenant_id, corpus=resident.corpus_id)
            lexical.append(self._timed(resident, partial(_rows, bare(_LEXICAL, text=text))))
            dense.append(self._timed(resident, partial(_rows, _dense(resident, vector, limit=100))))
            whole = partial(
                search.ranked, resident.tenant_id, [resident.corpus_id], text, vector, k=LIMIT
            )
            hybrid.append(self._timed(resident, whole))
        return Times(lexical, dense, hybrid)

    @staticmethod
    def _timed(resident: Resident, asked: Callable[[], object]) -> float:
        begun = time.perf_counter()
        with tenant_scope(resident.tenant_id):
            asked()
        return (time.perf_counter() - begun) * 1000

    def _own_documents(self) -> list[set[int]]:
        own = []
        for resident in self.residents:
            with tenant_scope(resident.tenant_id):
                own.append(set(Document.objects.values_list("pk", flat=True)))
        return own

    def _move_in(self, number: int, size: int, say: Say) -> Resident:
        if number % 20 == 0:
            say(f"indexing tenant {number}: {size:,} chunks")
        tenant = new_tenant(f"bench-{number}")
        with tenant_scope(tenant.pk):
            corpus = Corpus.objects.create(tenant=tenant, name="bench")
            for first in range(0, size, CHUNKS_IN_DOCUMENT):
                self._write(corpus, number, first, min(CHUNKS_IN_DOCUMENT, size - first))
        return Resident(tenant.pk, corpus.pk, number, size)

    def _write(self, corpus: Corpus, number: int, first: int, size: int) -> None:
        document = Document.objects.create(
            tenant_id=corpus.tenant_id,
            corpus=corpus,
            url=f"http://bench.example/{number}/{first}",
            state=DocumentState.READY,
            chunk_count=size,
        )
        chunks = [self._chunk(number, first + at) for at in range(size)]
        written = index.write(document, chunks, self._vectors(number, size))
        corpora.count(corpus.pk, documents=1, plus=written)

    def _chunk(self, number: int, at: int) -> Chunk:
        text = " ".join([*self._text(number, WORDS_IN_CHUNK), f"secret{number}x"])
        return Chunk(
            text=text,
            start=0,
            end=len(text),
            context="",
            section=(),
            page=None,
            tokens=WORDS_IN_CHUNK,
            content_hash=f"{number}-{at}",
        )

    def _text(self, number: int, words: int) -> list[str]:
        ranks = self._random.choice(VOCABULARY, size=words, p=self._weights)
        # Each tenant's frequent words are others than its neighbour's.
        return list(self._words[(ranks + 997 * number) % VOCABULARY])

    def _vectors(self, number: int, size: int) -> index.Vector:
        noise = self._random.normal(size=(size, DIMENSIONS)) / np.sqrt(DIMENSIONS)
        return _unit(self._topics[number] + noise).astype(np.float32)


def _dense(resident: Resident, vector: str, *, limit: int) -> str:
    return _DENSE.format(
        tenant=resident.tenant_id, corpus=resident.corpus_id, vector=vector, limit=limit
    )


def _rows(statement: str) -> list[tuple[int, float]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def _letters(number: int) -> str:
    """A word of its own for each number that no stemmer cuts: consonants and an o."""
    word = ""
    while True:
        number, digit = divmod(number, 12)
        word += f"{'bdfghjlmnprt'[digit]}o"
        if not number:
            return word


def _unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    lengths: npt.NDArray[np.float64] = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / lengths
