"""Documents into their rows, chunks and postings: each whole, or not at all.

Every write is made under the lease and on the document's locked row. A document that was deleted
meanwhile has no row, so nothing of it comes back.
"""

from collections.abc import Sequence

from django.utils import timezone

from ragapp.domain.engine import Vectors
from ragapp.models import Document, DocumentState
from ragapp.services import corpora, index, limits
from ragapp.services.training.lease import Lease
from ragapp.services.training.tally import Tally
from ragapp.services.training.work import Read, Wanted
from tenants.models.scoped import tenant_scope

_STAYS = " What an earlier training read of it stays in use."


class Store:
    """Writes what a training has made of each document."""

    def __init__(self, lease: Lease, tally: Tally) -> None:
        self._lease = lease
        self._tally = tally

    def known_vectors(self, wanted: Wanted) -> dict[str, index.Vector]:
        """The vectors that the document has in retrieval, by content hash."""
        if not wanted.has_chunks:
            return {}
        with self._lease.writing():
            document = Document.objects.filter(pk=wanted.pk).defer("text").first()
            return dict(index.vector_by_hash(document)) if document else {}

    def is_duplicate(self, wanted: Wanted, read: Read) -> bool:
        """Whether another document of the corpus with the same text is in use."""
        with tenant_scope(self._lease.tenant_id):
            return self._first(wanted, read)

    def read(self, wanted: Wanted, read: Read, vectors: Vectors) -> None:
        """The document with all that is searched of it, in one commit.

        Raises:
            QuotaError: the tenant's limit of corpus bytes is spent; nothing was written.
        """
        with self._lease.writing():
            document = self._locked(wanted)
            if document is None:
                return
            # The one that it was a duplicate of, or is now, may have been written a moment ago.
            if self._first(wanted, read):
                self._write_duplicate(document, read)
                return
            self._admit(wanted, read.size_bytes - document.size_bytes)
            before = document.text_hash if document.chunk_count else ""
            deleted = index.delete(document) if document.chunk_count else index.Size()
            self._fill(document, read, DocumentState.READY)
            document.chunk_count = len(read.chunks)
            document.save()
            written = index.write(document, read.chunks, vectors)
            corpora.count(self._lease.corpus_id, plus=written, minus=deleted)
            if before != read.text_hash:
                corpora.free_duplicate(self._lease.corpus_id, before)
        self._tally.ready += 1

    def duplicate(self, wanted: Wanted, read: Read) -> None:
        """The document as a duplicate; queued again if the first was deleted meanwhile."""
        with self._lease.writing():
            document = self._locked(wanted)
            if document is None:
                return
            if not self._first(wanted, read):
                document.state = DocumentState.QUEUED
                document.save(update_fields=["state"])
                return
            self._write_duplicate(document, read)

    def unchanged(self, keys: Sequence[int]) -> None:
        """Note that these were seen as they are."""
        with self._lease.writing():
            Document.objects.filter(pk__in=keys).update(
                fetched_at=timezone.now(), trace_id=self._lease.trace_id
            )
        self._tally.unchanged += len(keys)

    def unreadable(self, wanted: Wanted, error: str) -> None:
        """The document's error; what an earlier training read of it stays in use."""
        with self._lease.writing():
            document = self._locked(wanted)
            if document is None:
                return
            document.state = DocumentState.FAILED
            document.error = error + (_STAYS if document.chunk_count else "")
            document.trace_id = self._lease.trace_id
            document.save(update_fields=["state", "error", "trace_id"])
        self._tally.failed += 1
        self._tally.note_error(wanted.url, error)

    def _write_duplicate(self, document: Document, read: Read) -> None:
        before = document.text_hash if document.chunk_count else ""
        deleted = index.delete(document) if document.chunk_count else index.Size()
        self._fill(document, read, DocumentState.DUPLICATE)
        document.chunk_count = 0
        document.save()
        corpora.count(self._lease.corpus_id, minus=deleted)
        if before != read.text_hash:
            corpora.free_duplicate(self._lease.corpus_id, before)
        self._tally.duplicates += 1

    def _fill(self, document: Document, read: Read, state: DocumentState) -> None:
        document.title = read.text.title[:500]
        document.text = read.text.text
        document.stripped = read.text.hidden
        document.page_count = len(read.text.pages) or None
        document.content_type = read.content_type[:100]
        document.content_hash = read.content_hash
        document.text_hash = read.text_hash
        document.etag = read.etag if len(read.etag) <= 300 else ""
        document.last_modified = read.last_modified if len(read.last_modified) <= 100 else ""
        document.size_bytes = read.size_bytes
        document.state = state
        document.error = ""
        document.fetched_at = timezone.now()
        document.trace_id = self._lease.trace_id

    def _admit(self, wanted: Wanted, more: int) -> None:
        """Take room for what a fetched page grew by; a file took its own when it was uploaded."""
        if more > 0 and not wanted.url.startswith("upload:"):
            limits.admit_bytes(self._lease.tenant, more)

    def _first(self, wanted: Wanted, read: Read) -> bool:
        same = Document.objects.filter(
            corpus_id=self._lease.corpus_id, text_hash=read.text_hash, chunk_count__gt=0
        )
        return same.exclude(pk=wanted.pk).exists()

    def _locked(self, wanted: Wanted) -> Document | None:
        """The row, which nobody deletes until the commit; None where it is gone."""
        document = Document.objects.select_for_update().defer("text").filter(pk=wanted.pk).first()
        if document is None:
            self._tally.deleted += 1
        return document
