"""Runs the agent against the world: carries out its steps, times them and keeps the trace.

The world comes in as ports: ``Tools`` (searches and fetches, implemented by the services), an
``Engine`` and a ``Listener`` that stores the trace and streams the text.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from ragapp.domain.agent import Answer, Settings
from ragapp.domain.engine import Engine
from ragapp.domain.passage import Passage
from ragapp.domain.steps import Failed, Lexicon, Refused, WebHits, WebPage
from ragapp.domain.trace import Entry
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
        """Split pages and rank their passages, best first; numbered by nobody yet."""
        ...


class Listener(Protocol):
    """Who follows a run. Called in the run's thread; exceptions end the run."""

    def record(self, entry: Entry) -> None:
        """Something happened."""
        ...

    def text(self, piece: str) -> None:
        """The answer grew by ``piece``."""
        ...

    def restart(self) -> None:
        """The answer begins anew; what was streamed is void."""
        ...


def run(
    question: str,
    *,
    settings: Settings,
    tools: Tools,
    engine: Engine,
    listener: Listener,
    delimiter: str,
    clock: Callable[[], float],
    cancel: threading.Event,
) -> Answer:
    """Answer ``question``; every step leaves a trace entry at the listener.

    Args:
        delimiter: Random per request; stands around each passage in the prompt.
        clock: Monotonic seconds.
        cancel: Set from any thread; the model stops within one token.

    Raises:
        RunCancelledError: ``cancel`` was set.
        TransientError: The engine is overloaded or gone.
    """
    raise NotImplementedError
