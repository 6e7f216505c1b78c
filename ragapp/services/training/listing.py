"""Which documents a training is about: each source and upload has its row before it is read."""

from collections.abc import Sequence

from ragapp.models import Document, DocumentState, Source, Upload
from ragapp.services import corpora
from ragapp.services.training.lease import Lease
from ragapp.services.training.tally import Tally

_PAGE = 500


class Listing:
    """Makes a row for each address that is new, and removes the rows whose address is gone."""

    def __init__(self, lease: Lease, tally: Tally) -> None:
        self._lease = lease
        self._tally = tally
        # Hashes instead of addresses: a few bytes each, however long a crawl's addresses are.
        self._seen: set[int] = set()

    def run(self) -> None:
        """List all sources and uploads, then remove what none of them has any more."""
        after = 0
        while after := self._add_sources(after):
            self._lease.beat("find")
        while after := self._add_uploads(after):
            self._lease.beat("find")
        self._remove_orphans()

    def _add_sources(self, after: int) -> int:
        """Documents of a page of sources; the last one's key, 0 at the end."""
        with self._lease.writing():
            # Locked, so that a source that is being deleted makes no document after that.
            rows = Source.objects.select_for_update(no_key=True).filter(
                corpus_id=self._lease.corpus_id, pk__gt=after
            )
            found = list(rows.order_by("pk").values_list("pk", "url")[:_PAGE])
            self._add([url for _, url in found])
        return found[-1][0] if found else 0

    def _add_uploads(self, after: int) -> int:
        """Documents of a page of uploads; the last one's key, 0 at the end."""
        with self._lease.writing():
            rows = Upload.objects.select_for_update(no_key=True).filter(
                corpus_id=self._lease.corpus_id, pk__gt=after
            )
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
            document = Document.objects.filter(pk=key).first()
            if document is not None:
                corpora.remove_document(document)
                self._tally.removed += 1
        self._lease.beat("find")
