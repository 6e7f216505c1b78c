"""The driver carries out steps and keeps the trace, here with a recorded world."""

import itertools
import threading
from collections.abc import Iterator, Sequence

import pytest

from ragapp.domain.agent import Settings
from ragapp.domain.document import Document
from ragapp.domain.drive import RunCancelledError, World, run
from ragapp.domain.engine import Generation, Message, Usage
from ragapp.domain.passage import Passage, Source
from ragapp.domain.route import Lexicon
from ragapp.domain.steps import Failed, Refused, WebHit, WebHits, WebPage
from ragapp.domain.trace import Entry
from tenants.domain.states import AnswerEnd
from tenants.errors import TransientError

SNAT = "A SNAT pool is a set of source addresses for connections that leave the cluster."
REFUSED = Refused("127.30.0.10:8081", "acme/default-deny", "acme", detail="no rule allows it")


class RecordedTools:
    """A world that always answers the same."""

    def __init__(self, *, chunks: int, web: WebHits | Refused | Failed = REFUSED) -> None:
        self.chunks = chunks
        self.web = web

    def look_up(self, question: str) -> Lexicon:
        return Lexicon(self.chunks, {"snat": min(1, self.chunks)})

    def search(self, query: str, limit: int) -> Sequence[Passage]:
        return [_passage("chunk:7", Source.LOCAL)]

    def web_search(self, query: str, limit: int) -> WebHits | Refused | Failed:
        return self.web

    def fetch(self, urls: Sequence[str]) -> Sequence[WebPage | Refused | Failed]:
        return [WebPage(url, Document(SNAT, "SNAT pools")) for url in urls]

    def rank(self, query: str, pages: Sequence[WebPage], limit: int) -> Sequence[Passage]:
        return [_passage(page.url, Source.WEB) for page in pages]


class ParrotSession:
    """Says the passage; counts like a model would."""

    def __init__(self, answers: Iterator[str]) -> None:
        self.usage = Usage(prompt_tokens=100)
        self.is_closed = False
        self._answers = answers

    def grade(
        self,
        questions: Sequence[str],
        *,
        timeout_seconds: float | None = None,
        cancel: threading.Event | None = None,
    ) -> tuple[float, ...]:
        tokens = self.usage.grade_tokens + 10 * len(questions)
        self.usage = Usage(100, tokens, self.usage.answer_tokens)
        return tuple(1.5 for _ in questions)

    def generate(self, instruction: str, *, on_text=None, cancel=None, **bounds) -> Generation:
        text = next(self._answers)
        if on_text is not None:
            on_text(text)
        self.usage = Usage(100, self.usage.grade_tokens, 5 + 20)
        return Generation(text, 20, "stop")

    def close(self) -> None:
        self.is_closed = True


class HurriedSession(ParrotSession):
    """Grades one question, and notes how long it may and who can stop it."""

    bounds: list[tuple[float | None, threading.Event | None]]

    def grade(self, questions: Sequence[str], *, timeout_seconds=None, cancel=None):
        self.bounds = [*getattr(self, "bounds", ()), (timeout_seconds, cancel)]
        return super().grade(questions[:1])


class BreakingSession(ParrotSession):
    """Uses tokens, then its server is gone."""

    def generate(self, instruction: str, *, on_text=None, cancel=None, **bounds) -> Generation:
        super().generate(instruction)
        raise TransientError("gone")


class BreakingGrades(ParrotSession):
    """The same, while it grades."""

    def grade(self, questions: Sequence[str], *, timeout_seconds=None, cancel=None):
        super().grade(questions)
        raise TransientError("gone")


class ParrotEngine:
    """Opens sessions that say what they were told to say."""

    session: type[ParrotSession] = ParrotSession
    name = "parrot"
    context_tokens = 4000

    def __init__(self, *answers: str) -> None:
        self._answers = iter(answers)
        self.sessions: list[ParrotSession] = []

    def count(self, text: str) -> int:
        return len(text.split())

    def open(
        self,
        messages: Sequence[Message],
        *,
        lane: str = "",
        cancel: threading.Event | None = None,
    ) -> ParrotSession:
        assert all(session.is_closed for session in self.sessions)
        self.sessions.append(self.session(self._answers))
        return self.sessions[-1]

    def close(self) -> None:
        pass


class Follower:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.heard: list[str] = []

    def record(self, entry: Entry) -> None:
        self.entries.append(entry)

    def text(self, piece: str) -> None:
        self.heard.append(piece)

    def restart(self) -> None:
        self.heard.clear()


def _passage(key: str, source: Source) -> Passage:
    return Passage(
        key,
        source,
        "SNAT",
        SNAT,
        0,
        len(SNAT),
        score=1.0,
        dense=0.8,
        lexical=3.0,
        dense_rank=1,
        lexical_rank=1,
    )


def _engine(session: type[ParrotSession]) -> ParrotEngine:
    engine = ParrotEngine(SNAT)
    engine.session = session
    return engine


def _answer(tools: RecordedTools, engine: ParrotEngine, follower: Follower, *, cancelled=False):
    ticks = itertools.count()
    cancel = threading.Event()
    if cancelled:
        cancel.set()
    world = World(tools, engine, follower, lambda: next(ticks) / 1000, cancel)
    return run("What is SNAT?", settings=Settings("acme"), world=world, delimiter="d41c")


def test_a_local_run_leaves_every_kind_of_entry_in_order():
    follower, engine = Follower(), ParrotEngine(SNAT)

    answer = _answer(RecordedTools(chunks=5), engine, follower)

    assert answer.end is AnswerEnd.FOUND
    assert [entry.kind for entry in follower.entries] == [
        "route", "search", "model", "model", "grade", "grade",
        "model", "model", "grade", "grade", "grade", "end",
    ]  # fmt: skip
    assert follower.heard == [SNAT]
    times = [entry.at_ms for entry in follower.entries]
    assert times == sorted(times)


def test_model_calls_show_their_tokens_by_purpose():
    follower = Follower()

    _answer(RecordedTools(chunks=5), ParrotEngine(SNAT), follower)

    calls = [entry for entry in follower.entries if entry.kind == "model"]
    assert [(call.purpose, call.tokens_in, call.tokens_out) for call in calls] == [
        ("prompt", 100, 0),
        ("grade", 30, 3),
        ("answer", 5, 20),
        ("grade", 80, 8),
    ]


@pytest.mark.parametrize(
    ("session", "last"),
    [(BreakingGrades, ("grade", 30, 0)), (BreakingSession, ("answer", 25, 0))],
)
def test_a_call_that_fails_shows_what_it_used_all_the_same(session, last):
    follower = Follower()

    with pytest.raises(TransientError):
        _answer(RecordedTools(chunks=5), _engine(session), follower)

    calls = [entry for entry in follower.entries if entry.kind == "model"]
    assert (calls[-1].purpose, calls[-1].tokens_in, calls[-1].tokens_out) == last


def test_grades_have_the_rest_of_the_time_and_can_be_stopped():
    engine = _engine(HurriedSession)

    _answer(RecordedTools(chunks=5), engine, Follower())

    (session,) = engine.sessions
    (before, cancel), (after, _) = session.bounds
    assert 119 < after < before < 120
    assert isinstance(cancel, threading.Event)


def test_questions_that_there_was_no_time_to_ask_have_the_margin_of_who_cannot_tell():
    follower = Follower()

    _answer(RecordedTools(chunks=5), _engine(HurriedSession), follower)

    grades = [entry for entry in follower.entries if entry.kind == "grade"]
    assert [(grade.question, grade.margin) for grade in grades[:2]] == [
        ("relevant", 1.5),
        ("answerable", 0.0),
    ]
    asked = [entry for entry in follower.entries if entry.kind == "model"]
    assert (asked[1].purpose, asked[1].tokens_in, asked[1].tokens_out) == ("grade", 10, 1)


def test_a_refused_search_is_an_outbound_entry_with_its_rule():
    follower = Follower()

    answer = _answer(RecordedTools(chunks=0), ParrotEngine(), follower)

    (outbound,) = (entry for entry in follower.entries if entry.kind == "outbound")
    assert (outbound.verdict, outbound.rule, outbound.url) == (
        "Denied",
        "acme/default-deny",
        "127.30.0.10:8081",
    )
    assert answer.end is AnswerEnd.BLOCKED


def test_a_web_run_shows_search_and_fetches():
    follower = Follower()
    web = WebHits((WebHit("http://docs/a", "A"),), url="http://search/?q=snat")

    answer = _answer(RecordedTools(chunks=0, web=web), ParrotEngine(SNAT), follower)

    outbound = [entry for entry in follower.entries if entry.kind == "outbound"]
    assert [(entry.purpose, entry.url, entry.verdict) for entry in outbound] == [
        ("web search", "http://search/?q=snat", "Allowed"),
        ("fetch", "http://docs/a", "Allowed"),
    ]
    assert answer.end is AnswerEnd.FOUND


def test_a_second_answer_restarts_the_stream():
    follower = Follower()

    answer = _answer(RecordedTools(chunks=5), ParrotEngine("Cats like warmth.", SNAT), follower)

    assert follower.heard == [SNAT]
    assert answer.text == f"{SNAT} [1]"


def test_a_cancelled_run_stops_and_frees_the_model():
    engine = ParrotEngine(SNAT)

    with pytest.raises(RunCancelledError):
        _answer(RecordedTools(chunks=5), engine, Follower(), cancelled=True)

    assert all(session.is_closed for session in engine.sessions)


def test_the_model_is_freed_at_the_end():
    engine = ParrotEngine(SNAT)

    _answer(RecordedTools(chunks=5), engine, Follower())

    assert [session.is_closed for session in engine.sessions] == [True]
