"""SearXNG: a metasearch server of one's own, the default in a closed cluster.

Its operator must have ``json`` among ``search.formats``, or it answers 403. Source: SearXNG's
"Search API" page.
"""

import json
from urllib.parse import urlencode

from ragapp.domain.steps import WebHit
from ragapp.services.providers.provider import SearchRequest, hit, is_web


class SearXNG:
    """``GET /search?q=&format=json``; it has no count, so the first ones are taken."""

    address = ""
    needs_key = False

    def request(self, address: str, query: str, count: int, *, key: str) -> SearchRequest:
        """The key, where there is one, as a bearer token for a proxy in front of it."""
        asked = urlencode({"q": query, "format": "json"})
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return SearchRequest(f"{address.rstrip('/')}/search?{asked}", headers)

    def hits(self, content: bytes) -> list[WebHit] | None:
        """Its ``results`` in its own order."""
        try:
            return [
                hit(found["url"], found.get("title"), found.get("content"))
                for found in json.loads(content)["results"]
                if is_web(found["url"])
            ]
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
