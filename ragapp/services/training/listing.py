"""Which documents a training is about: each source and upload has its row before it is read."""

import time
from collections.abc import Callable, Iterator, Sequence

from ragapp.models import Document, DocumentState, Source, Upload
from ragapp.services import corpora
from ragapp.services.discover import Found
from ragapp.services.training.lease import Lease
from ragapp.services.training.tally import Tally
from tenants.models.scoped import tenant_scope

_PAGE = 500
# What was found is shown after so long, although a page of it is not full.
_SHOW_SECONDS = 2.0

Discover = Callable[[Iterator[Source]], Iterator[Found]]


class Listing:
    """Makes a row for each address that is new, and removes the rows whose address is gone.

    Args:
        discover: The addresses that sources lead to, as they are found.
    """

    def __init__(self, lease: Lease, tally: Tally, discover: Discover) -> None:
        self._lease = lease
        self._tally = tally
        self._discover = discover
        # Hashes instead of addresses: a few bytes each, however long a crawl's addresses are.
        self._seen: set[int] = set()

    def run(self) -> None:
        """List all sources and uploads, then remove what none of them has any more."""
        is_whole = self._add_sources()
        after = 0
        while after := self._add_uploads(after):
            self._lease.beat("find")
        # What a source that cannot be read led to earlier is not known to be gone.
        if is_whole:
            self._remove_orphans()

    def _add_sources(self) -> bool:
        """Documents of all sources; False where one of them could not be read to its end."""
        is_whole = True
        batch: list[Found] = []
        shown_at = time.monotonic()
        for found in self._discover(self._sources()):
            if found.error:
                is_whole = False
                self._tally.unlisted += 1
                self._tally.note_error(found.url, found.error)
                continue
            batch.append(found)
            if len(batch) >= _PAGE or time.monotonic() - shown_at > _SHOW_SECONDS:
                self._add_found(batch)
                batch, shown_at = [], time.monotonic()
            self._lease.beat("find")
        self._add_found(batch)
        return is_whole

    def _sources(self) -> Iterator[Source]:
        after = 0
        while True:
            with tenant_scope(self._lease.tenant_id):
                sources = Source.objects.filter(corpus_id=self._lease.corpus_id, pk__gt=after)
                page = list(sources.order_by("pk")[:_PAGE])
            if not page:
                return
            yield from page
            after = page[-1].pk

    def _add_found(self, batch: Sequence[Found]) -> None:
        with self._lease.writing():
            # A source that was deleted meanwhile makes no document any more.
            sources = Source.objects.filter(pk__in={found.source_id for found in batch})
            there = set(sources.values_list("pk", flat=True))
            self._add([found.url for found in batch if found.source_id in there])

    def _add_uploads(self, after: int) -> int:
        """Documents of a page of uploads; the last one's key, 0 at the end."""
        with self._lease.writing():
            rows = Upload.objects.filter(corpus_id=self._lease.corpus_id, pk__gt=after)
            found = list(rows.order_by("pk").values_list("pk", "name")[:_PAGE])
            self._add([Upload(name=name).url for _, name in found])
        return found[-1][0] if found else 0

    def _add(self, addresses: Sequence[str]) -> None:
        """Rows for those that have none yet."""
        documents = Document.objects.filter(corpus_id=self._lease.corpus_id, url__in=addresses)
        present = set(documents.values_list("url", flat=True))
        new = [url for url in dict.fromkeys(addresses) if url not in present]
        Document.objects.bulk_create(
            Document(
                tenant_id=self._lease.tenant_id,
                corpus_id=self._lease.corpus_id,
                url=url,
                state=DocumentState.QUEUED,
            )
            for url in new
        )
        corpora.count(self._lease.corpus_id, documents=len(new))
        self._seen.update(map(hash, addresses))
        self._tally.total += len(addresses)

    def _remove_orphans(self) -> None:
        after = 0
        while True:
            with self._lease.writing():
                documents = Document.objects.filter(corpus_id=self._lease.corpus_id, pk__gt=after)
                page = list(documents.order_by("pk").values_list("pk", "url")[:_PAGE])
            if not page:
                return
            for key, url in page:
                if hash(url) not in self._seen:
                    self._remove(key)
            after = page[-1][0]

    def _remove(self, key: int) -> None:
        with self._lease.writing():
            document = Document.objects.filter(pk=key).defer("text", "stripped").first()
            # A file that came after the uploads were listed is no orphan: it waits to be read.
            if document is not None and not self._has_upload(document.url):
                corpora.remove_document(document)
                self._tally.removed += 1
        self._lease.beat("find")

    def _has_upload(self, url: str) -> bool:
        name = url.removeprefix("upload:")
        uploads = Upload.objects.filter(corpus_id=self._lease.corpus_id, name=name)
        return name != url and uploads.exists()
