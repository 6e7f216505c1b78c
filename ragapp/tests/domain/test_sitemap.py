"""Sitemaps, as sites write them and as somebody hostile would."""

import gzip
import subprocess
import sys

import pytest

from ragapp.domain import sitemap
from ragapp.domain.sitemap import Listed, SitemapError, listed

NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"


MEASURED = """
import sys, tracemalloc
from ragapp.domain.sitemap import listed
body = sys.stdin.buffer.read()
tracemalloc.start()
print(sum(1 for _ in listed(body)), tracemalloc.get_traced_memory()[1])
"""


def urlset(*urls: str) -> bytes:
    rows = "".join(f"<url><loc> {url} </loc><priority>1</priority></url>" for url in urls)
    return f'<?xml version="1.0"?><urlset xmlns="{NAMESPACE}">{rows}</urlset>'.encode()


def test_locations_are_listed_in_order():
    assert list(listed(urlset("https://a.example/1", "https://a.example/2"))) == [
        Listed("https://a.example/1"),
        Listed("https://a.example/2"),
    ]


def test_index_lists_sitemaps():
    index = b"<sitemapindex><sitemap><loc>https://a.example/s.xml</loc></sitemap></sitemapindex>"

    assert list(listed(index)) == [Listed("https://a.example/s.xml", is_sitemap=True)]


def test_locations_of_pictures_are_not_pages():
    body = (
        b'<urlset xmlns:i="http://www.google.com/schemas/sitemap-image/1.1"><url>'
        b"<loc>https://a.example/1</loc><i:image><i:loc>https://a.example/p.png</i:loc></i:image>"
        b"</url></urlset>"
    )

    assert [entry.url for entry in listed(body)] == ["https://a.example/1"]


def test_gzip_is_unpacked():
    assert len(list(listed(gzip.compress(urlset("https://a.example/1"))))) == 1


def test_text_has_a_url_a_line():
    body = "\ufeffhttps://a.example/1\r\n\r\nhttps://a.example/2".encode()

    assert [entry.url for entry in listed(body)] == ["https://a.example/1", "https://a.example/2"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b" ", "It is empty"),
        (b"<urlset><url>", "well-formed"),
        (b"<html><body>Not found</body></html>", "Its root is <html>"),
        (b"Not found", "neither XML nor text"),
        (gzip.compress(b"<urlset>" + b" " * 99_999)[:60], "ends too early"),
        (b"\x1f\x8bnonsense", "gzip data is broken"),
        (
            b'<!DOCTYPE urlset [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
            b"<urlset><url><loc>&x;</loc></url></urlset>",
            "document type definition",
        ),
        (
            b'<!DOCTYPE u [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
            b"<urlset><url><loc>https://a.example/&b;</loc></url></urlset>",
            "document type definition",
        ),
    ],
)
def test_broken_or_hostile_sitemap_is_an_error_in_words(content, words):
    with pytest.raises(SitemapError, match=words):
        list(listed(content))


def test_bomb_is_let_be_at_its_bound(monkeypatch):
    monkeypatch.setattr(sitemap, "MOST_BYTES", 1_000_000)
    bomb = gzip.compress(b"<urlset>" + b" " * 30_000_000)

    with pytest.raises(SitemapError, match="more than 1000000 bytes"):
        list(listed(bomb))


def test_more_urls_than_the_protocol_allows_end_in_an_error_after_them(monkeypatch):
    monkeypatch.setattr(sitemap, "MOST_URLS", 2)
    entries = listed(urlset(*(f"https://a.example/{n}" for n in range(3))))

    assert [next(entries).url, next(entries).url] == ["https://a.example/0", "https://a.example/1"]
    with pytest.raises(SitemapError, match="more than 2 URLs"):
        next(entries)


def test_memory_stays_flat():
    body = gzip.compress(urlset(*(f"https://a.example/{n}" for n in range(40_000))))

    # In a process of its own: threads of this session's other tests allocate meanwhile.
    measured = subprocess.run(
        [sys.executable, "-c", MEASURED], input=body, capture_output=True, check=True
    ).stdout

    count, peak = map(int, measured.split())
    assert (count, peak < 2_000_000) == (40_000, True)
