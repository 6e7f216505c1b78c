"""A window of documents whose chunks are embedded together, sorted by length.

Padding is what costs: a batch is as long as its longest text, and one document has too few chunks
to fill batches of equal ones.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np

from ragapp.domain.chunk import Chunk
from ragapp.domain.engine import Embedder, Vectors
from ragapp.services.index import Vector
from ragapp.services.training.tally import Tally
from ragapp.services.training.work import Read, Wanted

# Chunks that are embedded together; their vectors and texts bound the memory.
CHUNKS = 512
# One call to the model takes about a second, so that a cancel is seen soon on any machine.
CALL_SECONDS = 1.0
_FIRST_CALL = 32
_MOST_IN_CALL = 1024


class Window:
    """Documents that wait for their vectors.

    Args:
        beat: called between two calls to the model; raises where the training must stop.
    """

    def __init__(self, embedder: Embedder, tally: Tally, beat: Callable[[str], None]) -> None:
        self._embedder = embedder
        self._tally = tally
        self._beat = beat
        self._in_call = _FIRST_CALL
        self._clear()

    @property
    def is_full(self) -> bool:
        """Whether it is time to embed."""
        return len(self._new) >= CHUNKS

    def add(self, wanted: Wanted, read: Read, known: dict[str, Vector]) -> None:
        """Take a document; chunks of the same hash are embedded once, known ones not at all."""
        self._documents.append((wanted, read))
        for chunk in read.chunks:
            if chunk.content_hash in known:
                self._vectors[chunk.content_hash] = known[chunk.content_hash]
            else:
                self._new.setdefault(chunk.content_hash, chunk)

    def embedded(self) -> list[tuple[Wanted, Read, Vectors]]:
        """The documents with their vectors, in the order they came; the window is empty then."""
        self._embed(sorted(self._new.values(), key=lambda chunk: -chunk.tokens))
        done = [(wanted, read, self._of(read.chunks)) for wanted, read in self._documents]
        self._clear()
        return done

    def _clear(self) -> None:
        self._documents: list[tuple[Wanted, Read]] = []
        self._vectors: dict[str, Vector] = {}
        self._new: dict[str, Chunk] = {}

    def _embed(self, chunks: Sequence[Chunk]) -> None:
        first = 0
        while first < len(chunks):
            self._beat("embed")
            batch = chunks[first : first + self._in_call]
            begin = time.monotonic()
            vectors = self._embedder.embed_documents([chunk.indexed_text for chunk in batch])
            self._note(len(batch), time.monotonic() - begin)
            self._vectors |= {
                chunk.content_hash: vector for chunk, vector in zip(batch, vectors, strict=True)
            }
            first += len(batch)

    def _note(self, number: int, seconds: float) -> None:
        """Count, and fit the next call to the machine."""
        self._tally.chunks += number
        self._tally.embed_seconds += seconds
        if seconds < CALL_SECONDS / 2 and number == self._in_call:
            self._in_call = min(_MOST_IN_CALL, 2 * self._in_call)
        elif seconds > CALL_SECONDS * 2:
            self._in_call = max(_FIRST_CALL, self._in_call // 2)

    def _of(self, chunks: Sequence[Chunk]) -> Vectors:
        if not chunks:
            return np.zeros((0, self._embedder.dimensions), dtype=np.float32)
        return np.stack([self._vectors[chunk.content_hash] for chunk in chunks])
