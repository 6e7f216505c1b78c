"""Windows of documents whose chunks are embedded together, sorted by length.

Padding is what costs: a batch is as long as its longest text, and one document has too few chunks
to fill batches of equal ones. The model has a thread, so that one window is embedded while the next
is read and the last is stored.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np

from ragapp.domain.chunk import Chunk
from ragapp.domain.engine import Embedder, Vectors
from ragapp.services.index import Vector
from ragapp.services.training.tally import Tally
from ragapp.services.training.work import Read, Wanted, is_own

# Chunks that are embedded together; their vectors and texts bound the memory.
CHUNKS = 512
# As many are enough where the model would else do nothing.
FEWEST_CHUNKS = 64
# As many at most whether embedded or not: a text whose vectors are known is held as well.
MOST_CHUNKS = 4 * CHUNKS
# What is stored in one commit: what a kill can cost, and how long others wait for the corpus.
STORED_DOCUMENTS = 16
STORED_CHUNKS = 256
# Texts that wait for their first to be stored: a bound of memory where all are equal.
MOST_TWINS = 64
# One call to the model takes about a second, so that a cancel is seen soon on any machine.
CALL_SECONDS = 1.0
_FIRST_CALL = 32
_MOST_IN_CALL = 1024
_BEAT_SECONDS = 0.5


class Window:
    """Documents that wait for their vectors.

    Attributes:
        texts: Hashes of their texts.
        twins: Documents of the same texts, which wait until the first of each is stored.
    """

    def __init__(self) -> None:
        self.texts: set[str] = set()
        self.twins: list[tuple[Wanted, Read]] = []
        self._documents: list[tuple[Wanted, Read]] = []
        self._vectors: dict[str, Vector] = {}
        self._size = 0
        self._held = 0

    @property
    def is_empty(self) -> bool:
        """Whether it has no document."""
        return not self._documents and not self.twins

    @property
    def is_worth_a_call(self) -> bool:
        """Whether there is enough for the model to begin with."""
        return self._size >= FEWEST_CHUNKS

    @property
    def is_full(self) -> bool:
        """Whether it may hold no more."""
        is_large = self._size >= CHUNKS or self._held >= MOST_CHUNKS
        return is_large or len(self.twins) >= MOST_TWINS

    def add(self, wanted: Wanted, read: Read, known: Mapping[str, Vector]) -> None:
        """Take a document; chunks whose vectors are known are not embedded again."""
        self.texts.add(read.text_hash)
        self._documents.append((wanted, read))
        self._vectors |= known
        # A document without a chunk takes room, too.
        self._held += len(read.chunks) + 1
        self._size += sum(chunk.content_hash not in known for chunk in read.chunks)

    def set_aside(self, in_use: Callable[[Set[str]], Mapping[str, int]]) -> None:
        """Make twins of those whose text another document has in retrieval already.

        Args:
            in_use: a document for each of these hashes of texts that has one.
        """
        first_by_text = in_use(self.texts)
        documents, self._documents = self._documents, []
        for wanted, read in documents:
            stays = is_own(wanted, read, first_by_text)
            (self._documents if stays else self.twins).append((wanted, read))

    def wanted_chunks(self) -> list[Chunk]:
        """What has no vector yet, each once, the longest first."""
        chunks = (chunk for _, read in self._documents for chunk in read.chunks)
        new = {c.content_hash: c for c in chunks if c.content_hash not in self._vectors}
        return sorted(new.values(), key=lambda chunk: -chunk.tokens)

    def note(self, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Keep what the model gave."""
        hashes = [chunk.content_hash for chunk in chunks]
        self._vectors |= dict(zip(hashes, vectors, strict=True))

    def groups(self, dimensions: int) -> Iterator[list[tuple[Wanted, Read, Vectors]]]:
        """The documents with their vectors, in the order they came; a few that go together."""
        nothing = np.zeros((0, dimensions), dtype=np.float32)
        group: list[tuple[Wanted, Read, Vectors]] = []
        size = 0
        for wanted, read in self._documents:
            more = len(read.chunks)
            if group and (len(group) >= STORED_DOCUMENTS or size + more > STORED_CHUNKS):
                yield group
                group, size = [], 0
            group.append((wanted, read, self._of(read.chunks) if read.chunks else nothing))
            size += more
        if group:
            yield group

    def _of(self, chunks: Sequence[Chunk]) -> Vectors:
        return np.stack([self._vectors[chunk.content_hash] for chunk in chunks])


class Embedding:
    """The model's thread, and the window that it embeds."""

    def __init__(self, embedder: Embedder, tally: Tally) -> None:
        self._embedder = embedder
        self._tally = tally
        self._in_call = _FIRST_CALL
        self._has_to_stop = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="embedder")
        self._work: Future[None] | None = None
        self.window: Window | None = None

    @property
    def is_free(self) -> bool:
        """Whether the model has nothing to do."""
        return self._work is None or self._work.done()

    def begin(self, window: Window) -> None:
        """Embed ``window``; the one before must have been fetched."""
        self.window = window
        self._work = self._pool.submit(self._embed, window)

    def fetch(self, beat: Callable[[str], None]) -> Window | None:
        """The window once it is embedded; None where there is none.

        Args:
            beat: called while it waits; raises where the training must stop.
        """
        if self._work is None:
            return None
        while not self._work.done():
            wait([self._work], timeout=_BEAT_SECONDS)
            beat("embed")
        self._work.result()
        window, self.window, self._work = self.window, None, None
        return window

    def close(self) -> None:
        """End the thread after its call to the model."""
        self._has_to_stop.set()
        self._pool.shutdown()

    def _embed(self, window: Window) -> None:
        chunks, first = window.wanted_chunks(), 0
        while first < len(chunks) and not self._has_to_stop.is_set():
            batch = chunks[first : first + self._in_call]
            begin = time.monotonic()
            window.note(
                batch, self._embedder.embed_documents([chunk.indexed_text for chunk in batch])
            )
            self._count(len(batch), time.monotonic() - begin)
            first += len(batch)

    def _count(self, number: int, seconds: float) -> None:
        """Tell of it, and fit the next call to the machine."""
        self._tally.chunks += number
        self._tally.embed_seconds += seconds
        if seconds < CALL_SECONDS / 2 and number == self._in_call:
            self._in_call = min(_MOST_IN_CALL, 2 * self._in_call)
        elif seconds > CALL_SECONDS * 2:
            self._in_call = max(_FIRST_CALL, self._in_call // 2)
