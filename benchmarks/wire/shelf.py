"""A dataset as one tenant's corpus, put there by the product's own way: chunks, vectors, postings.

Imported only after Django is set up. Vectors are the only slow part and the same each time, so they
are kept in a file of the embedder's and the dataset's name, by each chunk's hash.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.datasets import Document as Text
from ragapp.domain import document as extracted
from ragapp.domain.chunk import Chunk, Sizes, split
from ragapp.domain.engine import Embedder, Vectors
from ragapp.domain.fuse import Candidate
from ragapp.models import Chunk as ChunkRow
from ragapp.models import Corpus, Document, DocumentState, make_partition
from ragapp.services import corpora, index, search, serving
from tenants.domain.actor import Actor
from tenants.domain.roles import PlatformRole
from tenants.models.scoped import platform_scope, tenant_scope
from tenants.models.tenant import Tenant
from tenants.services.tenants import create_tenant

ACTOR = Actor(name="system:benchmark", platform_role=PlatformRole.ADMIN)
__all__ = ["Shelf", "by_whole_documents", "candidates", "fill", "new_tenant", "serving"]

# Chunks that are embedded between two words to the person who waits, and saved.
_STEP = 512

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the dataset lies now."""

    tenant_id: int
    corpus_id: int
    document_by_chunk: Mapping[int, str]


def new_tenant(slug: str) -> Tenant:
    """A tenant of the benchmark's own, with its partitions."""
    with platform_scope("benchmark"):
        tenant = create_tenant(slug, slug, actor=ACTOR)
    with tenant_scope(tenant.pk):
        make_partition(tenant.pk)
    return tenant


def fill(documents: Sequence[Text], embedder: Embedder, *, kept: Path, say: Say) -> Shelf:
    """Split, embed and index the documents; each one is a document of the corpus.

    Args:
        kept: File of the vectors of earlier runs.
    """
    say(f"splitting {len(documents):,} documents")
    sizes = Sizes(limit=embedder.max_tokens)
    split_documents = [
        split(extracted.Document(text=text.text, title=text.title), embedder, sizes)
        for text in documents
    ]
    chunks = [chunk for pieces in split_documents for chunk in pieces]
    text_by_hash = {chunk.content_hash: chunk.indexed_text for chunk in chunks}
    distinct = dict(
        zip(text_by_hash, _vectors(text_by_hash, embedder, kept=kept, say=say), strict=True)
    )
    vectors = np.stack([distinct[chunk.content_hash] for chunk in chunks])
    say(f"indexing {len(chunks):,} chunks")
    tenant = new_tenant("bench")
    with tenant_scope(tenant.pk):
        corpus = Corpus.objects.create(tenant=tenant, name="bench")
        row_by_id = _store(corpus, documents, split_documents, vectors)
        pairs = ChunkRow.objects.filter(corpus_id=corpus.pk).values_list("id", "document_id")
        document_by_chunk = {chunk: row_by_id[row] for chunk, row in pairs}
    return Shelf(tenant.pk, corpus.pk, document_by_chunk)


def candidates(
    shelf: Shelf, query_by_id: Mapping[str, str], embedder: Embedder, *, depth: int
) -> dict[str, list[Candidate]]:
    """The product's candidates for each query."""
    vectors = embedder.embed_queries(list(query_by_id.values()))
    found = {}
    for (key, text), vector in zip(query_by_id.items(), vectors, strict=True):
        with tenant_scope(shelf.tenant_id):
            found[key] = search.candidates(
                shelf.tenant_id, [shelf.corpus_id], text, index.as_text(vector), depth=depth
            )
    return found


def by_whole_documents(
    documents: Sequence[Text],
    query_by_id: Mapping[str, str],
    embedder: Embedder,
    *,
    depth: int,
    kept: Path,
    say: Say,
) -> dict[str, list[str]]:
    """Documents for each query by one vector a document, exact: the model alone, as judged sets do.

    What is beyond the model's limit of tokens is cut off.
    """
    wanted = {f"whole:{text.id}": f"{text.title} {text.text}".strip() for text in documents}
    vectors = _vectors(wanted, embedder, kept=kept, say=say)
    queries = embedder.embed_queries(list(query_by_id.values()))
    nearest = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :depth]
    return {
        key: [documents[row].id for row in rows]
        for key, rows in zip(query_by_id, nearest, strict=True)
    }


def _store(
    corpus: Corpus,
    documents: Sequence[Text],
    split_documents: Sequence[Sequence[Chunk]],
    vectors: Vectors,
) -> dict[int, str]:
    """Write every document; the dataset's id by the row's."""
    ids: dict[int, str] = {}
    written = index.Size()
    first = 0
    for text, chunks in zip(documents, split_documents, strict=True):
        row = Document.objects.create(
            tenant_id=corpus.tenant_id,
            corpus=corpus,
            url=f"http://bench.example/{text.id}",
            title=text.title[:500],
            text=text.text,
            state=DocumentState.READY,
            chunk_count=len(chunks),
        )
        ids[row.pk] = text.id
        size = index.write(row, chunks, vectors[first : first + len(chunks)])
        written += size
        first += len(chunks)
    corpora.count(corpus.pk, documents=len(documents), plus=written)
    return ids


def _vectors(
    text_by_key: Mapping[str, str], embedder: Embedder, *, kept: Path, say: Say
) -> Vectors:
    """A vector for each text, in their order; what an earlier run has embedded is read."""
    known = _read(kept)
    missing = [key for key in text_by_key if key not in known]
    for begin in range(0, len(missing), _STEP):
        say(f"embedding {begin:,} of {len(missing):,} texts")
        batch = missing[begin : begin + _STEP]
        vectors = embedder.embed_documents([text_by_key[key] for key in batch])
        known |= dict(zip(batch, vectors, strict=True))
        _write(kept, known)
    return np.stack([known[key] for key in text_by_key])


def _read(file: Path) -> dict[str, index.Vector]:
    if not file.exists():
        return {}
    with np.load(file) as kept:
        return dict(zip(kept["hashes"].tolist(), kept["vectors"], strict=True))


def _write(file: Path, known: Mapping[str, index.Vector]) -> None:
    """Replace the file at once, so that a killed run leaves a whole one."""
    partial = file.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez(stream, hashes=np.array(list(known)), vectors=np.stack(list(known.values())))
    partial.replace(file)
