"""Tavily: search made for agents, with a key. Source: its "Tavily Search" reference."""

import json

from ragapp.domain.steps import WebHit
from ragapp.services.providers.provider import SearchRequest, hit, is_web

MOST = 20


class Tavily:
    """``POST /search`` with the key as a bearer token."""

    address = "https://api.tavily.com"
    needs_key = True

    def request(self, address: str, query: str, count: int, *, key: str) -> SearchRequest:
        """Neither an answer nor pages are asked for: pages come through the tenant's egress."""
        asked = {"query": query[:400], "max_results": min(count, MOST), "search_depth": "basic"}
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        return SearchRequest(f"{address.rstrip('/')}/search", headers, json.dumps(asked).encode())

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
