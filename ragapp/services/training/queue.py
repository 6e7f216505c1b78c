"""What a training has still to do, read from the documents' rows a page at a time."""

from collections.abc import Iterator
from dataclasses import replace

from django.db.models import Q, QuerySet

from ragapp.models import Document, DocumentState, Upload
from ragapp.services.training.lease import Lease
from ragapp.services.training.work import IN_USE, Wanted

_PAGE = 16


class Queue:
    """The documents of the corpus that this training is not done with.

    Args:
        queued_only: leave alone what was not asked for.
    """

    def __init__(self, lease: Lease, *, queued_only: bool) -> None:
        self._lease = lease
        self._queued_only = queued_only

    def begin(self, *, is_first_attempt: bool) -> None:
        """Take back what an interrupted attempt was reading, and marks of the same trace."""
        with self._lease.writing():
            documents = Document.objects.filter(corpus_id=self._lease.corpus_id)
            documents.filter(state=DocumentState.READING).update(state=DocumentState.QUEUED)
            if is_first_attempt:
                documents.filter(trace_id=self._lease.trace_id).update(trace_id="")

    @property
    def is_done(self) -> bool:
        """Whether nothing waits any more; to be asked in the transaction that says so."""
        return not self._waiting().exists()

    def end(self) -> None:
        """Nobody reads them any more: what was being read is queued."""
        with self._lease.writing():
            reading = Document.objects.filter(
                corpus_id=self._lease.corpus_id, state=DocumentState.READING
            )
            reading.update(state=DocumentState.QUEUED)

    def sizes(self) -> tuple[int, int]:
        """How many are waiting, and how many an earlier attempt has finished."""
        with self._lease.writing():
            finished = Document.objects.filter(
                corpus_id=self._lease.corpus_id, trace_id=self._lease.trace_id
            )
            return self._waiting().count(), finished.count()

    def wanted(self) -> Iterator[Wanted]:
        """Each waiting document once, by key; its row says ``Reading`` from then on."""
        after = 0
        while page := self._page(after):
            after = page[-1].pk
            for wanted in page:
                yield self._with_upload(wanted)

    def _waiting(self) -> QuerySet[Document]:
        # A failed one has another trace until it was tried; no trace means never tried.
        waiting = Document.objects.filter(corpus_id=self._lease.corpus_id).filter(
            ~Q(trace_id=self._lease.trace_id)
        )
        return waiting.filter(state=DocumentState.QUEUED) if self._queued_only else waiting

    def _page(self, after: int) -> list[Wanted]:
        with self._lease.writing():
            rows = list(self._waiting().filter(pk__gt=after).defer("text").order_by("pk")[:_PAGE])
            # What is in use stays so while it is looked at.
            Document.objects.filter(pk__in=[row.pk for row in rows]).exclude(
                state__in=IN_USE
            ).update(state=DocumentState.READING)
        return [_wanted(row) for row in rows]

    def _with_upload(self, wanted: Wanted) -> Wanted:
        """With the file, where it was handed over: one at a time, since a file may be large."""
        if not wanted.url.startswith("upload:"):
            return wanted
        with self._lease.writing():
            upload = Upload.objects.filter(
                corpus_id=self._lease.corpus_id, name=wanted.url.removeprefix("upload:")
            ).first()
        # Without its file it is as a page that is gone; its row goes with the next listing.
        content = bytes(upload.content) if upload else b""
        kind = upload.content_type if upload else ""
        return replace(wanted, upload=content, content_type=kind)


def _wanted(row: Document) -> Wanted:
    is_in_use = row.state in IN_USE
    return Wanted(
        pk=row.pk,
        url=row.url,
        content_hash=row.content_hash if is_in_use else "",
        etag=row.etag if is_in_use else "",
        last_modified=row.last_modified if is_in_use else "",
        has_chunks=row.chunk_count > 0,
    )
