"""A run's stream: whatever is lost on the way, the reader has the whole once, in order."""

import asyncio
import threading

import pytest
import redis
from django.conf import settings
from django.db import connection

from ragapp.domain import trace
from ragapp.models import Run
from ragapp.services import stream
from ragapp.services.answer import claim
from ragapp.services.recorder import Recorder
from ragapp.services.stream import Place, read
from ragapp.tests.factories import RunFactory
from tenants.domain.states import OperationState
from tenants.errors import InvalidError
from tenants.models import tenant_scope

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("services")]

ROUTE = trace.Route(5, "local", ("Known: pool.",))
GRADE = trace.Graded(9, "relevant", 1, 0.5, None, "Shown")
ENDED = trace.Ended(20, "Found", "Answered.")
PIECES = ["A SNAT", " pool holds", " the addresses", " \n\nthat a ténant\u2028uses."]
ANSWER = "".join(PIECES)


class Shown:
    """What a page shows that follows the events."""

    def __init__(self) -> None:
        self.text = ""
        self.steps: list[dict] = []
        self.ids: list[str] = []
        self.end: dict | None = None

    def take(self, event) -> None:
        self.ids.append(str(event.id))
        match event.name:
            case "snapshot":
                self.text = event.data["text"]
                self.steps = event.data.get("steps", self.steps)
            case "token":
                self.text += event.data["text"]
            case "step":
                self.steps = [*self.steps, event.data]
            case "end":
                self.end = event.data

    @property
    def kinds(self) -> list[str]:
        return [step["entry"]["kind"] for step in self.steps]


def follow(run, shown=None, *, last_id="", until=None) -> Shown:
    """Read the run's events until its end, or until ``until`` says that the reader leaves."""
    shown = shown or Shown()

    async def reading() -> None:
        events = read(run.tenant_id, run.trace_id, last_id)
        async for event in events:
            if event is not None:
                shown.take(event)
            if until and until(shown):
                break
        await events.aclose()

    asyncio.run(asyncio.wait_for(reading(), 60))
    return shown


@pytest.fixture
def run() -> Run:
    return RunFactory(state=OperationState.RUNNING, attempts=1, lease_token=_LEASE)


def end_row(run, recorder, *, answer=ANSWER) -> None:
    with tenant_scope(run.tenant_id):
        Run.objects.filter(pk=run.pk).update(
            state=OperationState.SUCCEEDED,
            end="Found",
            answer=answer,
            entries=recorder.entries,
            restarts=recorder.restarts,
        )
        run.refresh_from_db()


def begin(run, recorder) -> None:
    recorder.record(trace.from_json(run.entries[0]))
    recorder.record(ROUTE)
    recorder.record(GRADE)


def finish(run, recorder) -> None:
    recorder.record(ENDED)
    end_row(run, recorder)
    recorder.end(stream.end(run))


def write_all(run) -> None:
    with Recorder(run, threading.Event()) as recorder:
        begin(run, recorder)
        for piece in PIECES:
            recorder.text(piece)
        finish(run, recorder)


KINDS = ["ingress", "route", "grade", "end"]


def test_reader_of_a_running_answer_gets_each_event_once(run):
    writer = beside(lambda: write_all(run))

    shown = follow(run)
    writer.join()

    assert (shown.text, shown.kinds) == (ANSWER, KINDS)
    assert shown.end["end"] == "Found"


def test_late_reader_gets_the_whole(run):
    write_all(run)

    shown = follow(run)

    assert (shown.text, shown.kinds) == (ANSWER, KINDS)


def test_late_reader_without_redis_gets_the_whole_from_the_row(run):
    write_all(run)
    flush()

    shown = follow(run)

    assert (shown.text, shown.kinds) == (ANSWER, KINDS)


@pytest.mark.parametrize("leaves_after", range(1, 8))
def test_reader_who_comes_back_has_no_gap_and_no_repeat(run, leaves_after):
    with Recorder(run, threading.Event()) as recorder:
        begin(run, recorder)
        for piece in PIECES:
            recorder.text(piece)
        shown = follow(run, until=lambda shown: len(shown.ids) >= leaves_after)
        recorder.restart()
        for piece in PIECES:
            recorder.text(piece)
        finish(run, recorder)

    follow(run, shown, last_id=shown.ids[-1])

    assert (shown.text, shown.kinds) == (ANSWER, KINDS)
    assert len(set(shown.ids)) >= len(shown.ids) - 1  # Only the end stands where its event stood.


def test_redis_that_is_flushed_in_the_middle_costs_nothing(run):
    came = threading.Event()
    with Recorder(run, threading.Event()) as recorder:
        begin(run, recorder)
        recorder.text(PIECES[0])

        def go_on() -> None:
            came.wait(60)
            recorder.text(PIECES[1])
            flush()
            recorder.text(PIECES[2])
            recorder.text(PIECES[3])
            finish(run, recorder)

        writer = beside(go_on)
        shown = follow(run, until=lambda shown: PIECES[0] in shown.text and not came.set())
        writer.join()

    follow(run, shown, last_id=shown.ids[-1])

    assert (shown.text, shown.kinds) == (ANSWER, KINDS)


def test_gap_in_redis_is_filled_from_the_row_while_the_run_goes_on(run):
    noticed = threading.Event()
    with Recorder(run, threading.Event()) as recorder:
        begin(run, recorder)
        recorder.text(PIECES[0])
        recorder.text(PIECES[1])
        flush()
        recorder.text(PIECES[2])

        def go_on() -> None:
            noticed.wait(60)
            recorder.text(PIECES[3])
            finish(run, recorder)

        writer = beside(go_on)
        shown = follow(run, until=lambda shown: shown.text == ANSWER[: -len(PIECES[3])])
        noticed.set()
        writer.join()

    follow(run, shown, last_id=shown.ids[-1])

    assert (shown.text, shown.kinds) == (ANSWER, KINDS)


def test_second_attempt_voids_what_the_first_had_streamed(run):
    with Recorder(run, threading.Event()) as recorder:
        begin(run, recorder)
        recorder.text("Something that died with its")
        shown = follow(run, until=lambda shown: "died" in shown.text)
    with tenant_scope(run.tenant_id):
        Run.objects.filter(pk=run.pk).update(attempts=2)
        run.refresh_from_db()

    write_all(run)
    follow(run, shown, last_id=shown.ids[-1])

    assert (shown.text, shown.kinds) == (ANSWER, KINDS)
    assert run.restarts == 1


def test_reader_of_what_a_killed_attempt_never_wrote_down_gets_all_of_the_next(run):
    with Recorder(run, threading.Event()) as recorder:
        begin(run, recorder)
        recorder.text("First words")
        recorder.restart()
        recorder.text("Other words, and more of them than the answer has in the end.")
        shown = follow(run, until=lambda shown: "Other" in shown.text)
    with tenant_scope(run.tenant_id):
        # Killed before a beat wrote that it had begun anew.
        Run.objects.filter(pk=run.pk).update(state=OperationState.QUEUED, restarts=0)

    write_all(claim(run.pk))
    follow(run, shown, last_id=shown.ids[-1])

    assert (shown.text, shown.kinds) == (ANSWER, KINDS)


def test_final_text_replaces_the_streamed_one(run):
    with Recorder(run, threading.Event()) as recorder:
        begin(run, recorder)
        recorder.text("A SNAT pool.")
        recorder.conclude("A SNAT pool. [1]")
        end_row(run, recorder, answer="A SNAT pool. [1]")
        recorder.end(stream.end(run))

    assert follow(run).text == "A SNAT pool. [1]"


def test_redis_that_is_away_stops_no_run_and_no_reader(run, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    write_all(run)

    assert follow(run).text == ANSWER


def test_run_that_was_deleted_ends_its_stream(run):
    with tenant_scope(run.tenant_id):
        Run.objects.filter(pk=run.pk).delete()

    assert follow(run).end == {"state": "Deleted"}


@pytest.mark.parametrize(
    "last_id", ["0-0", "a-b-c", "1-2-3-4", "1-2-3\n", "-1-2-3", "9999999999-0-0"]
)
def test_id_that_is_none_of_the_stream_is_refused(run, last_id):
    with pytest.raises(InvalidError, match="Last-Event-ID"):
        Place.parse(last_id)


def test_frame_keeps_line_ends_inside_its_data():
    frame = stream.Event(Place(0, 1, 2), "token", {"text": "a\n\nb\r\u2028"}).frame()

    assert frame == b'id: 0-1-2\nevent: token\ndata: {"text": "a\\n\\nb\\r\\u2028"}\n\n'


def test_stream_is_bounded_and_does_not_stay(run):
    write_all(run)

    client = redis.Redis.from_url(settings.REDIS_URL)
    assert 0 < client.ttl(stream.key(run.trace_id)) <= settings.KEEP_STREAM_SECONDS
    client.close()


def beside(work) -> threading.Thread:
    """Run ``work`` in a thread with a connection of its own."""

    def working() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=working)
    thread.start()
    return thread


def flush() -> None:
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushall()
    client.close()


_LEASE = "6a1f2c0e-0000-4000-8000-000000000001"
