"""The search service: SearXNG's JSON protocol over a folder of pages, ranked by keywords (BM25).

    python -m tests.wire.search --address 127.30.0.10:8081 --corpus docs

As with SearXNG, ``format=json`` must be among the formats that the operator allows, or the answer
is 403; a missing ``q`` or a page number that is none is a 400. Source: SearXNG's "Search API" page
and the keys of its own JSON answers.
"""

import html
import math
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tests.wire import docsite, pages, server

ADDRESS = "127.30.0.10:8081"
ENGINE = "sluice docs"
PAGE_SIZE = 10
SNIPPET_LETTERS = 260
_TEXT = "text/plain; charset=utf-8"
# A word in the title says more about a page than one in its body.
TITLE_WEIGHT = 4
HEADING_WEIGHT = 2
K1, B = 1.2, 0.75
_STOP_WORDS = """
a an and are as at be by do does for from how i in is it of on or that the this to use was what when
where which who why with you
"""
_STOP = frozenset(_STOP_WORDS.split())


@dataclass(frozen=True, slots=True)
class Found:
    """One page with its score, above 0."""

    page: pages.Page
    score: float


def words(text: str) -> list[str]:
    """Lower-case words without stop words; a plural's last s is dropped."""
    found = re.findall(r"[a-z0-9]+", text.lower())
    return [_singular(word) for word in found if word not in _STOP]


def _singular(word: str) -> str:
    is_plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if is_plural else word


class Index:
    """Pages ranked by BM25; title and headings count several times."""

    def __init__(self, root: Path) -> None:
        # A table of contents has every word and answers nothing.
        found = (page for page in pages.read(root).values() if not page.path.endswith("index.html"))
        self._pages = list(found)
        self._counts = [Counter(_weighted(page)) for page in self._pages]
        self._lengths = [counts.total() for counts in self._counts]
        self._mean = sum(self._lengths) / max(len(self._lengths), 1) or 1.0
        self._frequency = Counter(word for counts in self._counts for word in counts)

    def search(self, query: str) -> list[Found]:
        """All pages that hold a word of ``query``, best first; ties by path."""
        asked = set(words(query))
        scores = [self._score(number, asked) for number in range(len(self._pages))]
        found = [
            Found(page, score) for page, score in zip(self._pages, scores, strict=True) if score
        ]
        return sorted(found, key=lambda entry: (-entry.score, entry.page.path))

    def _score(self, number: int, asked: set[str]) -> float:
        counts = self._counts[number]
        norm = K1 * (1 - B + B * self._lengths[number] / self._mean)
        return sum(
            self._weight(word) * counts[word] * (K1 + 1) / (counts[word] + norm)
            for word in asked
            if word in counts
        )

    def _weight(self, word: str) -> float:
        held = self._frequency[word]
        return math.log(1 + (len(self._pages) - held + 0.5) / (held + 0.5))


def _weighted(page: pages.Page) -> list[str]:
    headings = " ".join(heading.text for heading in page.headings)
    return words(page.title) * TITLE_WEIGHT + words(headings) * HEADING_WEIGHT + words(page.text)


def snippet(page: pages.Page, query: str) -> str:
    """The block below a heading that shares most words with ``query``, cut to a few lines."""
    asked = set(words(query))
    headings = {heading.text for heading in page.headings}
    blocks = [block for block in page.text.split("\n") if block not in headings] or [page.title]
    best = max(blocks, key=lambda block: len(asked.intersection(words(block))))
    return best if len(best) <= SNIPPET_LETTERS else f"{best[:SNIPPET_LETTERS].rstrip()} ..."


class Search:
    """Answers ``/search`` over one index."""

    def __init__(self, index: Index, *, site: str, formats: Sequence[str]) -> None:
        self._index = index
        self._site = site.rstrip("/")
        self._formats = frozenset(formats)

    def __call__(self, request: server.Request) -> server.Reply:
        """SearXNG's paths: the start page, a health check, and the search."""
        if request.path == "/healthz":
            return server.Reply(200, b"OK", _TEXT)
        if request.path == "/":
            body = '<h1>Search</h1>\n<form action="/search"><input name="q"></form>\n'
            return server.Reply(200, pages.document("Search", body, site=ENGINE))
        if request.path != "/search":
            return server.Reply(404, b"Not Found\n", _TEXT)
        return self._search(request)

    def _search(self, request: server.Request) -> server.Reply:
        form = request.query.get("format", "html")
        if form not in ("html", "json") or form not in self._formats:
            return server.Reply(403, b"Forbidden\n", _TEXT)
        query = request.query.get("q", "").strip()
        if not query:
            return _bad(form, "No query")
        number = request.query.get("pageno", "1")
        if not number.isdigit() or int(number) < 1:
            return _bad(form, "Invalid value for parameter pageno")
        found = self._index.search(query)
        first = (int(number) - 1) * PAGE_SIZE
        shown = found[first : first + PAGE_SIZE]
        if form == "html":
            return self._html(query, shown)
        return server.as_json(
            {
                "query": query,
                "number_of_results": len(found),
                "results": [
                    self._result(query, entry, first + place)
                    for place, entry in enumerate(shown, start=1)
                ],
                "answers": [],
                "corrections": [],
                "infoboxes": [],
                "suggestions": [],
                "unresponsive_engines": [],
            }
        )

    def _result(self, query: str, found: Found, place: int) -> dict[str, object]:
        return {
            "url": f"{self._site}/{found.page.path}",
            "title": found.page.title,
            "content": snippet(found.page, query),
            "engine": ENGINE,
            "engines": [ENGINE],
            "positions": [place],
            "category": "general",
            "template": "default.html",
            "score": round(found.score, 4),
        }

    def _html(self, query: str, shown: Sequence[Found]) -> server.Reply:
        rows = "".join(
            f'<li><a href="{self._site}/{found.page.path}">{html.escape(found.page.title)}</a>'
            f"<p>{html.escape(snippet(found.page, query))}</p></li>\n"
            for found in shown
        )
        body = f"<h1>{html.escape(query)}</h1>\n<ol>\n{rows}</ol>\n"
        return server.Reply(200, pages.document(query, body, site=ENGINE))


def _bad(form: str, message: str) -> server.Reply:
    if form == "json":
        return server.as_json({"error": message}, status=400)
    return server.Reply(400, f"{message}\n".encode(), _TEXT)


def build(
    address: str,
    corpus: Path,
    *,
    site: str = f"http://{docsite.ADDRESS}",
    formats: Sequence[str] = ("html", "json"),
    log: Sequence[TextIO] = (),
) -> server.WireServer:
    """The search service's server, bound and not yet serving.

    Raises:
        AddressError: The address is not loopback or is taken, or ``corpus`` is no folder.
    """
    if not corpus.is_dir():
        raise server.AddressError(
            f"{corpus} is not a folder; --corpus names the folder of the pages."
        )
    search = Search(Index(corpus), site=site, formats=formats)
    return server.WireServer(address, search, name="search", log=log)


def main(given: Sequence[str] | None = None) -> int:
    """Serve until stopped; the exit status."""
    parser = server.arguments("Speak SearXNG's JSON protocol over a folder of pages, on loopback.")
    parser.add_argument("--address", default=ADDRESS)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument(
        "--site", default=f"http://{docsite.ADDRESS}", help="where the pages are served"
    )
    parser.add_argument("--formats", default="html,json", help="allowed formats, comma-separated")
    options = parser.parse_args(given)
    return server.run(
        lambda log: [
            build(
                options.address,
                options.corpus,
                site=options.site,
                formats=options.formats.split(","),
                log=log,
            )
        ],
        log=options.log,
    )


if __name__ == "__main__":
    sys.exit(main())
