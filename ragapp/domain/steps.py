"""The steps that the agent asks for, and what it gets back: all of its contact with the world.

``agent.py`` yields these, ``drive.py`` carries them out. ``Step[R]`` names its reply's type, so
that ``reply = yield from ask(step)`` is typed.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ragapp.domain.document import Document
from ragapp.domain.engine import Generation, Message
from ragapp.domain.grade import Grade
from ragapp.domain.passage import Passage
from ragapp.domain.route import Decision, Lexicon

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Refused:
    """The egress proxy said no.

    Attributes:
        destination: ``host:port`` that was asked for.
        rule: Id of the rule that decided, such as ``acme/default-deny``.
        tenant: Slug of the tenant whose policy it is.
        purpose: What it was wanted for, in words: ``the web search service``.
        detail: The proxy's own sentence; may be empty.
        private: The destination is a private address: only a platform administrator can grant it.
    """

    destination: str
    rule: str
    tenant: str
    purpose: str = ""
    detail: str = ""
    private: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """It was allowed, but did not work: the far side is down, slow or sent nonsense.

    Attributes:
        status: Of the far side's own answer, which was not taken; 0 where none came.
    """

    destination: str
    message: str
    status: int = 0


@dataclass(frozen=True, slots=True)
class WebHit:
    """One result of a web search."""

    url: str
    title: str
    snippet: str = ""


@dataclass(frozen=True, slots=True)
class WebHits:
    """What a web search found, best first; may be empty.

    Attributes:
        url: Of the search service, as asked, the query included.
    """

    hits: tuple[WebHit, ...]
    url: str = ""


@dataclass(frozen=True, slots=True)
class Rewording:
    """A question before and after it was put in other words."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class WebPage:
    """A fetched and extracted page."""

    url: str
    document: Document


class Step(Generic[R]):
    """Something only the world outside can do; ``R`` is what it answers."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class LookUp(Step[Lexicon]):
    """Look up the question's words in the chosen corpora."""

    question: str


@dataclass(frozen=True, slots=True)
class Note(Step[None]):
    """Put on record what was decided, and why."""

    decided: Decision | tuple[Grade, ...] | Rewording


@dataclass(frozen=True, slots=True)
class Search(Step[tuple[Passage, ...]]):
    """Hybrid search in the chosen corpora, best first."""

    query: str
    limit: int


@dataclass(frozen=True, slots=True)
class WebSearch(Step["WebHits | Refused | Failed"]):
    """Ask the tenant's web search service."""

    query: str
    limit: int


@dataclass(frozen=True, slots=True)
class Fetch(Step["tuple[WebPage | Refused | Failed, ...]"]):
    """Fetch and extract pages; one reply per URL, in order."""

    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rank(Step[tuple[Passage, ...]]):
    """Split fetched pages into passages and rank them for the query, best first."""

    query: str
    pages: tuple[WebPage, ...] = field(repr=False)
    limit: int


@dataclass(frozen=True, slots=True)
class OpenPrompt(Step[None]):
    """Have the model read the prompt; an earlier one is closed."""

    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class AskGrades(Step[tuple[float, ...]]):
    """Closed questions on the open prompt; replies log-odds of yes, in order."""

    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Generate(Step[Generation]):
    """Generate from the open prompt, streaming to the reader."""

    instruction: str
    max_new_tokens: int
    stop_at: str
    timeout_seconds: float
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rewrite(Step[str]):
    """Put the question in other words for a second search."""

    messages: tuple[Message, ...]
    max_new_tokens: int
    timeout_seconds: float


def ask(step: Step[R]) -> Generator[Step[Any], Any, R]:
    """Yield one step and give its reply with the right type."""
    reply: R = yield step
    return reply
