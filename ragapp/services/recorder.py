"""Keeps a run's trace and text while it goes on: at once in the stream, once a second in its row.

The run's thread calls it for each entry and each piece of text. A thread beside it writes the row,
which is the heartbeat as well, and brings back whether somebody asked for the stop. Each write
names the lease: a worker that was given up for dead changes nothing.
"""

import logging
import threading
from types import TracebackType
from typing import Self

from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone

from ragapp.domain import trace
from ragapp.models import Run
from ragapp.services import stream
from ragapp.services.stream import Place, Publisher, Stored
from tenants.domain.states import OperationState
from tenants.models.scoped import tenant_scope

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0


class Recorder:
    """The ``Listener`` of one run; use it as a context, around the run.

    Args:
        run: Claimed: its lease stands in the row.
        cancel: Set when the run shall stop: somebody asked for it, or the lease is lost.
    """

    def __init__(self, run: Run, cancel: threading.Event) -> None:
        self._run = run
        self._cancel = cancel
        self._lock = threading.Lock()
        self._entries: list[stream.Json] = []
        self._text = ""
        # An attempt before this one may have streamed already: its readers begin anew.
        self._restarts = run.restarts
        self._publisher = Publisher(run.trace_id)
        self._stopped = threading.Event()
        self._beat = threading.Thread(target=self._keep, name=f"run {run.pk}", daemon=True)

    def __enter__(self) -> Self:
        if self._run.attempts > 1:
            self._begin_anew({"text": "", "steps": []}, keep_entries=False)
        self._beat.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._beat.join()
        self._publisher.close()

    @property
    def entries(self) -> list[stream.Json]:
        """The trace so far, as stored."""
        with self._lock:
            return list(self._entries)

    @property
    def restarts(self) -> int:
        """How often the answer began anew."""
        with self._lock:
            return self._restarts

    @property
    def written(self) -> str:
        """The answer's text so far."""
        with self._lock:
            return self._text

    def record(self, entry: trace.Entry) -> None:
        """Something happened."""
        stored = trace.to_json(entry)
        with self._lock:
            before = self._place()
            self._entries.append(stored)
            self._publish("step", before, stream.step(stored))

    def text(self, piece: str) -> None:
        """The answer grew by ``piece``."""
        if not piece:
            return
        with self._lock:
            before = self._place()
            self._text += piece
            self._publish("token", before, {"text": piece})

    def restart(self) -> None:
        """The answer begins anew; what was streamed before is void."""
        self._begin_anew({"text": ""}, keep_entries=True)

    def conclude(self, answer: str) -> None:
        """Make the streamed text the final one: its citations were checked after it was written."""
        if self.written == answer:
            return
        self.restart()
        self.text(answer)

    def end(self, data: stream.Json) -> None:
        """Tell the readers that the run has ended; its row says so already."""
        with self._lock:
            self._publish("end", self._place(), data)

    def _begin_anew(self, data: stream.Json, *, keep_entries: bool) -> None:
        with self._lock:
            before = self._place()
            self._restarts += 1
            self._text = ""
            if not keep_entries:
                self._entries = []
            self._publish("snapshot", before, data)

    def _place(self) -> Place:
        return Place(self._restarts, len(self._entries), len(self._text))

    def _publish(self, name: str, before: Place, data: stream.Json) -> None:
        self._publisher.publish(Stored(name, before, self._place(), data))

    def _keep(self) -> None:
        """Write the row once a second until the run is over."""
        try:
            while not self._stopped.wait(BEAT_SECONDS):
                self._publisher.retry()
                try:
                    self._save()
                except DatabaseError as error:
                    # The next beat tries again; the sweep judges by the heartbeat alone.
                    logger.warning("The run's row took no heartbeat: %s", error)
                    connection.close()
        finally:
            connection.close()

    def _save(self) -> None:
        with self._lock:
            entries, text, restarts = list(self._entries), self._text, self._restarts
        with tenant_scope(self._run.tenant_id):
            mine = Run.objects.filter(
                pk=self._run.pk,
                lease_token=self._run.lease_token,
                state=OperationState.RUNNING.value,
            )
            held = mine.update(
                heartbeat_at=timezone.now(), entries=entries, answer=text, restarts=restarts
            )
            stop = not held or mine.filter(cancel_requested_at__isnull=False).exists()
        if stop:
            self._cancel.set()
