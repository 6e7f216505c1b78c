"""The web route: a search service, pages and their passages, all through the tenant's egress."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from proxyconfig.facade import EgressEndpoint
from ragapp.domain.chunk import Chunk, Sizes, split
from ragapp.domain.destination import destination
from ragapp.domain.engine import Embedder
from ragapp.domain.fuse import Candidate, Fused, fuse
from ragapp.domain.lexical import bm25
from ragapp.domain.passage import Passage, Source
from ragapp.domain.steps import Failed, Refused, WebHits, WebPage
from ragapp.extract import ExtractionError, extract
from ragapp.extract import Limits as ExtractionLimits
from ragapp.services import fetch
from ragapp.services.fetch import Posting
from ragapp.services.providers import PROVIDERS
from ragapp.services.web_search import Service, platform_service

# A reader waits: less time and smaller pages than in training.
_SEARCH = fetch.Limits(body_bytes=2_000_000, total_seconds=15.0, content_types=fetch.JSON_TYPES)
_PAGE = fetch.Limits(body_bytes=5_000_000, total_seconds=15.0)
_EXTRACTION = ExtractionLimits(input_bytes=5_000_000, result_bytes=5_000_000, wall_seconds=20.0)
# Passages whose vectors are computed while the reader waits; keywords choose among more.
MOST_EMBEDDED = 24
SEARCH_PURPOSE = "the web search service"


@dataclass(frozen=True, slots=True)
class WayOut:
    """How one tenant's run gets out, and under which trace id the proxy logs it.

    Attributes:
        service: The search service to ask; the platform's when None.
    """

    tenant: str
    trace_id: str
    endpoint: EgressEndpoint
    service: Service | None = None


def search(query: str, limit: int, *, way: WayOut) -> WebHits | Refused | Failed:
    """Ask the search service that the tenant chose; the query is all that leaves."""
    service = way.service or platform_service()
    provider = PROVIDERS[service.provider]
    asked = provider.request(service.address, query, limit, key=service.key)
    reply = fetch.fetch(
        asked.url,
        endpoint=way.endpoint,
        tenant=way.tenant,
        trace_id=way.trace_id,
        purpose=SEARCH_PURPOSE,
        limits=replace(_SEARCH, content_types=asked.content_types),
        posting=Posting(asked.headers, asked.body) if asked.headers or asked.body else None,
    )
    if not isinstance(reply, fetch.Fetched):
        return reply
    hits = provider.hits(reply.content)
    if hits is None:
        message = f"It did not answer as {service.provider} does. Check which service it is."
        return Failed(destination(asked.url), message)
    return WebHits(tuple(hits[:limit]), asked.told)


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
        return Failed(destination(url), error.message)
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
