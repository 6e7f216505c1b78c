"""The outside world of the story: a search service, a document site, and who came to them."""

import json
from dataclasses import dataclass
from pathlib import Path

import httpx2


@dataclass(frozen=True, slots=True)
class World:
    """Addresses as ``host:port``, and the file of requests."""

    search: str
    site: str
    log: Path

    def answers(self) -> bool:
        """True once both servers accept connections."""
        try:
            for place in (self.search, self.site):
                httpx2.get(f"http://{place}/_seen", trust_env=False, timeout=5)
        except httpx2.HTTPError:
            return False
        return True

    def visits(self) -> list[dict[str, object]]:
        """Requests so far, but for the tests' own looks."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if not str(line["path"]).startswith("/_seen")]

    def has_seen(self, path: str) -> bool:
        """True once somebody asked for ``path``."""
        return any(visit["path"] == path for visit in self.visits())

    def clients(self) -> set[str]:
        """The source addresses that the far side has seen."""
        return {str(visit["peer"]) for visit in self.visits()}
