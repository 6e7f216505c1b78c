"""Reports on their way to the ledger: in order, in batches, kept while the ledger is down."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from proxyconfig.domain.connections import ConnectionEvent

logger = logging.getLogger(__name__)

EventSink = Callable[[Sequence[ConnectionEvent]], Awaitable[None]]
_BATCH: Final = 500
_RETRY_SECONDS: Final = 1.0


class EventQueue:
    """Hands reports to the sink, at least once and in order.

    Args:
        sink: stores a batch; when it raises, the same batch is offered again a second later.
        capacity: how many may wait before ``is_full``; what is already open is reported beyond it.
    """

    def __init__(self, sink: EventSink, *, capacity: int = 20_000) -> None:
        self._sink = sink
        self._capacity = capacity
        self._waiting: deque[ConnectionEvent] = deque()
        self._news = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def is_full(self) -> bool:
        """True when no new connection should be let through: it could not be put on record."""
        return len(self._waiting) >= self._capacity

    def put(self, event: ConnectionEvent) -> None:
        """Add a report; never waits."""
        self._waiting.append(event)
        self._empty.clear()
        self._news.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        failing = False
        while True:
            await self._news.wait()
            batch = [self._waiting[place] for place in range(min(_BATCH, len(self._waiting)))]
            try:
                await self._sink(batch)
            except Exception as error:  # noqa: BLE001 - whatever the ledger raises, reports are kept
                if not failing:
                    logger.warning("The ledger takes no reports: %s; they are kept", error)
                failing = True
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            failing = False
            for _ in batch:
                self._waiting.popleft()
            if not self._waiting:
                self._news.clear()
                self._empty.set()

    async def drain(self, *, timeout_seconds: float) -> int:
        """Wait until all is delivered.

        Returns:
            How many reports are left undelivered when the time is over.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._empty.wait()
        except TimeoutError:
            logger.warning("%d reports were not delivered", len(self._waiting))
        return len(self._waiting)
