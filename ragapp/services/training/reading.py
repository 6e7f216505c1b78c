"""Documents fetched, extracted and split ahead of the embedder, in threads without a database."""

import hashlib
import logging
import threading
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

logger = logging.getLogger(__name__)

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
        """What the document says, or in a sentence why nothing; whatever is wrong with it."""
        try:
            return self._prepared(wanted)
        except Exception:
            logger.exception("Document %s could not be read.", wanted.pk)
            return Unreadable("A defect kept it from being read. See the worker's log.")

    def _prepared(self, wanted: Wanted) -> Outcome:
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
            case fetch.NotModified() if wanted.etag or wanted.last_modified:
                return Unchanged()
            case fetch.NotModified():
                return Unreadable("Its server said that it has not changed, unasked.")
            case Refused():
                return Unreadable(blocked_text(reply, self.tenant_slug))
            case Failed():
                return Unreadable(f"{reply.destination} did not work: {reply.message}")


def read_ahead(
    preparer: Preparer, wanted: Iterator[Wanted], *, most_bytes: int = AHEAD_BYTES
) -> Generator[tuple[Wanted, Outcome] | None, None, None]:
    """Each document with what became of it, mostly in order; None where nothing is ready yet."""
    room = _Room(most_bytes)
    pool = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
    pending: dict[Future[Outcome], Wanted] = {}
    try:
        while True:
            while len(pending) < AHEAD and room.is_left:
                document = next(wanted, None)
                if document is None:
                    break
                room.take(len(document.upload or b""))
                pending[pool.submit(_prepare, preparer, document, room)] = document
            if not pending:
                return
            wait(pending, timeout=PATIENCE_SECONDS, return_when=FIRST_COMPLETED)
            reading = next((one for one in pending if one.done()), None)
            if reading is None:
                yield None
                continue
            document, outcome = pending.pop(reading), reading.result()
            room.give(len(document.upload or b"") + _size(outcome))
            yield document, outcome
    finally:
        room.close()
        pool.shutdown(wait=False, cancel_futures=True)


class _Room:
    """Bytes that may wait; each reader goes over it by one document at most."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._is_closed = False
        self._changed = threading.Condition()

    @property
    def is_left(self) -> bool:
        """Whether there is any."""
        return self._left > 0

    def wait(self) -> None:
        """Until there is some, or nobody wants anything any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._left > 0 or self._is_closed)

    def take(self, size: int) -> None:
        """Have it be less by ``size``."""
        with self._changed:
            self._left -= size

    def give(self, size: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._left += size
            self._changed.notify_all()

    def close(self) -> None:
        """Let all readers go."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


def _prepare(preparer: Preparer, document: Wanted, room: _Room) -> Outcome:
    if document.upload is None:
        room.wait()
    outcome = preparer.prepare(document)
    room.take(_size(outcome))
    return outcome


def _size(outcome: Outcome) -> int:
    """Bytes that it holds, more or less: the text, and its chunks twice."""
    return 3 * len(outcome.text.text) if isinstance(outcome, Read) else 0
