"""A run as a stream of events that a reader may leave and take up again, without gap or repeat.

The engine worker publishes to a Redis stream and, once a second, to the run's row. Each event
carries the place before and after it: how often the answer began anew, how many trace entries and
how many characters there were. That place is the event's id, so it means the same in Redis and in
the row: where Redis lost the stream, or never had it, the reader goes on from the row.

Events for the reader: ``snapshot`` (what was shown before is void; begin with this), ``token``,
``step`` and ``end``. The tokens since the last snapshot, joined to its text, are the answer.
"""

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import redis
import redis.asyncio
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections

from ragapp.domain import trace
from ragapp.models import Run
from ragapp.services.steps import describe
from tenants.errors import InvalidError
from tenants.models.scoped import tenant_scope

logger = logging.getLogger(__name__)

MOST_EVENTS = 5000
# How long a silent stream is waited for before the row is read; the row is a second old at most.
PATIENCE_MS = 1000
_ID = re.compile(r"(\d{1,9})-(\d{1,9})-(\d{1,9})\Z")

Json = dict[str, Any]  # Any: as nested as JSON is.


class Place(NamedTuple):
    """How far a run's stream has come; places compare in the order of the stream."""

    restarts: int
    entries: int
    characters: int

    @classmethod
    def parse(cls, event_id: str) -> "Place":
        """The place that an event's id names.

        Raises:
            InvalidError: it is not an id of this stream.
        """
        match = _ID.match(event_id)
        if match is None:
            raise InvalidError(
                "Last-Event-ID is not an id of this stream. Leave it out to read from the start.",
                code="event-id-invalid",
            )
        return cls(*(int(part) for part in match.groups()))

    def __str__(self) -> str:
        return f"{self.restarts}-{self.entries}-{self.characters}"


@dataclass(frozen=True, slots=True)
class Event:
    """What a reader gets; ``id`` is where it stands after this event."""

    id: Place
    name: str
    data: Json

    def frame(self) -> bytes:
        """The event on the wire, as server-sent events have it."""
        return f"id: {self.id}\nevent: {self.name}\ndata: {json.dumps(self.data)}\n\n".encode()


@dataclass(frozen=True, slots=True)
class Stored:
    """One entry of the Redis stream: a step, a piece of text, a new beginning, or the end."""

    name: str
    before: Place
    after: Place
    data: Json

    def dumps(self) -> str:
        """As stored."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, stored: str) -> "Stored":
        """As ``dumps`` wrote it."""
        values = json.loads(stored)
        return cls(
            values["name"], Place(*values["before"]), Place(*values["after"]), values["data"]
        )


@dataclass(frozen=True, slots=True)
class State:
    """A run's row as a reader needs it."""

    place: Place
    entries: list[Json]
    text: str
    end: Json | None


class Publisher:
    """Writes one run's events to Redis; a Redis that is gone is no reason to stop a run."""

    def __init__(self, trace_id: str) -> None:
        self._key = key(trace_id)
        self._redis = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=2.0, socket_connect_timeout=2.0
        )
        self._is_down = False

    def publish(self, event: Stored) -> None:
        """Append the event; the stream is kept for ten minutes after its last one."""
        if self._is_down:
            return
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.xadd(self._key, {"event": event.dumps()}, maxlen=MOST_EVENTS)
                pipe.expire(self._key, settings.KEEP_STREAM_SECONDS)
                pipe.execute()
        except redis.RedisError as error:
            self._is_down = True
            logger.warning("Redis takes no tokens: %s. Readers go on from the run's row.", error)

    def retry(self) -> None:
        """Try Redis again with the next event; called once a second."""
        self._is_down = False

    def close(self) -> None:
        """Free the connection."""
        self._redis.close()


def key(trace_id: str) -> str:
    """Name of the run's stream in Redis."""
    return f"sluice:run:{trace_id}"


async def frames(tenant_id: int, trace_id: str, last_id: str) -> AsyncIterator[bytes]:
    """The body of a server-sent events response; ends with the run or with the reader."""
    yield b"retry: 1000\n\n"
    async with aclosing(read(tenant_id, trace_id, last_id)) as events:
        async for event in events:
            yield event.frame() if event else b": still here\n\n"


async def read(
    tenant_id: int, trace_id: str, last_id: str = ""
) -> AsyncGenerator[Event | None, None]:
    """The run's events after ``last_id``, live, until its end; None where a second was silent.

    The caller has checked that its reader may see this run. No transaction and no database
    connection is held while it waits.

    Args:
        last_id: Of the last event that the reader has; empty for a new reader.
    """
    reader = _Reader(tenant_id, trace_id, Place.parse(last_id) if last_id else None)
    try:
        for event in await reader.begin():
            yield event
        while not reader.has_ended:
            events = await reader.more()
            for event in events:
                yield event
            if not events:
                yield None
    finally:
        await reader.close()


class _Reader:
    def __init__(self, tenant_id: int, trace_id: str, place: Place | None) -> None:
        self._tenant_id = tenant_id
        self._trace_id = trace_id
        self._place = place
        self._cursor = "0"
        self._redis = redis.asyncio.Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=2.0, socket_timeout=5.0
        )
        self.has_ended = False

    async def close(self) -> None:
        """Free the connection."""
        await self._redis.aclose()

    async def begin(self) -> list[Event]:
        """What the row has and this reader has not."""
        return await self._from_row()

    async def more(self) -> list[Event]:
        """What came next; from the row where the stream is silent, gone or has a gap."""
        try:
            # Any: the client's types name the answers of every protocol version at once.
            got: Any = await self._redis.xread(
                {key(self._trace_id): self._cursor}, block=PATIENCE_MS, count=500
            )
        except redis.RedisError:
            await _pause()
            got = None
        if not got:
            return await self._from_row()
        events: list[Event] = []
        for cursor, fields in got[0][1]:
            stored = Stored.loads(fields[b"event"])
            if not self._follows(stored):
                # Redis lost what came before: the row has it, or will within a second.
                missing = await self._from_row()
                return [*events, *missing] or await self._wait()
            self._cursor = cursor
            events += self._taken(stored)
        return events

    async def _wait(self) -> list[Event]:
        await _pause()
        return []

    def _follows(self, stored: Stored) -> bool:
        """True unless there is a gap between the reader's place and the event."""
        return self._place is not None and stored.before <= self._place

    def _taken(self, stored: Stored) -> list[Event]:
        """The event for the reader; nothing if it has that already."""
        if stored.name == "end":
            self.has_ended = True
            return [Event(stored.after, "end", stored.data)]
        if self._place is not None and stored.after <= self._place:
            return []
        self._place = stored.after
        return [Event(stored.after, stored.name, stored.data)]

    async def _from_row(self) -> list[Event]:
        state = await sync_to_async(_state)(self._tenant_id, self._trace_id)
        if state is None:
            self.has_ended = True
            return [Event(self._place or Place(0, 0, 0), "end", {"state": "Deleted"})]
        events = [*self._difference(state)]
        if state.end is not None:
            self.has_ended = True
            events.append(Event(self._place or state.place, "end", state.end))
        return events

    def _difference(self, state: State) -> list[Event]:
        """What the row has beyond the reader's place."""
        place, self._place = self._place, max(self._place or state.place, state.place)
        if place is None or place.restarts != state.place.restarts:
            if place is not None and place > state.place:
                return []  # The row is older than what the reader has.
            steps = [step(entry) for entry in state.entries]
            return [Event(state.place, "snapshot", {"text": state.text, "steps": steps})]
        events = [
            Event(Place(place.restarts, number, place.characters), "step", step(entry))
            for number, entry in enumerate(state.entries, start=1)
            if number > place.entries
        ]
        if len(state.text) > place.characters:
            events.append(Event(state.place, "token", {"text": state.text[place.characters :]}))
        return events


async def _pause() -> None:
    await asyncio.sleep(PATIENCE_MS / 1000)


def step(entry: Json) -> Json:
    """A trace entry for a reader: as stored, and in words."""
    return {"entry": entry, **asdict(describe(trace.from_json(entry)))}


def end(run: Run) -> Json:
    """The last event's data."""
    return {
        "state": run.state,
        "end": run.end,
        "end_message": run.end_message,
        "error": run.error,
        "citations": run.citations,
    }


def _state(tenant_id: int, trace_id: str) -> State | None:
    """The run's row in a short transaction of its own."""
    try:
        with tenant_scope(tenant_id):
            run = Run.objects.filter(trace_id=trace_id).first()
    finally:
        # The request's own end comes only after the stream's: give the connection back now.
        close_old_connections()
    if run is None:
        return None
    place = Place(run.restarts, len(run.entries), len(run.answer))
    return State(place, run.entries, run.answer, end(run) if run.has_ended else None)
