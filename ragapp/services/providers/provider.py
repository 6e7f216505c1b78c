"""What a provider is, and what its answers have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ragapp.domain.steps import WebHit
from ragapp.domain.storable import storable

JSON_TYPES = frozenset({"application/json"})


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What is sent to a search service: all of it, beside the proxy's own fields.

    Attributes:
        headers: May hold the key; never shown or logged.
        body: Posted where there is one; never holds the key, for the trace shows it.
        content_types: What the answer may be.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = b""
    content_types: frozenset[str] = JSON_TYPES

    @property
    def told(self) -> str:
        """What the trace shows: the address, and what was posted to it."""
        return f"{self.url} {self.body.decode(errors='replace')}".strip()


class Provider(Protocol):
    """A web search service."""

    @property
    def address(self) -> str:
        """Where it is by default; empty where only an operator can know."""
        ...

    @property
    def needs_key(self) -> bool:
        """Whether it answers nobody without a key."""
        ...

    def request(self, address: str, query: str, count: int, *, key: str) -> SearchRequest:
        """What to ask it; the query is all that leaves."""
        ...

    def hits(self, content: bytes) -> list[WebHit] | None:
        """What it found, best first; None where this is none of its answers."""
        ...


def hit(url: object, title: object, snippet: object) -> WebHit:
    """A result as it may be stored: a page chose it, and PostgreSQL takes no NUL in JSON."""
    # A strange URL is refused when it is fetched; here it must only be storable.
    return WebHit(*(storable(str(part or "")) for part in (url, title, snippet)))


def is_web(url: object) -> bool:
    """Whether a result has an address that can be fetched at all."""
    return str(url).startswith(("http://", "https://"))
