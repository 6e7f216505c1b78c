"""Brave Search: its own index, with a key. Source: its "Web Search API" reference."""

import json
from urllib.parse import urlencode

from ragapp.domain.steps import WebHit
from ragapp.services.providers.provider import SearchRequest, hit, is_web

MOST = 20


class Brave:
    """``GET /res/v1/web/search`` with the key in ``X-Subscription-Token``."""

    address = "https://api.search.brave.com"
    needs_key = True

    def request(self, address: str, query: str, count: int, *, key: str) -> SearchRequest:
        """At most 400 characters and 20 results are taken there."""
        asked = urlencode({"q": query[:400], "count": min(count, MOST), "text_decorations": "0"})
        headers = {"X-Subscription-Token": key, "Accept": "application/json"}
        return SearchRequest(f"{address.rstrip('/')}/res/v1/web/search?{asked}", headers)

    def hits(self, content: bytes) -> list[WebHit] | None:
        """``web.results``; a query without any has no ``web`` at all."""
        try:
            answer = json.loads(content)
            if answer["type"] != "search":
                return None
            return [
                hit(found["url"], found.get("title"), found.get("description"))
                for found in (answer.get("web") or {}).get("results", [])
                if is_web(found["url"])
            ]
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
