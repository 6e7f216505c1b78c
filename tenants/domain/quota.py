"""Quotas: what can be limited, over which window, and what a refusal says. Pure.

A rate is counted in fixed windows that begin at whole minutes and days of UTC. A stock has no
window: what is given back can be taken again.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Resource(StrEnum):
    """What a tenant, or one of its API tokens, can be given a limit of."""

    REQUESTS_PER_MINUTE = "requests-per-minute"
    REQUESTS_PER_DAY = "requests-per-day"
    TOKENS_PER_DAY = "tokens-per-day"
    CONCURRENT_RUNS = "concurrent-runs"
    CORPUS_BYTES = "corpus-bytes"
    CHANGE_SETS = "change-sets"


@dataclass(frozen=True, slots=True)
class Kind:
    """How one resource is counted.

    Attributes:
        label: for people, as the head of a sentence.
        window: of a rate; None for a stock.
        status: HTTP status of a refusal: 429 where waiting helps, 409 where something must go.
        per_token: whether single API tokens can be limited too.
        next_step: what to do when it is spent.
    """

    label: str
    window: timedelta | None
    status: int
    per_token: bool
    next_step: str


_ASK = "ask the platform's administrators for a higher limit"

KINDS: dict[Resource, Kind] = {
    Resource.REQUESTS_PER_MINUTE: Kind(
        "Requests per minute", timedelta(minutes=1), 429, True, f"Wait, or {_ASK}."
    ),
    Resource.REQUESTS_PER_DAY: Kind(
        "Requests per day", timedelta(days=1), 429, True, f"Wait, or {_ASK}."
    ),
    Resource.TOKENS_PER_DAY: Kind(
        "Tokens per day", timedelta(days=1), 429, True, f"Wait, or {_ASK}."
    ),
    Resource.CONCURRENT_RUNS: Kind(
        "Questions at once", None, 429, True, f"Try again when one has been answered, or {_ASK}."
    ),
    Resource.CORPUS_BYTES: Kind(
        "Bytes of documents", None, 409, False, f"Delete documents that nobody needs, or {_ASK}."
    ),
    Resource.CHANGE_SETS: Kind(
        "Plans that wait for approval",
        None,
        409,
        False,
        f"Have somebody decide on one that waits, withdraw one, or {_ASK}.",
    ),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a tenant or one of its tokens stands with one resource.

    Attributes:
        limit: None for no limit.
        is_default: nobody set the limit; it comes from the settings.
        resets_at: when a rate's window ends; None for a stock.
    """

    resource: Resource
    used: int
    limit: int | None
    is_default: bool
    resets_at: datetime | None

    @property
    def label(self) -> str:
        """The resource, for people."""
        return KINDS[self.resource].label

    @property
    def remaining(self) -> int | None:
        """What is left; None without a limit."""
        return None if self.limit is None else max(0, self.limit - self.used)

    @property
    def ratio(self) -> float:
        """Used of the limit, 0 to 1; 0 without a limit."""
        if self.limit is None:
            return 0.0
        return min(1.0, self.used / self.limit) if self.limit else 1.0


def window_start(resource: Resource, now: datetime) -> datetime:
    """When the window began that ``now`` lies in; for a stock always the same moment."""
    window = KINDS[resource].window
    return _EPOCH if window is None else now - (now - _EPOCH) % window


def resets_at(resource: Resource, now: datetime) -> datetime | None:
    """When the window ends that ``now`` lies in; None for a stock."""
    window = KINDS[resource].window
    return None if window is None else window_start(resource, now) + window
