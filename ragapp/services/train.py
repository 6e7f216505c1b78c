"""Training: a corpus's sources become documents, chunks and postings, one document at a time.

fetch -> extract -> split -> embed -> index. Two sources are fetched and extracted ahead, in threads
that touch no database, while the worker's own thread embeds and indexes. Each document is one
commit, so a training that was killed goes on where it stopped, and a cancel leaves whole documents.
Nothing slow happens inside a transaction. What is wrong with one document is that document's error
and stops no other.
"""

import hashlib
import time
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from django.db.models import Q
from django.utils import timezone

from proxyconfig.facade import EgressEndpoint, egress_endpoint
from ragapp.domain import document as extracted
from ragapp.domain.chunk import Chunk, Sizes, split
from ragapp.domain.ends import blocked_text
from ragapp.domain.engine import Vectors
from ragapp.domain.steps import Failed, Refused
from ragapp.extract import ExtractionError, extract
from ragapp.extract import Limits as ExtractionLimits
from ragapp.models import Corpus, Document, DocumentState, make_partition
from ragapp.services import corpora, fetch, index, serving
from tenants.domain.states import OperationState
from tenants.errors import SluiceError
from tenants.models.operation import Operation
from tenants.models.scoped import tenant_scope
from tenants.services import operations

PURPOSE = "a source of this corpus"
# Texts between two heartbeats: a minute of silence would pass for death.
EMBED_BATCH = 64
# Sources that are fetched and extracted at once, and how many may wait for the embedder: extraction
# is a process start each, and runs beside the embedding; the window keeps memory flat.
READERS = 2
AHEAD = 3
REPORT_SECONDS = 5.0
_EXTRACTION = ExtractionLimits(wall_seconds=45.0)


@dataclass(slots=True)
class _Tally:
    """What this run has done, for its progress and its result."""

    begun_at: float
    total: int = 0
    ready: int = 0
    unchanged: int = 0
    failed: int = 0
    removed: int = 0
    chunks: int = 0
    embed_seconds: float = 0.0
    first_error: str = ""

    @property
    def done(self) -> int:
        """Documents that need no more work in this run."""
        return self.ready + self.unchanged + self.failed

    def message(self, stage: str, url: str) -> str:
        """Where it is, how fast, and how long it may take."""
        said = f"{stage}: {url} ({self.done} of {self.total} documents"
        if self.embed_seconds:
            said += f", {self.chunks / self.embed_seconds:.1f} chunks/s embedded"
        elapsed = time.monotonic() - self.begun_at
        if self.done:
            said += f", about {elapsed / self.done * (self.total - self.done):.0f} s left"
        return f"{said})"

    def result(self) -> dict[str, object]:
        """The counts, for the operation."""
        return {
            "documents": self.ready,
            "unchanged": self.unchanged,
            "failed": self.failed,
            "removed": self.removed,
            "chunks": self.chunks,
            "first_error": self.first_error,
        }


@dataclass(frozen=True, slots=True)
class _Read:
    """A source that was fetched and extracted."""

    text: extracted.Document
    content_type: str
    content_hash: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Unchanged:
    """A source that is as it was at the last training."""

    content_hash: str


def train(operation_id: int) -> None:
    """Run the training, or what is left of it; a missing or claimed operation is a normal end."""
    operation = operations.claim(operation_id)
    if operation is None:
        return
    try:
        _Training(operation).run()
    except operations.OperationCancelledError:
        operations.cancelled(operation)
    except operations.LeaseLostError:
        return
    except SluiceError as error:
        operations.fail(operation, error.message)
    except Exception as error:
        operations.fail(
            operation,
            f"A defect stopped the training: {type(error).__name__}. What was read so far is kept."
            " See the worker's log, then start it again.",
        )
        raise


class _Training:
    """One attempt at one operation."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        # Kept here: each report reads the operation's row anew, without its tenant.
        self._tenant = operation.tenant
        self._tenant_id = operation.tenant_id
        self._tally = _Tally(time.monotonic())

    def run(self) -> None:
        """Every source in turn, then the end."""
        with tenant_scope(self._tenant_id):
            corpus = Corpus.objects.filter(pk=self._operation.target_id or 0).first()
            make_partition(self._tenant_id)
            endpoint = egress_endpoint(self._tenant)
        if corpus is None:
            operations.fail(self._operation, "The corpus was deleted before its training.")
            return
        self._corpus = corpus
        self._embedder = serving.embedder()
        self._forget_other_embedder()
        self._remove_orphans()
        with closing(self._prepared(self._begin(), endpoint)) as sources:
            for url, prepared in sources:
                self._take(url, prepared)
        self._end()

    def _begin(self) -> list[str]:
        """The URLs still to do; what this operation has finished before a crash is counted."""
        with tenant_scope(self._tenant_id):
            urls = list(self._corpus.sources.order_by("pk").values_list("url", flat=True))
            finished = set(
                Document.objects.filter(
                    ~Q(trace_id=""),
                    corpus=self._corpus,
                    trace_id=self._trace_id,
                    state=DocumentState.READY,
                ).values_list("url", flat=True)
            )
        self._tally.total = len(urls)
        self._tally.unchanged = len(finished.intersection(urls))
        return [url for url in urls if url not in finished]

    def _prepared(
        self, urls: Sequence[str], endpoint: EgressEndpoint
    ) -> Generator[tuple[str, "_Read | _Unchanged | str"], None, None]:
        """Each source fetched and extracted, in order, a few ahead of the one that is embedded."""
        known = self._known_hashes()
        waiting: deque[tuple[str, Future[_Read | _Unchanged | str]]] = deque()
        pool = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        try:
            for url in urls:
                waiting.append((url, pool.submit(self._prepare, url, known.get(url), endpoint)))
                if len(waiting) > AHEAD:
                    yield self._awaited(*waiting.popleft())
            while waiting:
                yield self._awaited(*waiting.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _awaited(
        self, url: str, reading: "Future[_Read | _Unchanged | str]"
    ) -> tuple[str, "_Read | _Unchanged | str"]:
        """What became of the source; reports while it waits, so that silence means death."""
        while True:
            self._report("fetch and extract", url)
            done, _ = wait([reading], timeout=REPORT_SECONDS)
            if done:
                return url, reading.result()

    def _prepare(
        self, url: str, known_hash: str | None, endpoint: EgressEndpoint
    ) -> "_Read | _Unchanged | str":
        """Fetch and extract one source, or say in a sentence why not; touches no database."""
        fetched = fetch.fetch(
            url,
            endpoint=endpoint,
            tenant=self._tenant.slug,
            trace_id=self._trace_id,
            purpose=PURPOSE,
        )
        if not isinstance(fetched, fetch.Fetched):
            return self._sentence(fetched)
        content_hash = hashlib.sha256(fetched.content).hexdigest()
        if content_hash == known_hash:
            return _Unchanged(content_hash)
        try:
            text = extract(
                fetched.content,
                content_type=fetched.content_type,
                url=fetched.url,
                limits=_EXTRACTION,
            )
        except ExtractionError as error:
            return error.message
        return _Read(text, fetched.content_type, content_hash, len(fetched.content))

    def _take(self, url: str, prepared: "_Read | _Unchanged | str") -> None:
        """One source, from its text to its postings, or its error."""
        match prepared:
            case str():
                self._store_error(url, prepared)
            case _Unchanged(content_hash):
                self._store_unchanged(url, content_hash)
            case _Read():
                self._report("split", url)
                sizes = Sizes(limit=self._embedder.max_tokens)
                chunks = split(prepared.text, self._embedder, sizes)
                vectors = self._embedded(url, chunks)
                self._report("index", url)
                self._store(url, prepared, chunks, vectors)

    def _embedded(self, url: str, chunks: Sequence[Chunk]) -> Vectors:
        """A vector for each chunk; texts whose hash is stored already cost nothing."""
        known = self._known_vectors(url)
        wanted = {c.content_hash: c.indexed_text for c in chunks if c.content_hash not in known}
        hashes = list(wanted)
        for first in range(0, len(hashes), EMBED_BATCH):
            self._report("embed", url)
            batch = hashes[first : first + EMBED_BATCH]
            begin = time.monotonic()
            vectors = self._embedder.embed_documents([wanted[name] for name in batch])
            self._tally.embed_seconds += time.monotonic() - begin
            self._tally.chunks += len(batch)
            known |= dict(zip(batch, vectors, strict=True))
        if not chunks:
            return np.zeros((0, self._embedder.dimensions), dtype=np.float32)
        return np.stack([known[chunk.content_hash] for chunk in chunks])

    def _known_vectors(self, url: str) -> dict[str, index.Vector]:
        with tenant_scope(self._tenant_id):
            document = self._document(url)
            return dict(index.vector_by_hash(document)) if document else {}

    def _known_hashes(self) -> dict[str, str]:
        """Of the documents that are in use as they are, by URL."""
        with tenant_scope(self._tenant_id):
            ready = Document.objects.filter(corpus=self._corpus, state=DocumentState.READY)
            return dict(ready.values_list("url", "content_hash"))

    def _store_unchanged(self, url: str, content_hash: str) -> None:
        """Note that the document was seen as it is."""
        with tenant_scope(self._tenant_id):
            Document.objects.filter(corpus=self._corpus, url=url, content_hash=content_hash).update(
                fetched_at=timezone.now(), trace_id=self._trace_id
            )
        self._tally.unchanged += 1

    def _store(self, url: str, read: "_Read", chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """The document with all that is searched of it, in one commit."""
        with tenant_scope(self._tenant_id):
            self._hold()
            document = self._document(url)
            is_new = document is None
            if document is None:
                document = Document(tenant_id=self._tenant_id, corpus=self._corpus, url=url)
            document.title = read.text.title[:500]
            document.text = read.text.text
            document.content_type = read.content_type[:100]
            document.content_hash = read.content_hash
            document.size_bytes = read.size_bytes
            document.state = DocumentState.READY
            document.error = ""
            document.chunk_count = len(chunks)
            document.fetched_at = timezone.now()
            document.trace_id = self._trace_id
            document.save()
            deleted = index.delete(document)
            written = index.write(document, chunks, vectors)
            corpora.count(self._corpus.pk, documents=int(is_new), plus=written, minus=deleted)
        self._tally.ready += 1

    def _store_error(self, url: str, error: str) -> None:
        """The document's error; what an earlier training read of it stays in use."""
        with tenant_scope(self._tenant_id):
            self._hold()
            document = self._document(url)
            is_new = document is None
            if document is None:
                document = Document(tenant_id=self._tenant_id, corpus=self._corpus, url=url)
            if document.chunk_count:
                error += " What an earlier training read of it stays in use."
            document.state = DocumentState.FAILED
            document.error = error
            document.trace_id = self._trace_id
            document.save()
            corpora.count(self._corpus.pk, documents=int(is_new))
        self._tally.failed += 1
        self._tally.first_error = self._tally.first_error or f"{url}: {error}"

    def _document(self, url: str) -> Document | None:
        return Document.objects.filter(corpus=self._corpus, url=url).first()

    def _hold(self) -> None:
        """Make sure, in the transaction that writes, that the operation is still this worker's.

        Raises:
            LeaseLostError: another worker has it, or it has ended.
        """
        held = Operation.objects.select_for_update(no_key=True).filter(
            pk=self._operation.pk,
            lease_token=self._operation.lease_token,
            state=OperationState.RUNNING.value,
        )
        if not held.exists() or not Corpus.objects.filter(pk=self._corpus.pk).exists():
            raise operations.LeaseLostError("The training is no longer this worker's.")

    def _forget_other_embedder(self) -> None:
        """Vectors of two models never mix: another model begins with an empty corpus."""
        name = self._embedder.name
        with tenant_scope(self._tenant_id):
            self._hold()
            if self._corpus.embedder not in {"", name}:
                index.delete_corpus(self._tenant_id, self._corpus.pk)
                Document.objects.filter(corpus=self._corpus).delete()
                Corpus.objects.filter(pk=self._corpus.pk).update(
                    document_count=0, chunk_count=0, lexeme_count=0
                )
            Corpus.objects.filter(pk=self._corpus.pk).update(embedder=name)

    def _remove_orphans(self) -> None:
        """Documents whose source is gone."""
        with tenant_scope(self._tenant_id):
            self._hold()
            orphans = Document.objects.filter(corpus=self._corpus).exclude(
                url__in=self._corpus.sources.values("url")
            )
            for document in orphans:
                corpora.remove_document(document)
                self._tally.removed += 1

    def _end(self) -> None:
        tally = self._tally
        if tally.failed and tally.failed == tally.total:
            operations.fail(
                self._operation,
                f"None of the {tally.total} sources could be read. The first: {tally.first_error}",
            )
            return
        with tenant_scope(self._tenant_id):
            corpora.mark_trained(self._corpus)
        operations.progress(self._operation, done=tally.done)
        operations.finish(self._operation, result=tally.result())

    def _report(self, stage: str, url: str) -> None:
        operations.progress(
            self._operation,
            done=self._tally.done,
            total=self._tally.total,
            step="Read documents",
            message=self._tally.message(stage, url),
        )

    def _sentence(self, reply: Refused | Failed) -> str:
        if isinstance(reply, Refused):
            return blocked_text(reply, self._tenant.slug)
        return f"{reply.destination} did not work: {reply.message}"

    @property
    def _trace_id(self) -> str:
        return self._operation.trace_id or f"{self._operation.pk:032x}"
