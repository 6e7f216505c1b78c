"""Runs the agent against the world: carries out its steps, times them and keeps the trace.

The world comes in as ports: ``Tools`` (searches and fetches, implemented by the services), an
``Engine`` and a ``Listener`` that stores the trace and streams the text.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ragapp.domain import trace
from ragapp.domain.agent import Reader, Settings, agent
from ragapp.domain.ends import Answer
from ragapp.domain.engine import (
    Engine,
    Generation,
    Message,
    PromptCancelledError,
    Session,
    Usage,
)
from ragapp.domain.grade import Grade
from ragapp.domain.passage import Passage, Source
from ragapp.domain.route import Decision, Lexicon
from ragapp.domain.steps import (
    AskGrades,
    Failed,
    Fetch,
    Generate,
    LookUp,
    Note,
    OpenPrompt,
    Rank,
    Refused,
    Rewording,
    Rewrite,
    Search,
    Step,
    WebHits,
    WebPage,
    WebSearch,
)
from tenants.domain.states import Verdict
from tenants.errors import SluiceError


class RunCancelledError(SluiceError):
    """The reader stopped the run."""

    status = 409
    default_code = "run-cancelled"


class Tools(Protocol):
    """What a run may do with the world. Each call is bounded in time by its implementation."""

    def look_up(self, question: str) -> Lexicon:
        """Document frequencies of the question's lexemes in the chosen corpora."""
        ...

    def search(self, query: str, limit: int) -> Sequence[Passage]:
        """Hybrid search of the chosen corpora, best first, with all scores and ranks."""
        ...

    def web_search(self, query: str, limit: int) -> WebHits | Refused | Failed:
        """Ask the tenant's search service through the tenant's egress."""
        ...

    def fetch(self, urls: Sequence[str]) -> Sequence[WebPage | Refused | Failed]:
        """Fetch through the tenant's egress and extract; one reply per URL, in order."""
        ...

    def rank(self, query: str, pages: Sequence[WebPage], limit: int) -> Sequence[Passage]:
        """The best passages of fetched pages, best first, with all scores and ranks."""
        ...


class Listener(Protocol):
    """Who follows a run. Called in the run's thread; an exception ends the run."""

    def record(self, entry: trace.Entry) -> None:
        """Something happened."""
        ...

    def text(self, piece: str) -> None:
        """The answer grew by ``piece``."""
        ...

    def restart(self) -> None:
        """The answer begins anew; what was streamed before is void."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside that a run touches; ``clock`` gives monotonic seconds."""

    tools: Tools
    engine: Engine
    listener: Listener
    clock: Callable[[], float]
    cancel: threading.Event


def run(question: str, *, settings: Settings, world: World, delimiter: str) -> Answer:
    """Answer ``question``; every step leaves a trace entry at the listener.

    Args:
        delimiter: Random per request; stands around each passage in the prompt.

    Raises:
        RunCancelledError: ``world.cancel`` was set.
        TransientError: The engine is overloaded or gone.
    """
    driver = _Driver(settings, world)
    reader = Reader(world.engine.count, world.engine.context_tokens)
    steps = agent(question, settings, reader, delimiter=delimiter, clock=world.clock)
    reply: Any = None
    try:
        while True:
            if world.cancel.is_set():
                raise RunCancelledError("The question was stopped.")
            try:
                step = steps.send(reply)
            except StopIteration as stop:
                answer: Answer = stop.value
                driver.record(trace.Ended, end=answer.end.value, reason=answer.reason)
                return answer
            reply = driver.carry_out(step)
    finally:
        steps.close()
        driver.close()


class _Driver:
    """Carries out one step at a time; holds the one open session."""

    def __init__(self, settings: Settings, world: World) -> None:
        self._settings = settings
        self._world = world
        self._begin = world.clock()
        self._session: Session | None = None
        self._generated = False

    def close(self) -> None:
        """Free the model."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def record(self, entry: type[trace.Entry], **values: Any) -> None:
        """Leave an entry, stamped with the time since the run began."""
        self._world.listener.record(entry(at_ms=self._now_ms(), **values))

    def carry_out(self, step: Step[Any]) -> Any:
        """What the world answers to ``step``."""
        match step:
            case LookUp(question):
                return self._world.tools.look_up(question)
            case Search(query, limit):
                return self._search(query, limit)
            case WebSearch(query, limit):
                return self._web_search(query, limit)
            case Fetch(urls):
                return self._fetch(urls)
            case Rank(query, pages, limit):
                return self._rank(query, pages, limit)
            case Note(decided):
                return self._note(decided)
            case _:
                return self._ask_model(step)

    def _ask_model(self, step: Step[Any]) -> Any:
        match step:
            case OpenPrompt(messages):
                return self._open(messages)
            case AskGrades(questions):
                return self._grades(questions)
            case Generate():
                return self._generate(step)
            case Rewrite():
                return self._rewrite(step)
        raise TypeError(f"no way to carry out {type(step).__name__}")

    def _search(self, query: str, limit: int) -> tuple[Passage, ...]:
        begin = self._now_ms()
        found = tuple(self._world.tools.search(query, limit))
        self._record_search(Source.LOCAL, query, found, begin)
        return found

    def _rank(self, query: str, pages: Sequence[WebPage], limit: int) -> tuple[Passage, ...]:
        begin = self._now_ms()
        found = tuple(self._world.tools.rank(query, pages, limit))
        self._record_search(Source.WEB, query, found, begin)
        return found

    def _record_search(
        self, source: Source, query: str, found: Sequence[Passage], begin: int
    ) -> None:
        hits = tuple(trace.Hit.of(passage) for passage in found)
        ms = self._now_ms() - begin
        self.record(trace.Searched, ms=ms, source=source.value, query=query, hits=hits)

    def _web_search(self, query: str, limit: int) -> WebHits | Refused | Failed:
        begin = self._now_ms()
        reply = self._world.tools.web_search(query, limit)
        self._record_outbound("web search", reply, begin)
        return reply

    def _fetch(self, urls: Sequence[str]) -> tuple[WebPage | Refused | Failed, ...]:
        begin = self._now_ms()
        replies = tuple(self._world.tools.fetch(urls))
        for reply in replies:
            self._record_outbound("fetch", reply, begin)
        return replies

    def _record_outbound(
        self, purpose: str, reply: WebHits | WebPage | Refused | Failed, begin: int
    ) -> None:
        ms = self._now_ms() - begin
        verdict, url, rule, detail = _outcome(reply)
        self.record(
            trace.Outbound,
            ms=ms,
            purpose=purpose,
            url=url,
            verdict=verdict.value,
            rule=rule,
            detail=detail,
        )

    def _open(self, messages: Sequence[Message]) -> None:
        self.close()
        begin = self._now_ms()
        session = self._session = self._opened(messages)
        self._record_model("prompt", begin, tokens_in=session.usage.prompt_tokens, tokens_out=0)

    def _opened(self, messages: Sequence[Message]) -> Session:
        world = self._world
        try:
            return world.engine.open(messages, lane=self._settings.tenant, cancel=world.cancel)
        except PromptCancelledError as error:
            raise RunCancelledError(error.message) from error

    def _grades(self, questions: Sequence[str]) -> tuple[float, ...]:
        """One margin for each question; 0 for those that there was no time to ask."""
        session, begin = self._open_session(), self._now_ms()
        before, margins = session.usage, tuple[float, ...]()
        try:
            margins = session.grade(
                questions, timeout_seconds=self._remaining_seconds(), cancel=self._world.cancel
            )
        finally:
            # Also where it failed: what was read until then is used.
            self._record_model(
                "grade",
                begin,
                tokens_in=_forwarded(session.usage) - _forwarded(before),
                tokens_out=len(margins),
            )
        return (*margins, *(0.0 for _ in questions[len(margins) :]))

    def _generate(self, step: Generate) -> Generation:
        if self._generated:
            self._world.listener.restart()
        self._generated = True
        session, begin = self._open_session(), self._now_ms()
        before, written = session.usage, None
        try:
            written = session.generate(
                step.instruction,
                max_new_tokens=step.max_new_tokens,
                stop_at=step.stop_at,
                choices=step.choices,
                timeout_seconds=step.timeout_seconds,
                on_text=self._world.listener.text,
                cancel=self._world.cancel,
            )
        finally:
            used = _forwarded(session.usage) - _forwarded(before)
            self._record_written("answer", begin, used, written)
        return written

    def _rewrite(self, step: Rewrite) -> str:
        # The place is given back first: with one place a second session would wait for ever.
        self.close()
        begin = self._now_ms()
        session, written = self._opened(step.messages), None
        try:
            written = session.generate(
                "",
                max_new_tokens=step.max_new_tokens,
                timeout_seconds=step.timeout_seconds,
                cancel=self._world.cancel,
            )
        finally:
            session.close()
            self._record_written("rewrite", begin, _forwarded(session.usage), written)
        return written.text

    def _record_written(
        self, purpose: str, begin: int, used: int, written: Generation | None
    ) -> None:
        """A text and the tokens ``used`` for it; of one that failed all are booked as read."""
        tokens_out = written.tokens if written else 0
        self._record_model(
            purpose,
            begin,
            tokens_in=max(used - tokens_out, 0),
            tokens_out=tokens_out,
            finish=written.finish if written else "",
        )

    def _record_model(
        self, purpose: str, begin: int, *, tokens_in: int, tokens_out: int, finish: str = ""
    ) -> None:
        self.record(
            trace.ModelCall,
            ms=self._now_ms() - begin,
            model=self._world.engine.name,
            purpose=purpose,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            finish=finish,
        )

    def _note(self, decided: Decision | tuple[Grade, ...] | Rewording) -> None:
        match decided:
            case Decision(way, reasons):
                self.record(trace.Route, way=way.value, reasons=reasons)
            case Rewording(before, after):
                self.record(trace.Rewritten, before=before, after=after)
            case _:
                for grade in decided:
                    self._record_grade(grade)

    def _record_grade(self, grade: Grade) -> None:
        self.record(
            trace.Graded,
            question=grade.question.value,
            subject=grade.subject,
            margin=grade.margin,
            probability=grade.probability,
            verdict=grade.verdict.value,
            features=grade.features,
        )

    def _open_session(self) -> Session:
        if self._session is None:
            raise TypeError("the agent asked the model before it opened a prompt")
        return self._session

    def _remaining_seconds(self) -> float:
        ends_at = self._begin + self._settings.deadline_seconds
        return max(ends_at - self._world.clock(), 0.0)

    def _now_ms(self) -> int:
        return round((self._world.clock() - self._begin) * 1000)


def _forwarded(usage: Usage) -> int:
    return usage.prompt_tokens + usage.grade_tokens + usage.answer_tokens


def _outcome(reply: WebHits | WebPage | Refused | Failed) -> tuple[Verdict, str, str, str]:
    """Verdict, URL or destination, rule and detail of one outbound call."""
    match reply:
        case Refused():
            return Verdict.DENIED, reply.destination, reply.rule, reply.detail
        case Failed():
            return Verdict.ERROR, reply.destination, "", reply.message
        case WebHits():
            return Verdict.ALLOWED, reply.url, "", f"{len(reply.hits)} results"
        case WebPage():
            return Verdict.ALLOWED, reply.url, "", reply.document.title
