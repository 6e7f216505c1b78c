"""Where a corpus's sources lead: the URLs of its documents, one after the other.

A page is itself, a sitemap what it lists, a crawl what can be reached by links below its prefix.
All of it is fetched through the tenant's egress, one request at a time. A source that cannot be
read says so in its row and stops no other. Memory holds a few bytes per URL, never their pages.
"""

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

from proxyconfig.facade import EgressEndpoint
from ragapp.domain.destination import joined
from ragapp.domain.ends import blocked_text
from ragapp.domain.links import folder, is_below, links, may_be_document, may_be_page, normalised
from ragapp.domain.sitemap import MOST_BYTES, SitemapError, listed
from ragapp.domain.steps import Failed, Refused
from ragapp.models import Source, SourceKind
from ragapp.services import fetch
from tenants.models.scoped import tenant_scope

logger = logging.getLogger(__name__)

PURPOSE = "a source of this corpus"
USER_AGENT = "Sluice"
# Of one corpus, all of its sources together.
MOST_DOCUMENTS = 100_000
MOST_SITEMAPS = 1000
DEEPEST_INDEX = 3
# Of one page, repeated ones too; more is no navigation.
MOST_LINKS = 5000
# A robots.txt of thousands of rules takes milliseconds for each link.
LINKS_A_REPORT = 100
# Pages in a row: a site that is away is not asked for each of its pages.
MOST_UNREAD = 10
# A site may ask for more between two requests; then its crawl would never end.
LONGEST_PAUSE_SECONDS = 5.0
_SITEMAP = fetch.Limits(
    body_bytes=MOST_BYTES,
    total_seconds=45.0,
    content_types=frozenset(
        {
            "application/xml",
            "text/xml",
            "text/plain",
            "application/gzip",
            "application/x-gzip",
            "application/octet-stream",
            "application/rss+xml",
        }
    ),
)
_PAGE = fetch.Limits(
    body_bytes=5_000_000,
    content_types=frozenset({"text/html", "application/xhtml+xml"}),
)
_ROBOTS = fetch.Limits(
    body_bytes=512_000,  # What RFC 9309, 2.5 asks to read at least is 500 KiB.
    total_seconds=15.0,
    content_types=frozenset({"text/plain", "text/html", "application/octet-stream"}),
)
_GONE = frozenset({404, 410})


@dataclass(frozen=True, slots=True)
class Found:
    """A document's URL; or, with ``error``, why a source could not be read to its end.

    Attributes:
        url: Of a document; with ``error`` the source's own.
        error: A sentence. What the source led to earlier is not known to be gone then.
    """

    url: str
    source_id: int
    error: str = ""


Report = Callable[[str], None]


def discover(
    sources: Iterable[Source],
    *,
    endpoint: EgressEndpoint,
    tenant_slug: str,
    trace_id: str,
    report: Report,
) -> Iterator[Found]:
    """Every document of these sources, each URL once, as it is found.

    Each source's count and error are written to its row once it is done, in a transaction of their
    own and in the thread that iterates.

    Args:
        report: Is called with the URL that is looked at next, at least twice a minute; what it
            raises ends the discovery.
    """
    asked = _Asked(endpoint, tenant_slug, trace_id, report)
    seen: set[bytes] = set()
    for source in sources:
        count, error = 0, ""
        for found in _guarded(source, _of_source(source, asked), asked):
            if found.error:
                error = error or found.error
                continue
            if (key := _key(found.url)) in seen:
                continue
            if len(seen) >= MOST_DOCUMENTS:
                error = f"The corpus has {MOST_DOCUMENTS} documents; no more are taken."
                break
            seen.add(key)
            count += 1
            yield found
        if error:
            yield Found(source.url, source.pk, error)
        if source.kind != SourceKind.PAGE:
            _note(source, count, error)


def _of_source(source: Source, asked: "_Asked") -> Iterator[Found]:
    match source.kind:
        case SourceKind.SITEMAP:
            return _capped(source, _of_sitemap(source, asked))
        case SourceKind.CRAWL:
            return _capped(source, _Crawl(source, asked).run())
        case _:
            return iter([Found(source.url, source.pk)])


def _guarded(source: Source, found: Iterator[Found], asked: "_Asked") -> Iterator[Found]:
    """What the source leads to; a defect that it brings to light is its own error."""
    try:
        yield from found
    except Exception:
        if asked.is_over:
            raise
        logger.exception("Source %s could not be read.", source.pk)
        yield Found(
            source.url, source.pk, "A defect kept it from being read. See the worker's log."
        )


def _capped(source: Source, found: Iterator[Found]) -> Iterator[Found]:
    """As many as the source may add; errors are not counted."""
    count = 0
    for one in found:
        if not one.error and count == source.most_pages:
            return
        count += not one.error
        yield one


def _note(source: Source, count: int, error: str) -> None:
    with tenant_scope(source.tenant_id):
        Source.objects.filter(pk=source.pk).update(found_count=count, error=error)


def _key(url: str) -> bytes:
    return hashlib.blake2b(
        (normalised(url) or url).encode(errors="replace"), digest_size=8
    ).digest()


class _Asked:
    """The way out, and who is told what is looked at.

    Attributes:
        is_over: Who is told wants no more: what was raised then ends the discovery.
    """

    def __init__(
        self, endpoint: EgressEndpoint, tenant_slug: str, trace_id: str, report: Report
    ) -> None:
        self._endpoint = endpoint
        self._tenant_slug = tenant_slug
        self._trace_id = trace_id
        self._report = report
        self.is_over = False

    def report(self, url: str) -> None:
        """Tell what is looked at."""
        try:
            self._report(url)
        except Exception:
            self.is_over = True
            raise

    def get(self, url: str, limits: fetch.Limits) -> fetch.Fetched | Refused | Failed:
        """What is there."""
        self.report(url)
        return fetch.fetch(
            url,
            endpoint=self._endpoint,
            tenant=self._tenant_slug,
            trace_id=self._trace_id,
            purpose=PURPOSE,
            limits=limits,
        )

    def sentence(self, reply: Refused | Failed) -> str:
        """Why nothing is there, and what to do about it."""
        if isinstance(reply, Refused):
            return blocked_text(reply, self._tenant_slug)
        return f"{reply.destination} did not work: {reply.message}"


def _of_sitemap(source: Source, asked: _Asked) -> Iterator[Found]:
    """What a sitemap lists; those that an index names are read one by one."""
    waiting = deque([(source.url, 0)])
    seen = {source.url}
    while waiting:
        url, depth = waiting.popleft()
        reply = asked.get(url, _SITEMAP)
        if not isinstance(reply, fetch.Fetched):
            yield Found(url, source.pk, f"The sitemap {url} was not read. {asked.sentence(reply)}")
            continue
        try:
            for entry in listed(reply.content):
                target = normalised(joined(reply.url, entry.url)) if entry.url else ""
                if not entry.is_sitemap and target:
                    yield Found(target, source.pk)
                elif target and target not in seen and depth < DEEPEST_INDEX:
                    if len(seen) >= MOST_SITEMAPS:
                        raise SitemapError(f"It leads to more than {MOST_SITEMAPS} sitemaps.")
                    seen.add(target)
                    waiting.append((target, depth + 1))
        except SitemapError as error:
            yield Found(url, source.pk, f"The sitemap {url} was not read to its end. {error}")


class _Crawl:
    """One walk along links, breadth first, below one prefix."""

    def __init__(self, source: Source, asked: _Asked) -> None:
        self._source = source
        self._asked = asked
        self._prefix = normalised(source.prefix) if source.prefix else folder(source.url)
        self._asked_at = 0.0
        self._error = ""

    def run(self) -> Iterator[Found]:
        """Each page that exists, in the order of its distance from the first."""
        start = normalised(self._source.url)
        self._robots = self._read_robots(start)
        if not self._error and not self._robots.can_fetch(USER_AGENT, start):
            self._error = f"robots.txt of {urlsplit(start).netloc} does not let crawlers in here."
        if not self._error:
            yield from self._walk(start)
        if self._error:
            yield Found(self._source.url, self._source.pk, self._error)

    def _walk(self, start: str) -> Iterator[Found]:
        # Twice the cap: some of them turn out to be gone.
        most, seen, waiting = 2 * self._source.most_pages, {start}, deque([start])
        unread = 0
        while waiting and unread < MOST_UNREAD:
            url = waiting.popleft()
            reply = self._page(url)
            if isinstance(reply, Failed) and reply.status in _GONE and url != start:
                continue
            unread = unread + 1 if self._is_unread(url, reply) else 0
            if unread and url == start:
                return
            yield Found(url, self._source.pk)
            if not isinstance(reply, fetch.Fetched):
                continue
            for link in self._links(reply, url):
                if len(seen) >= most:
                    break
                if link not in seen and self._robots.can_fetch(USER_AGENT, link):
                    seen.add(link)
                    waiting.append(link)

    def _links(self, page: fetch.Fetched, url: str) -> Iterator[str]:
        """Where it goes on: below the prefix and to something to read."""
        came_from = normalised(page.url)
        if came_from != url and not is_below(came_from, self._prefix):
            return  # Redirected out of it.
        for number, link in enumerate(islice(links(page.content, page.url), MOST_LINKS), start=1):
            if number % LINKS_A_REPORT == 0:
                self._asked.report(url)
            if is_below(link, self._prefix) and may_be_document(link):
                yield link

    def _page(self, url: str) -> fetch.Fetched | Refused | Failed | None:
        """The page for its links; None for what has none."""
        if not may_be_page(url):
            return None
        # An integer, however long: no float holds all that a site may ask for.
        pause = min(int(self._robots.crawl_delay(USER_AGENT) or 0), LONGEST_PAUSE_SECONDS)
        time.sleep(max(0.0, self._asked_at + pause - time.monotonic()))
        reply = self._asked.get(url, _PAGE)
        self._asked_at = time.monotonic()
        return reply

    def _is_unread(self, url: str, reply: fetch.Fetched | Refused | Failed | None) -> bool:
        """Whether the page may hide others: said, so that those are not taken for gone."""
        if reply is None or isinstance(reply, fetch.Fetched):
            return False
        if isinstance(reply, Failed) and reply.status == 200:
            return False  # It is there, but no HTML.
        said = f"The links of {url} are not known. {self._asked.sentence(reply)}"
        self._error = self._error or said
        return True

    def _read_robots(self, start: str) -> RobotFileParser:
        """What the site's robots.txt says; without one, all is open (RFC 9309, 2.3.1.3)."""
        parts = urlsplit(start)
        reply = self._asked.get(f"{parts.scheme}://{parts.netloc}/robots.txt", _ROBOTS)
        match reply:
            case fetch.Fetched():
                try:
                    return _rules(reply.content.decode("utf-8", "replace").splitlines())
                except ValueError:
                    why = "It has a rule that cannot be understood."
            case Failed() if 400 <= reply.status < 500:
                return _rules([])
            case _:
                why = self._asked.sentence(reply)
        self._error = f"robots.txt could not be read. {why}"
        return _rules(["User-agent: *", "Disallow: /"])


def _rules(lines: Iterable[str]) -> RobotFileParser:
    """What the lines of a robots.txt say.

    Raises:
        ValueError: a path or a number in them is none.
    """
    robots = RobotFileParser()
    robots.parse(lines)
    return robots
