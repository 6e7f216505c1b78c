"""Documents fetched, extracted and split ahead of the embedder, in threads without a database."""

import hashlib
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from urllib.parse import quote

from proxyconfig.facade import EgressEndpoint
from ragapp import extract
from ragapp.domain.chunk import Sizes, split
from ragapp.domain.ends import blocked_text
from ragapp.domain.engine import Embedder
from ragapp.domain.steps import Failed, Refused
from ragapp.services import fetch
from ragapp.services.training.work import Outcome, Read, Unchanged, Unreadable, Wanted

PURPOSE = "a source of this corpus"
# Documents that are read at once: mostly they wait for the network.
READERS = 3
# How many may be read or wait for the embedder, and how much of them: the bounds of memory.
AHEAD = 128
AHEAD_BYTES = 64_000_000
# Without news for so long, what was read is embedded although the window is not full.
PATIENCE_SECONDS = 1.0
_EXTRACTION = extract.Limits(wall_seconds=45.0)


@dataclass(frozen=True, slots=True)
class Preparer:
    """Fetches, extracts and splits one document; touches no database."""

    endpoint: EgressEndpoint
    tenant_slug: str
    trace_id: str
    embedder: Embedder

    def prepare(self, wanted: Wanted) -> Outcome:
        """What the document says, or in a sentence why nothing."""
        fetched = self._fetched(wanted)
        if not isinstance(fetched, fetch.Fetched):
            return fetched
        content_hash = hashlib.sha256(fetched.content).hexdigest()
        if content_hash == wanted.content_hash:
            return Unchanged()
        try:
            text = extract.extract(
                fetched.content,
                content_type=fetched.content_type,
                url=fetched.url,
                limits=_EXTRACTION,
            )
        except extract.ExtractionError as error:
            return Unreadable(error.message)
        return Read(
            text=text,
            chunks=split(text, self.embedder, Sizes(limit=self.embedder.max_tokens)),
            content_type=fetched.content_type,
            content_hash=content_hash,
            text_hash=hashlib.sha256(text.text.encode()).hexdigest(),
            size_bytes=len(fetched.content),
            etag=fetched.etag,
            last_modified=fetched.last_modified,
        )

    def _fetched(self, wanted: Wanted) -> fetch.Fetched | Unchanged | Unreadable:
        if wanted.upload is not None:
            # Quoted, since a file's name may hold what would end a URL's path.
            return fetch.Fetched(quote(wanted.url, safe=":"), wanted.content_type, wanted.upload)
        reply = fetch.fetch_changed(
            wanted.url,
            fetch.Condition(wanted.etag, wanted.last_modified),
            endpoint=self.endpoint,
            tenant=self.tenant_slug,
            trace_id=self.trace_id,
            purpose=PURPOSE,
        )
        match reply:
            case fetch.Fetched():
                return reply
            case fetch.NotModified():
                return Unchanged()
            case Refused():
                return Unreadable(blocked_text(reply, self.tenant_slug))
            case Failed():
                return Unreadable(f"{reply.destination} did not work: {reply.message}")


def read_ahead(
    preparer: Preparer, wanted: Iterator[Wanted]
) -> Generator[tuple[Wanted, Outcome] | None, None, None]:
    """Each document with what became of it, mostly in order; None where nothing is ready yet."""
    pool = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
    pending: dict[Future[Outcome], Wanted] = {}
    try:
        while True:
            _fill(pending, pool, preparer, wanted)
            if not pending:
                return
            wait(pending, timeout=PATIENCE_SECONDS, return_when=FIRST_COMPLETED)
            reading = next((one for one in pending if one.done()), None)
            yield None if reading is None else (pending.pop(reading), reading.result())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fill(
    pending: dict[Future[Outcome], Wanted],
    pool: ThreadPoolExecutor,
    preparer: Preparer,
    wanted: Iterator[Wanted],
) -> None:
    while len(pending) < AHEAD and _size(pending) < AHEAD_BYTES:
        document = next(wanted, None)
        if document is None:
            return
        pending[pool.submit(preparer.prepare, document)] = document


def _size(pending: dict[Future[Outcome], Wanted]) -> int:
    """Bytes that wait, more or less."""
    size = 0
    for reading, wanted in pending.items():
        size += len(wanted.upload or b"")
        if reading.done() and isinstance(outcome := reading.result(), Read):
            size += 3 * len(outcome.text.text)  # Itself, and its chunks twice.
    return size
