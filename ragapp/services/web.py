"""The web route: a search service, pages and their passages, all through the tenant's egress."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.conf import settings

from proxyconfig.facade import EgressEndpoint
from ragapp.domain.chunk import Chunk, Sizes, split
from ragapp.domain.engine import Embedder
from ragapp.domain.fuse import Candidate, Fused, fuse
from ragapp.domain.lexical import bm25
from ragapp.domain.passage import Passage, Source
from ragapp.domain.steps import Failed, Refused, WebHit, WebHits, WebPage
from ragapp.extract import ExtractionError, extract
from ragapp.extract import Limits as ExtractionLimits
from ragapp.services import fetch

# A reader waits: less time and smaller pages than in training.
_SEARCH = fetch.Limits(body_bytes=2_000_000, total_seconds=15.0, content_types=fetch.JSON_TYPES)
_PAGE = fetch.Limits(body_bytes=5_000_000, total_seconds=15.0)
_EXTRACTION = ExtractionLimits(input_bytes=5_000_000, result_bytes=5_000_000, wall_seconds=20.0)
# Passages whose vectors are computed while the reader waits; keywords choose among more.
MOST_EMBEDDED = 24
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
SEARCH_PURPOSE = "the web search service"


@dataclass(frozen=True, slots=True)
class WayOut:
    """How one tenant's run gets out, and under which trace id the proxy logs it."""

    tenant: str
    trace_id: str
    endpoint: EgressEndpoint


def search(query: str, limit: int, *, way: WayOut) -> WebHits | Refused | Failed:
    """Ask the search service, which speaks SearXNG's JSON protocol."""
    asked = urlencode({"q": query, "format": "json"})
    url = f"{settings.SEARCH_URL.rstrip('/')}/search?{asked}"
    reply = _fetch(url, way, purpose=SEARCH_PURPOSE, limits=_SEARCH)
    if not isinstance(reply, fetch.Fetched):
        return reply
    hits = _hits(reply.content)
    if hits is None:
        return Failed(fetch.destination(url), "It did not answer in SearXNG's JSON protocol.")
    return WebHits(tuple(hits[:limit]), url)


def page(url: str, *, way: WayOut) -> WebPage | Refused | Failed:
    """Fetch and extract one page."""
    reply = _fetch(url, way, purpose="a page that the search found", limits=_PAGE)
    if not isinstance(reply, fetch.Fetched):
        return reply
    try:
        document = extract(
            reply.content, content_type=reply.content_type, url=reply.url, limits=_EXTRACTION
        )
    except ExtractionError as error:
        return Failed(fetch.destination(url), error.message)
    return WebPage(reply.url, document)


def rank(query: str, pages: Sequence[WebPage], limit: int, *, embedder: Embedder) -> list[Passage]:
    """The best passages of the pages, best first: the same two scores as in the corpora, fused."""
    sizes = Sizes(limit=embedder.max_tokens)
    found = [(page, chunk) for page in pages for chunk in split(page.document, embedder, sizes)]
    if not found:
        return []
    lexical = bm25(query, [chunk.indexed_text for _, chunk in found])
    # A stable order: among equals those that stand first in the page, and in the search's order.
    chosen = sorted(range(len(found)), key=lambda number: -lexical[number])[:MOST_EMBEDDED]
    vectors = embedder.embed_documents([found[number][1].indexed_text for number in chosen])
    dense = vectors @ embedder.embed_queries([query])[0]
    candidates = [
        Candidate(number, float(score), lexical[number])
        for number, score in zip(chosen, dense, strict=True)
    ]
    return [_passage(*found[hit.key], hit) for hit in fuse(candidates)[:limit]]


def _passage(page: WebPage, chunk: Chunk, hit: Fused) -> Passage:
    return Passage(
        key=f"{page.url}#{chunk.start}",
        source=Source.WEB,
        title=page.document.title,
        text=chunk.text,
        start=chunk.start,
        end=chunk.end,
        section=chunk.section,
        page=chunk.page,
        url=page.url,
        score=hit.score,
        dense=hit.dense,
        lexical=hit.lexical,
        dense_rank=hit.dense_rank,
        lexical_rank=hit.lexical_rank,
    )


def _fetch(
    url: str, way: WayOut, *, purpose: str, limits: fetch.Limits
) -> fetch.Fetched | Refused | Failed:
    return fetch.fetch(
        url,
        endpoint=way.endpoint,
        tenant=way.tenant,
        trace_id=way.trace_id,
        purpose=purpose,
        limits=limits,
    )


def _hits(content: bytes) -> list[WebHit] | None:
    """The results with a web URL, in the service's order; None where this is no such answer."""
    try:
        answer = json.loads(content)
        results = answer["results"]
        return [
            WebHit(
                # A strange URL is refused when it is fetched; here it must only be storable.
                _storable(found["url"]),
                _storable(found.get("title", "")),
                _storable(found.get("content", "")),
            )
            for found in results
            if str(found["url"]).startswith(("http://", "https://"))
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _storable(found: object) -> str:
    """Text that the run's row can hold: a page chose it, and PostgreSQL takes no NUL in JSON."""
    return _UNSTORABLE.sub("\ufffd", str(found))
