"""Discovery over real sockets, through the real egress proxy."""

import gzip

import pytest

from proxyconfig.facade import egress_endpoint
from ragapp.models import Corpus, Source, SourceKind
from ragapp.services import discover as discovery
from ragapp.services.discover import discover
from ragapp.tests.outside import site
from tenants.models import tenant_scope
from tenants.services.operations import OperationCancelledError
from tests.wire.server import Reply

XML = "application/xml"
GONE = Reply(404, b"gone", "text/plain")


def page(*targets: str) -> Reply:
    anchors = "".join(f'<a href="{target}">x</a>' for target in targets)
    return Reply(200, f"<!doctype html><main>{anchors}</main>".encode())


def urlset(*urls: str) -> bytes:
    rows = "".join(f"<url><loc>{url}</loc></url>" for url in urls)
    return f"<urlset>{rows}</urlset>".encode()


class Outside:
    """A site whose pages a test sets, and a corpus with sources on it."""

    def __init__(self, server, replies, tenant, corpus) -> None:
        self.server, self.replies, self.tenant, self.corpus = server, replies, tenant, corpus
        self.url = server.url
        self.looked_at: list[str] = []
        self.report = self.looked_at.append

    def source(self, path: str, kind: SourceKind, **values) -> Source:
        with tenant_scope(self.tenant.pk):
            return Source.objects.create(
                tenant=self.tenant, corpus=self.corpus, url=self.url + path, kind=kind, **values
            )

    def found(self, *sources: Source):
        return list(
            discover(
                sources,
                endpoint=egress_endpoint(self.tenant),
                tenant_slug=self.tenant.slug,
                trace_id="d" * 32,
                report=self.report,
            )
        )

    def paths(self, *sources: Source) -> list[str]:
        return [one.url.removeprefix(self.url) for one in self.found(*sources) if not one.error]

    def errors(self, *sources: Source) -> list[str]:
        return [one.error for one in self.found(*sources) if one.error]

    def asked(self) -> list[str]:
        return [request.path for request in self.server.seen()]


@pytest.fixture
def outside(alice, egress):
    egress.allow(alice.tenant)
    replies: dict[str, Reply] = {}
    with alice.acting():
        corpus = Corpus.objects.create(tenant=alice.tenant, name="handbook")
    with site(lambda request: replies.get(request.path, GONE)) as server:
        yield Outside(server, replies, alice.tenant, corpus)


def test_page_is_itself_and_costs_no_request(outside):
    source = outside.source("/a#b", SourceKind.PAGE)

    assert outside.paths(source) == ["/a#b"]
    assert outside.asked() == []


def test_sitemap_index_leads_to_the_pages_of_its_sitemaps(outside):
    outside.replies["/sitemap.xml"] = Reply(
        200,
        f"<sitemapindex><sitemap><loc>{outside.url}/one.xml.gz</loc></sitemap>"
        f"<sitemap><loc>{outside.url}/sitemap.xml</loc></sitemap></sitemapindex>".encode(),
        XML,
    )
    packed = gzip.compress(urlset(f"{outside.url}/a#x", f"{outside.url}/b", f"{outside.url}/a"))
    outside.replies["/one.xml.gz"] = Reply(200, packed, "application/gzip")
    source = outside.source("/sitemap.xml", SourceKind.SITEMAP)

    assert outside.paths(source) == ["/a", "/b"]
    assert outside.looked_at == [f"{outside.url}/sitemap.xml", f"{outside.url}/one.xml.gz"]
    with tenant_scope(outside.tenant.pk):
        source.refresh_from_db()
    assert (source.found_count, source.error) == (2, "")


def test_source_that_cannot_be_read_says_so_and_stops_no_other(outside, egress):
    outside.replies["/broken.xml"] = Reply(200, b"<urlset><url><loc>", XML)
    outside.replies["/good.xml"] = Reply(200, urlset(f"{outside.url}/a"), XML)
    sources = [
        outside.source("/broken.xml", SourceKind.SITEMAP),
        outside.source("/none.xml", SourceKind.SITEMAP),
        outside.source("/good.xml", SourceKind.SITEMAP),
    ]

    found = outside.found(*sources)

    assert [(one.source_id, bool(one.error)) for one in found] == [
        (sources[0].pk, True),
        (sources[1].pk, True),
        (sources[2].pk, False),
    ]
    assert "not read to its end. It is no well-formed XML" in found[0].error
    assert "It answered with status 404." in found[1].error
    with tenant_scope(outside.tenant.pk):
        sources[1].refresh_from_db()
    assert sources[1].error == found[1].error


def test_refused_sitemap_names_the_rule_and_what_to_do(outside, egress):
    egress.deny(outside.tenant)

    (error,) = outside.errors(outside.source("/sitemap.xml", SourceKind.SITEMAP))

    assert "acme/default-deny" in error


def test_sitemap_adds_as_many_as_its_source_allows(outside):
    body = urlset(*(f"{outside.url}/{n}" for n in range(9)))
    outside.replies["/sitemap.xml"] = Reply(200, body, XML)

    assert outside.paths(outside.source("/sitemap.xml", SourceKind.SITEMAP, most_pages=3)) == [
        "/0",
        "/1",
        "/2",
    ]


def test_crawl_goes_breadth_first_below_its_prefix_each_page_once(outside):
    outside.replies |= {
        "/docs/": page("a", "b#part", "/docs/a?x=1", "/blog/", "logo.png", "guide.pdf"),
        "/docs/a": page("deep/c", "/docs/"),
        "/docs/b": page("../docs/a", "gone"),
        "/docs/deep/c": page("http://127.30.9.9/docs/"),
    }

    paths = outside.paths(outside.source("/docs/", SourceKind.CRAWL))

    assert paths == [
        "/docs/",
        "/docs/a",
        "/docs/b",
        "/docs/a?x=1",
        "/docs/guide.pdf",
        "/docs/deep/c",
    ]
    assert "/docs/guide.pdf" not in outside.asked()
    assert "/blog/" not in outside.asked()


def test_crawl_stays_below_a_prefix_of_its_own(outside):
    outside.replies |= {"/docs/index": page("v1/a", "v2/a"), "/docs/v2/a": page()}
    source = outside.source(
        "/docs/index", SourceKind.CRAWL, prefix=f"{outside.url}/docs/v2/", most_pages=10
    )

    assert outside.paths(source) == ["/docs/index", "/docs/v2/a"]


def test_crawl_ends_at_its_cap(outside):
    outside.replies |= {f"/{n}": page(f"/{n + 1}", f"/{n + 2}") for n in range(50)}
    source = outside.source("/0", SourceKind.CRAWL, most_pages=4)

    assert outside.paths(source) == ["/0", "/1", "/2", "/3"]
    assert len(outside.asked()) < 12


def test_page_of_very_many_links_is_read_to_a_limit_and_reports_meanwhile(outside, monkeypatch):
    monkeypatch.setattr(discovery, "MOST_LINKS", 30)
    monkeypatch.setattr(discovery, "LINKS_A_REPORT", 10)
    outside.replies["/"] = page(*(f"/{number}.pdf" for number in range(50)))
    source = outside.source("/", SourceKind.CRAWL)

    assert len(outside.paths(source)) == 1 + 30
    assert outside.looked_at.count(f"{outside.url}/") == 1 + 3


def test_crawl_honours_robots_txt(outside):
    rules = b"User-agent: *\nDisallow: /private/\n\nUser-agent: Sluice\nDisallow: /docs/secret\n"
    outside.replies |= {
        "/robots.txt": Reply(200, rules, "text/plain"),
        "/docs/": page("secret", "secret/x", "open", "/private/x"),
        "/docs/open": page(),
    }

    assert outside.paths(outside.source("/docs/", SourceKind.CRAWL)) == ["/docs/", "/docs/open"]


def test_crawl_of_a_site_that_forbids_it_or_is_broken_is_an_error(outside):
    outside.replies["/robots.txt"] = Reply(200, b"User-agent: *\nDisallow: /\n", "text/plain")
    source = outside.source("/docs/", SourceKind.CRAWL)

    (forbidden,) = outside.errors(source)
    outside.replies["/robots.txt"] = Reply(503, b"", "text/plain")
    (broken,) = outside.errors(source)

    assert "does not let crawlers in" in forbidden
    assert "robots.txt could not be read" in broken
    assert set(outside.asked()) == {"/robots.txt"}


@pytest.mark.parametrize("rule", ["Disallow: //[", "Crawl-delay: \u00b2", "Request-rate: \u00b2/1"])
def test_robots_txt_that_cannot_be_understood_keeps_crawlers_out(outside, rule):
    body = f"User-agent: *\n{rule}\n".encode()
    outside.replies["/robots.txt"] = Reply(200, body, "text/plain")
    outside.replies["/sitemap.xml"] = Reply(200, urlset(f"{outside.url}/a"), XML)
    crawl = outside.source("/docs/", SourceKind.CRAWL)
    sitemap = outside.source("/sitemap.xml", SourceKind.SITEMAP)

    (error, found) = outside.found(crawl, sitemap)

    assert error.error == ("robots.txt could not be read. It has a rule that cannot be understood.")
    assert found.url == f"{outside.url}/a"
    assert outside.asked() == ["/robots.txt", "/sitemap.xml"]


def test_pause_that_a_site_asks_for_is_bounded_however_long(outside, monkeypatch):
    monkeypatch.setattr(discovery, "LONGEST_PAUSE_SECONDS", 0.01)
    body = f"User-agent: *\nCrawl-delay: 1{'0' * 400}\n".encode()
    outside.replies |= {
        "/robots.txt": Reply(200, body, "text/plain"),
        "/docs/": page("a"),
        "/docs/a": page(),
    }

    found = outside.found(outside.source("/docs/", SourceKind.CRAWL))

    assert [(one.url.removeprefix(outside.url), one.error) for one in found] == [
        ("/docs/", ""),
        ("/docs/a", ""),
    ]


def test_address_in_a_sitemap_that_is_none_is_left_out(outside):
    body = urlset("http://[bad", f"{outside.url}/a")
    outside.replies["/sitemap.xml"] = Reply(200, body, XML)

    found = outside.found(outside.source("/sitemap.xml", SourceKind.SITEMAP))

    assert [(one.url.removeprefix(outside.url), one.error) for one in found] == [("/a", "")]


def test_defect_that_a_source_brings_to_light_is_its_own_error(outside, monkeypatch, caplog):
    outside.replies["/sitemap.xml"] = Reply(200, urlset(f"{outside.url}/a"), XML)
    outside.replies["/docs/"] = page("a")
    # lxml fails as nobody foresaw.
    monkeypatch.setattr("lxml.html.document_fromstring", lambda *args, **kwargs: 1 / 0)
    crawl = outside.source("/docs/", SourceKind.CRAWL)
    sitemap = outside.source("/sitemap.xml", SourceKind.SITEMAP)

    found = outside.found(crawl, sitemap)

    assert [one.url.removeprefix(outside.url) for one in found if not one.error] == ["/docs/", "/a"]
    (error,) = [one for one in found if one.error]
    assert (error.source_id, "See the worker's log." in error.error) == (crawl.pk, True)
    (record,) = [one for one in caplog.records if one.name == discovery.__name__]
    assert record.exc_info[0] is ZeroDivisionError
    with tenant_scope(outside.tenant.pk):
        crawl.refresh_from_db()
    assert crawl.error == error.error


@pytest.mark.parametrize("kind", [SourceKind.SITEMAP, SourceKind.CRAWL])
def test_what_a_report_raises_ends_the_discovery(outside, monkeypatch, kind):
    def cancelled(url: str) -> None:
        raise OperationCancelledError("Somebody asked for it.")

    monkeypatch.setattr(outside, "report", cancelled)

    with pytest.raises(OperationCancelledError):
        outside.found(outside.source("/docs/", kind))
    assert outside.asked() == []


def test_page_that_fails_is_still_a_document_and_the_source_says_so(outside):
    outside.replies |= {
        "/docs/": page("a", "b"),
        "/docs/a": Reply(500, b"", "text/plain"),
        "/docs/b": page(),
    }
    source = outside.source("/docs/", SourceKind.CRAWL)

    found = outside.found(source)

    assert [one.url.removeprefix(outside.url) for one in found[:-1]] == [
        "/docs/",
        "/docs/a",
        "/docs/b",
    ]
    assert f"The links of {outside.url}/docs/a are not known." in found[-1].error


def test_site_that_is_away_is_not_asked_for_each_of_its_pages(outside):
    outside.replies |= {"/docs/": page(*(str(n) for n in range(50)))}
    outside.replies |= {f"/docs/{n}": Reply(500, b"", "text/plain") for n in range(50)}

    outside.found(outside.source("/docs/", SourceKind.CRAWL))

    assert len(outside.asked()) == 2 + discovery.MOST_UNREAD


def test_documents_of_two_sources_are_found_once_and_bounded_together(outside, monkeypatch):
    monkeypatch.setattr(discovery, "MOST_DOCUMENTS", 3)
    outside.replies["/sitemap.xml"] = Reply(
        200, urlset(*(f"{outside.url}/{n}" for n in range(9))), XML
    )
    single = outside.source("/1", SourceKind.PAGE)
    whole = outside.source("/sitemap.xml", SourceKind.SITEMAP)

    found = outside.found(single, whole)

    assert [one.url.removeprefix(outside.url) for one in found] == [
        "/1",
        "/0",
        "/2",
        "/sitemap.xml",
    ]
    assert found[-1].error == "The corpus has 3 documents; no more are taken."
