"""The training's hold on its corpus, and its heartbeat."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ragapp.services import corpora
from ragapp.services.training.tally import Tally
from tenants.domain.states import OperationState
from tenants.models.operation import Operation
from tenants.models.scoped import tenant_scope
from tenants.services import operations

_BEAT_SECONDS = 1.0
STEP = "Read documents"


class Lease:
    """One worker's right to write to one corpus, as long as it is heard of."""

    def __init__(self, operation: Operation, tally: Tally) -> None:
        self.operation = operation
        # Kept here: each report reads the operation's row anew, without its tenant.
        self.tenant = operation.tenant
        self.tenant_id = operation.tenant_id
        self.corpus_id = operation.target_id or 0
        # Stands in each document that this training is done with.
        self.trace_id = operation.trace_id or f"{operation.pk:032x}"
        self._tally = tally
        self._beaten_at = 0.0

    def beat(self, stage: str) -> None:
        """Tell where the training is, at most once a second.

        Raises:
            OperationCancelledError: somebody asked for the cancel.
            DeadlineError: the deadline has passed.
            LeaseLostError: another worker has it, or it has ended.
        """
        now = time.monotonic()
        if now - self._beaten_at < _BEAT_SECONDS:
            return
        self._beaten_at = now
        operations.progress(
            self.operation,
            done=min(self._tally.done, self._tally.total),
            total=self._tally.total,
            step="Find documents" if stage == "find" else STEP,
            message=self._tally.message(stage),
        )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction in the tenant's scope that commits only while the lease is held.

        It holds the corpus's row, as all that writes several rows of a corpus.

        Raises:
            LeaseLostError: another worker has it, it has ended, or the corpus is gone.
        """
        with tenant_scope(self.tenant_id):
            held = Operation.objects.select_for_update(no_key=True).filter(
                pk=self.operation.pk,
                lease_token=self.operation.lease_token,
                state=OperationState.RUNNING.value,
            )
            if not held.exists() or not corpora.hold(self.corpus_id):
                raise operations.LeaseLostError("The training is no longer this worker's.")
            yield
