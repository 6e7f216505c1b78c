"""The typed entries of a run's trace, in the order in which things happened.

The run's row keeps them as JSON (``to_json``); the trace page reads them back (``from_json``).
``at_ms`` is always milliseconds since the run began.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from ragapp.domain.passage import Passage


@dataclass(frozen=True, slots=True)
class Ingress:
    """What came in: who asked what, through which address and rule.

    ``corpus`` is the name of the one to look in; empty for all, and in entries before it was kept.
    """

    kind: ClassVar[str] = "ingress"
    at_ms: int
    question: str
    channel: str
    source: str = ""
    rule: str = ""
    corpus: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """Which way was chosen (``local`` or ``web``) and why."""

    kind: ClassVar[str] = "route"
    at_ms: int
    way: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """One passage of a search with both ranks and all scores; ranks count from 1.

    ``document_id`` is None for a page of the web, and in entries before it was kept.
    """

    key: str
    place: str
    url: str
    chunk_id: int | None
    score: float
    dense: float | None
    lexical: float | None
    dense_rank: int | None
    lexical_rank: int | None
    document_id: int | None = None

    @classmethod
    def of(cls, passage: Passage) -> "Hit":
        """The scores of ``passage``, without its text."""
        return cls(
            key=passage.key,
            place=passage.place,
            url=passage.url,
            chunk_id=passage.chunk_id,
            score=passage.score,
            dense=passage.dense,
            lexical=passage.lexical,
            dense_rank=passage.dense_rank,
            lexical_rank=passage.lexical_rank,
            document_id=passage.document_id,
        )


@dataclass(frozen=True, slots=True)
class Searched:
    """A search of the corpora (``local``) or among fetched pages (``web``), best first."""

    kind: ClassVar[str] = "search"
    at_ms: int
    ms: int
    source: str
    query: str
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Graded:
    """One grade by the model itself.

    ``subject`` is the passage's number or 0 for the answer; ``probability`` is None as long as
    the model has no calibration, and then the grade decides nothing. ``features`` is all that was
    known: a later calibration is fitted on it.
    """

    kind: ClassVar[str] = "grade"
    at_ms: int
    question: str
    subject: int
    margin: float
    probability: float | None
    verdict: str
    features: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of a model: ``prompt``, ``grade``, ``answer`` or ``rewrite``."""

    kind: ClassVar[str] = "model"
    at_ms: int
    ms: int
    model: str
    purpose: str
    tokens_in: int
    tokens_out: int
    finish: str = ""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The question was put in other words for a second search."""

    kind: ClassVar[str] = "rewrite"
    at_ms: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Outbound:
    """One thing asked of the outside, as the agent saw it; the proxy's own line is a Connection.

    ``verdict`` is ``Allowed``, ``Denied`` or ``Error``; ``rule`` is set where one denied.
    """

    kind: ClassVar[str] = "outbound"
    at_ms: int
    ms: int
    purpose: str
    url: str
    verdict: str
    rule: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the run ended, in the words of ``AnswerEnd``, and why."""

    kind: ClassVar[str] = "end"
    at_ms: int
    end: str
    reason: str


Entry = Ingress | Route | Searched | Graded | ModelCall | Rewritten | Outbound | Ended

ENTRY_BY_KIND: Mapping[str, type[Entry]] = {
    entry.kind: entry
    for entry in (Ingress, Route, Searched, Graded, ModelCall, Rewritten, Outbound, Ended)
}


def to_json(entry: Entry) -> dict[str, Any]:
    """The entry as a JSON object; ``kind`` says which one it is."""
    return {"kind": entry.kind, **asdict(entry)}


def from_json(stored: Mapping[str, Any]) -> Entry:
    """The entry that ``to_json`` wrote; unknown keys of newer versions are ignored.

    Raises:
        ValueError: The kind is not known.
    """
    entry = ENTRY_BY_KIND.get(stored["kind"])
    if entry is None:
        raise ValueError(f"unknown trace entry {stored['kind']!r}")
    known = {known.name for known in fields(entry)}
    values = {name: value for name, value in stored.items() if name in known}
    if "reasons" in values:
        values["reasons"] = tuple(values["reasons"])
    if "hits" in values:
        values["hits"] = tuple(Hit(**hit) for hit in values["hits"])
    return entry(**values)
