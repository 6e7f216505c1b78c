"""The base of every task: what is tried again, and one log line for each end.

A task gets the id of a row and calls one service, which opens its own scope and finds everything
else in the database. What may help is tried again a few times with jitter; beyond that the sweeps
find the work again.
"""

import logging
from collections.abc import Sequence
from typing import Any

from celery import Task

from tenants.errors import TransientError

logger = logging.getLogger(__name__)


# Celery's stubs have the class generic, which it is not when it runs; Any below: its signatures.
class SluiceTask(Task):  # type: ignore[type-arg]
    """A task that is tried again only where that can help.

    Its deadline stands at the task; the settings have the one that no task may exceed.
    """

    abstract = True
    autoretry_for = (TransientError,)
    max_retries = 3
    retry_backoff = 1
    retry_backoff_max = 30
    retry_jitter = True

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        """For those who want to know all; sweeps end like this every second."""
        logger.debug("%s done", self.name, extra=self._fields(args))

    def on_retry(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Say that it is tried again, and why."""
        logger.warning("%s is tried again: %s", self.name, exc, extra=self._fields(args))

    def on_failure(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """The one place where a failed task is logged, with its traceback."""
        logger.error("%s failed: %s", self.name, exc, exc_info=exc, extra=self._fields(args))

    def _fields(self, args: Sequence[object]) -> dict[str, object]:
        return {
            # The message's id stands in for a trace: the row that it names has the real one.
            "trace_id": (self.request.id or "").replace("-", ""),
            "action": self.name,
            "object": ", ".join(str(argument) for argument in args),
        }
