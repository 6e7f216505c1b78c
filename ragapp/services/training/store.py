"""Documents into their rows, chunks and postings: each whole, or not at all.

Every write is made under the lease and on the document's locked row. A document that was deleted
meanwhile has no row, so nothing of it comes back.
"""

import logging
from collections.abc import Mapping, Sequence, Set

from django.db import DatabaseError, OperationalError
from django.utils import timezone

from ragapp.domain.engine import Vectors
from ragapp.models import Document, DocumentState
from ragapp.services import corpora, index, limits
from ragapp.services.training.lease import Lease
from ragapp.services.training.tally import Tally
from ragapp.services.training.work import IN_USE, Read, Wanted, is_own
from tenants.errors import QuotaError
from tenants.models.scoped import tenant_scope

logger = logging.getLogger(__name__)

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

    def in_use(self, texts: Set[str]) -> Mapping[str, int]:
        """The document of the corpus that has a text in retrieval, by the text's hash."""
        with tenant_scope(self._lease.tenant_id):
            return self._in_use(texts)

    def read(self, group: Sequence[tuple[Wanted, Read, Vectors]]) -> None:
        """Each document with all that is searched of it, in one commit; all texts are different.

        Where the tenant's limit of corpus bytes is spent, those that still fit are stored alone.
        """
        try:
            self._read(group)
        except OperationalError:
            raise  # The database is away or out of something, whatever the documents say.
        except (QuotaError, DatabaseError) as error:
            if len(group) == 1:
                self.unreadable(group[0][0], _said(error))
                return
            for one in group:
                self.read([one])

    def _read(self, group: Sequence[tuple[Wanted, Read, Vectors]]) -> None:
        plus, minus = index.Size(), index.Size()
        with self._lease.writing():
            document_by_key = self._locked([wanted for wanted, _, _ in group])
            # The one that it was a duplicate of, or is now, may have been written a moment ago.
            first_by_text = self._in_use({read.text_hash for _, read, _ in group})
            # One that was queued again meanwhile is another by now, and read in the next pass.
            there = [one for one in group if _is_awaited(document_by_key.get(one[0].pk))]
            own = [one for one in there if is_own(one[0], one[1], first_by_text)]
            self._admit([(wanted, read, document_by_key[wanted.pk]) for wanted, read, _ in own])
            for wanted, read, vectors in own:
                document = document_by_key[wanted.pk]
                before = document.text_hash
                minus += index.delete(document) if document.chunk_count else index.Size()
                self._fill(document, read, DocumentState.READY)
                document.chunk_count = len(read.chunks)
                document.save()
                plus += index.write(document, read.chunks, vectors)
                if before != read.text_hash:
                    corpora.free_duplicate(self._lease.corpus_id, before)
            corpora.count(self._lease.corpus_id, plus=plus, minus=minus)
        self._tally.ready += len(own)
        self._tally.deleted += len(group) - len(document_by_key)
        for wanted, read, _ in there:
            if not is_own(wanted, read, first_by_text):
                self.duplicate(wanted, read)

    def duplicate(self, wanted: Wanted, read: Read) -> None:
        """The document as a duplicate; queued again if the first was deleted meanwhile."""
        with self._lease.writing():
            document = self._locked([wanted]).get(wanted.pk)
            if document is None:
                self._tally.deleted += 1
                return
            if not _is_awaited(document):
                return
            if is_own(wanted, read, self._in_use({read.text_hash})):
                document.state = DocumentState.QUEUED
                document.save(update_fields=["state"])
                return
            self._write_duplicate(document, read)

    def unchanged(self, keys: Sequence[int]) -> None:
        """Note that these were seen as they are; not those that were queued again meanwhile."""
        with self._lease.writing():
            Document.objects.filter(pk__in=keys, state__in=IN_USE).update(
                fetched_at=timezone.now(), trace_id=self._lease.trace_id
            )
        self._tally.unchanged += len(keys)

    def unreadable(self, wanted: Wanted, error: str) -> None:
        """The document's error; what an earlier training read of it stays in use."""
        with self._lease.writing():
            document = self._locked([wanted]).get(wanted.pk)
            if document is None:
                self._tally.deleted += 1
                return
            if not _is_awaited(document):
                return
            document.state = DocumentState.FAILED
            document.error = error + (_STAYS if document.chunk_count else "")
            document.trace_id = self._lease.trace_id
            document.save(update_fields=["state", "error", "trace_id"])
            if not document.chunk_count:
                # It may have been read to take the place of another of the same text.
                corpora.free_duplicate(self._lease.corpus_id, document.text_hash)
        self._tally.failed += 1
        self._tally.note_error(wanted.url, error)

    def _write_duplicate(self, document: Document, read: Read) -> None:
        before = document.text_hash
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

    def _admit(self, grown: Sequence[tuple[Wanted, Read, Document]]) -> None:
        """Take room for what fetched pages grew by; a file took its own when it was uploaded."""
        more = sum(
            read.size_bytes - document.size_bytes
            for wanted, read, document in grown
            if not wanted.url.startswith("upload:")
        )
        if more > 0:
            limits.admit_bytes(self._lease.tenant, more)

    def _in_use(self, texts: Set[str]) -> Mapping[str, int]:
        found = Document.objects.filter(
            corpus_id=self._lease.corpus_id, text_hash__in=texts, chunk_count__gt=0
        )
        return dict(found.values_list("text_hash", "pk"))

    def _locked(self, wanted: Sequence[Wanted]) -> Mapping[int, Document]:
        """The rows, which nobody deletes until the commit, by key; none where one is gone."""
        keys = [one.pk for one in wanted]
        # In one order, so that no two ever wait for each other.
        return Document.objects.select_for_update().defer("text").order_by("pk").in_bulk(keys)


def _is_awaited(document: Document | None) -> bool:
    """Whether it is there, and nobody has queued it again since it was taken from the queue."""
    return document is not None and document.state != DocumentState.QUEUED


def _said(error: QuotaError | DatabaseError) -> str:
    if isinstance(error, QuotaError):
        return error.message
    logger.error("A document could not be stored.", exc_info=error)
    return "A defect kept it from being stored. See the worker's log."
