"""One attempt at one training, from the claim to the end."""

from contextlib import closing, suppress
from functools import partial

from django.db import DatabaseError, OperationalError

from proxyconfig.facade import EgressEndpoint, egress_endpoint
from ragapp.models import Corpus, Document, make_partition
from ragapp.services import corpora, index, serving
from ragapp.services.discover import discover
from ragapp.services.training.lease import STEP, Lease
from ragapp.services.training.listing import Listing
from ragapp.services.training.queue import Queue
from ragapp.services.training.reading import Preparer, read_ahead
from ragapp.services.training.store import Store
from ragapp.services.training.tally import Tally
from ragapp.services.training.window import Embedding, Window
from ragapp.services.training.work import Outcome, Read, Unchanged, Unreadable, Wanted
from tenants.errors import SluiceError
from tenants.models.operation import Operation
from tenants.models.scoped import tenant_scope
from tenants.services import operations

# Documents that are noted as unchanged in one statement.
_NOTED_AT_ONCE = 100


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
    except OperationalError:
        # The database was away, or a lock was held for long: the sweep has it tried again.
        raise
    except Exception as error:
        operations.fail(
            operation,
            f"A defect stopped the training: {type(error).__name__}. What was read so far is kept."
            " See the worker's log, then start it again.",
        )
        raise


class _Training:
    """What one attempt does, stage by stage."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._tally = Tally()
        self._lease = Lease(operation, self._tally)
        self._store = Store(self._lease, self._tally)
        self._unchanged: list[int] = []
        self._filling = Window()

    def run(self) -> None:
        """Every document in turn, then the end."""
        with tenant_scope(self._lease.tenant_id):
            corpus = Corpus.objects.filter(pk=self._lease.corpus_id).first()
            make_partition(self._lease.tenant_id)
            endpoint = egress_endpoint(self._lease.tenant)
        if corpus is None:
            operations.fail(self._operation, "The corpus was deleted before its training.")
            return
        embedder = serving.embedder()
        self._dimensions = embedder.dimensions
        self._embedding = Embedding(embedder, self._tally)
        self._find(corpus, embedder.name, endpoint)
        preparer = Preparer(endpoint, self._lease.tenant.slug, self._lease.trace_id, embedder)
        try:
            self._pass(preparer)
            # Again, since a document that changed or was deleted may have set a duplicate free.
            while not self._has_ended(corpus):
                self._pass(preparer)
        except Exception:
            self._release()
            raise
        finally:
            self._embedding.close()

    def _release(self) -> None:
        """Nothing is being read any more; where that cannot be written, a sweep sees to it."""
        with suppress(operations.LeaseLostError, DatabaseError):
            self._queue.end()

    def _find(self, corpus: Corpus, embedder_name: str, endpoint: EgressEndpoint) -> None:
        """Make the rows of all documents, and count what is to do."""
        is_new = self._forget_other_embedder(corpus, embedder_name)
        is_of_some = corpora.is_of_some(self._operation) and not is_new
        self._queue = Queue(self._lease, queued_only=is_of_some)
        self._queue.begin(is_first_attempt=self._operation.attempts == 1)
        if not is_of_some:
            look = partial(
                discover,
                endpoint=endpoint,
                tenant_slug=self._lease.tenant.slug,
                trace_id=self._lease.trace_id,
                report=lambda _: self._lease.beat("find"),
            )
            Listing(self._lease, self._tally, look).run()
        waiting, finished = self._queue.sizes()
        self._tally.total, self._tally.finished_before = waiting + finished, finished

    def _forget_other_embedder(self, corpus: Corpus, name: str) -> bool:
        """Vectors of two models never mix: another model begins without a chunk.

        The documents stay, to be read anew, for they say who may read them.
        """
        is_other = corpus.embedder not in {"", name}
        with self._lease.writing():
            if is_other:
                index.delete_corpus(self._lease.tenant_id, corpus.pk)
                corpora.queue(Document.objects.filter(corpus=corpus), chunk_count=0)
                Corpus.objects.filter(pk=corpus.pk).update(chunk_count=0, lexeme_count=0)
            Corpus.objects.filter(pk=corpus.pk).update(embedder=name)
        return is_other

    def _pass(self, preparer: Preparer) -> None:
        """Read, embed and store what waits."""
        with closing(read_ahead(preparer, self._queue.wanted())) as news:
            for reading in news:
                self._lease.beat("read")
                if reading is not None:
                    self._take(*reading)
                if self._is_time_to_turn(nothing_is_ready=reading is None):
                    self._turn()
        self._turn()
        self._turn()

    def _is_time_to_turn(self, *, nothing_is_ready: bool) -> bool:
        """Whether the window is full, or the model idle with something to do."""
        if self._filling.is_full:
            return True
        return self._embedding.is_free and (nothing_is_ready or self._filling.is_worth_a_call)

    def _take(self, wanted: Wanted, outcome: Outcome) -> None:
        match outcome:
            case Unreadable(error):
                self._store.unreadable(wanted, error)
            case Unchanged():
                self._unchanged.append(wanted.pk)
                if len(self._unchanged) >= _NOTED_AT_ONCE:
                    self._note_unchanged()
            case Read():
                self._tally.read += 1
                self._take_text(wanted, outcome)

    def _take_text(self, wanted: Wanted, read: Read) -> None:
        """Into the window, unless the same text is on its way already."""
        for window in (self._embedding.window, self._filling):
            if window is not None and read.text_hash in window.texts:
                window.twins.append((wanted, read))
                return
        self._filling.add(wanted, read, self._store.known_vectors(wanted))

    def _turn(self) -> None:
        """Hand the window to the model, and store the one that the model had."""
        self._note_unchanged()
        done = self._embedding.fetch(self._lease.beat)
        if not self._filling.is_empty:
            self._filling.set_aside(self._store.in_use)
            self._embedding.begin(self._filling)
            self._filling = Window()
        if done is not None:
            self._write(done)

    def _write(self, window: Window) -> None:
        """Store its documents, a few in each commit, then those that say the same."""
        for group in window.groups(self._dimensions):
            self._lease.beat("index")
            self._store.read(group)
        for wanted, read in window.twins:
            self._lease.beat("index")
            self._store.duplicate(wanted, read)

    def _note_unchanged(self) -> None:
        if self._unchanged:
            self._store.unchanged(self._unchanged)
            self._unchanged.clear()

    def _has_ended(self, corpus: Corpus) -> bool:
        """End the training, unless a document waits: whoever queues one holds the corpus too."""
        with self._lease.writing():
            if self._queue.is_done:
                self._end(corpus)
                return True
        return False

    def _end(self, corpus: Corpus) -> None:
        tally = self._tally
        if tally.first_error and tally.failed == tally.total:
            operations.fail(
                self._operation,
                f"None of the {tally.total + tally.unlisted} sources could be read."
                f" The first: {tally.first_error}",
            )
            return
        corpora.mark_trained(corpus)
        operations.progress(
            self._operation,
            done=tally.total,
            total=tally.total,
            step=STEP,
            message=tally.message("done"),
        )
        operations.finish(self._operation, result=tally.result())
