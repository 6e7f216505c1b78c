"""Corpora, documents, chunks and runs."""

from ragapp.models.chunk import Chunk, Posting, make_partition
from ragapp.models.corpus import Corpus, Document, DocumentState, Source
from ragapp.models.run import Channel, Run

__all__ = [
    "Channel",
    "Chunk",
    "Corpus",
    "Document",
    "DocumentState",
    "Posting",
    "Run",
    "Source",
    "make_partition",
]
