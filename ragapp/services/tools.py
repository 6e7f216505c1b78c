"""What a run may do with the world: the agent's ``Tools``, bound to one tenant's run."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ragapp.domain.passage import Passage
from ragapp.domain.reader import ANYBODY, Reader
from ragapp.domain.route import Lexicon
from ragapp.domain.steps import Failed, Refused, WebHits, WebPage
from ragapp.services import search, serving, web


@dataclass(frozen=True, slots=True)
class RunTools:
    """Searches the run's corpora, and goes out through its tenant's egress only.

    Attributes:
        weight: Share of the dense score; the corpora's own when None.
        reader: Whose documents it may find.
        rerank: Whether a cross-encoder orders the best anew, where one is set up.
    """

    tenant_id: int
    corpus_ids: tuple[int, ...]
    way: web.WayOut
    weight: float | None = None
    reader: Reader = ANYBODY
    rerank: bool = False

    def look_up(self, question: str) -> Lexicon:
        """Document frequencies of the question's lexemes in the chosen corpora."""
        return search.look_up(self.tenant_id, self.corpus_ids, question, reader=self.reader)

    def search(self, query: str, limit: int) -> Sequence[Passage]:
        """Hybrid search of the chosen corpora."""
        return search.search(
            self.tenant_id,
            self.corpus_ids,
            query,
            k=limit,
            weight=self.weight,
            reader=self.reader,
            rerank=self.rerank,
        )

    def web_search(self, query: str, limit: int) -> WebHits | Refused | Failed:
        """Ask the search service."""
        return web.search(query, limit, way=self.way)

    def fetch(self, urls: Sequence[str]) -> Sequence[WebPage | Refused | Failed]:
        """Fetch and extract pages, all at once: each is a process of its own for a moment."""
        if not urls:
            return []
        with ThreadPoolExecutor(len(urls), thread_name_prefix="page") as pool:
            return list(pool.map(lambda url: web.page(url, way=self.way), urls))

    def rank(self, query: str, pages: Sequence[WebPage], limit: int) -> Sequence[Passage]:
        """The best passages of fetched pages."""
        return web.rank(query, pages, limit, embedder=serving.embedder())
