"""A run's trace as the page shows it: rows on a time axis, tables by kind, and sums.

Reads what ``ragapp.domain.trace`` stored; decides nothing. An entry of a newer version that this
one does not know is left out rather than breaking the page.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from django.utils.translation import gettext as _

from ragapp.domain.trace import (
    ENTRY_BY_KIND,
    Ended,
    Entry,
    Graded,
    Ingress,
    ModelCall,
    Outbound,
    Rewritten,
    Route,
    Searched,
    from_json,
)
from ragapp.services.steps import describe

E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the timeline; ``start_ms`` and ``ms`` place its bar."""

    kind: str
    icon: str
    tone: str
    label: str
    detail: str
    start_ms: int
    ms: int

    @property
    def is_moment(self) -> bool:
        """True for what took no time of its own."""
        return self.ms == 0


class Look(NamedTuple):
    """Icon, and the colour of the bar."""

    icon: str
    tone: str


class Mark(NamedTuple):
    """A line of the timeline's legend."""

    tone: str
    label: str


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the way that a reader waits for; ``kinds`` are the entries that end it."""

    label: str
    icon: str
    kinds: str
    is_done: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A model call with its rate."""

    purpose: str
    tokens_in: int
    tokens_out: int
    ms: int
    finish: str

    @property
    def rate(self) -> float | None:
        """Tokens written in a second; None where none were."""
        is_writing = self.purpose in {"answer", "rewrite"}
        return self.tokens_out * 1000 / self.ms if is_writing and self.ms else None


class Trace:
    """Everything that the trace page shows of a run's stored entries."""

    def __init__(self, stored: Iterable[Mapping[str, Any]]) -> None:
        self.entries: Sequence[Entry] = [
            from_json(entry) for entry in stored if entry["kind"] in ENTRY_BY_KIND
        ]

    @cached_property
    def rows(self) -> list[Row]:
        """The timeline, in the order of the trace."""
        return [row(entry) for entry in self.entries]

    @property
    def total_ms(self) -> int:
        """The axis's end; never 0, so that a bar can be placed."""
        return max([entry.at_ms for entry in self.entries], default=0) or 1

    @property
    def legend(self) -> Iterator[Mark]:
        """Which colour is what, of those that occur."""
        names = {
            "ingress": _("in"),
            "search": _("search"),
            "grade": _("grade"),
            "model": _("model"),
            "connection": _("out"),
            "denied": _("refused"),
        }
        present = {line.tone for line in self.rows}
        return (Mark(tone, label) for tone, label in names.items() if tone in present)

    @property
    def ingress(self) -> Ingress | None:
        """How the question came in."""
        return next(iter(self._of(Ingress)), None)

    @property
    def routes(self) -> list[Route]:
        """Each choice of a way, with its reasons."""
        return self._of(Route)

    @property
    def searches(self) -> list[Searched]:
        """Each search with its hits."""
        return self._of(Searched)

    @property
    def grades(self) -> list[Graded]:
        """Each grade by the model."""
        return self._of(Graded)

    @property
    def rewrites(self) -> list[Rewritten]:
        """Each rewording of the question."""
        return self._of(Rewritten)

    @property
    def outbound(self) -> list[Outbound]:
        """What was asked of the outside, as the agent saw it."""
        return self._of(Outbound)

    @cached_property
    def model_calls(self) -> list[Call]:
        """Each model call."""
        return [
            Call(call.purpose, call.tokens_in, call.tokens_out, call.ms, call.finish)
            for call in self._of(ModelCall)
        ]

    @property
    def model(self) -> str:
        """The names of the models that were called."""
        return ", ".join(dict.fromkeys(call.model for call in self._of(ModelCall)))

    @property
    def hit_count(self) -> int:
        """Passages found by all searches, each once."""
        return len({hit.key for search in self.searches for hit in search.hits})

    @property
    def tokens_in(self) -> int:
        """Tokens that the model read."""
        return sum(call.tokens_in for call in self.model_calls)

    @property
    def tokens_out(self) -> int:
        """Tokens that the model wrote."""
        return sum(call.tokens_out for call in self.model_calls)

    @property
    def model_ms(self) -> int:
        """Time spent in the model."""
        return sum(call.ms for call in self.model_calls)

    def _of(self, kind: type[E]) -> list[E]:
        return [entry for entry in self.entries if isinstance(entry, kind)]


def phases(stored: Iterable[Mapping[str, Any]]) -> list[Phase]:
    """Search, read, grade, answer: how far a run has come."""
    seen = {str(entry.get("purpose") or entry["kind"]) for entry in stored}
    known = (
        (_("Search"), "search", "search"),
        (_("Read"), "document", "prompt"),
        (_("Grade"), "grade", "grade"),
        (_("Answer"), "ask", "answer"),
    )
    return [Phase(label, icon, kinds, kinds in seen) for label, icon, kinds in known]


def row(entry: Entry) -> Row:
    """The entry's line of the timeline; ``at_ms`` is when it ended."""
    ms = getattr(entry, "ms", 0)
    look, words = _look(entry), describe(entry)
    return Row(
        kind="connection" if isinstance(entry, Outbound) else entry.kind,
        icon=look.icon,
        tone=look.tone,
        label=words.title,
        detail=words.detail,
        start_ms=max(entry.at_ms - ms, 0),
        ms=ms,
    )


def _look(entry: Entry) -> Look:
    if isinstance(entry, Outbound):
        is_open = entry.verdict == "Allowed"
        return Look("out", "connection") if is_open else Look("deny", "denied")
    if isinstance(entry, Ended):
        return Look({"Found": "check-circle", "Blocked": "deny"}.get(entry.end, "search"), "route")
    return {
        "ingress": Look("in", "ingress"),
        "route": Look("route", "route"),
        "search": Look("search", "search"),
        "grade": Look("grade", "grade"),
        "model": Look("model", "model"),
        "rewrite": Look("edit", "route"),
    }[entry.kind]
