"""Web search services with their own protocols: Brave's, Tavily's and DuckDuckGo's HTML page.

Each answers with the hits that it was given, refuses a wrong key as its service does, and remembers
what was asked in ``asked``. Sources: Brave's "Web Search API" and Tavily's "Tavily Search"
references, and the page that ``ddgs`` reads.
"""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.wire.server import Reply, Request, as_json

KEY = "test-key"


@dataclass(frozen=True, slots=True)
class Found:
    """One result."""

    url: str
    title: str
    text: str


@dataclass(slots=True)
class Brave:
    """``GET /res/v1/web/search``."""

    found: Sequence[Found]
    asked: list[str] = field(default_factory=list)

    def __call__(self, request: Request) -> Reply:
        if request.path != "/res/v1/web/search" or request.method != "GET":
            return as_json({"type": "ErrorResponse"}, status=404)
        if request.headers.get("x-subscription-token") != KEY:
            return as_json({"type": "ErrorResponse", "error": {"status": 422}}, status=422)
        self.asked.append(request.query["q"])
        results = [{"url": f.url, "title": f.title, "description": f.text} for f in self.found]
        web = {"web": {"type": "search", "results": results}} if results else {}
        return as_json({"type": "search", "query": {"original": request.query["q"]}, **web})


@dataclass(slots=True)
class Tavily:
    """``POST /search``."""

    found: Sequence[Found]
    asked: list[str] = field(default_factory=list)

    def __call__(self, request: Request) -> Reply:
        if request.path != "/search" or request.method != "POST":
            return as_json({"detail": {"error": "Not found"}}, status=404)
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return as_json({"detail": {"error": "Unauthorized: missing API key."}}, status=401)
        asked = json.loads(request.body)
        self.asked.append(asked["query"])
        results = [
            {"url": f.url, "title": f.title, "content": f.text, "score": 0.9} for f in self.found
        ]
        return as_json({"query": asked["query"], "results": results, "images": []})


@dataclass(slots=True)
class Duckduckgo:
    """``POST /html/``."""

    found: Sequence[Found]
    asked: list[str] = field(default_factory=list)

    def __call__(self, request: Request) -> Reply:
        if request.path != "/html/" or request.method != "POST":
            return Reply(404, b"")
        self.asked.append(request.query["q"])
        shown = "".join(
            f'<div class="links_main result__body"><h2><a href="{f.url}">{html.escape(f.title)}'
            f'</a></h2><a class="result__snippet" href="{f.url}">{html.escape(f.text)}</a></div>'
            for f in self.found
        )
        return Reply(200, f"<!doctype html><html><body>{shown}</body></html>".encode())
