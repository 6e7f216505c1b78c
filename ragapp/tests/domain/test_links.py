"""Addresses in pages: one way to write them, and what is below a prefix."""

import pytest

from ragapp.domain.links import folder, is_below, links, may_be_document, normalised

HERE = "https://docs.example.org/guide/start.html"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTPS://Docs.Example.org:443/A#part", "https://docs.example.org/A"),
        ("http://example.org", "http://example.org/"),
        ("http://example.org:8080/a b?q=ü", "http://example.org:8080/a%20b?q=%C3%BC"),
        ("https://example.org/a%20b", "https://example.org/a%20b"),
        ("http://[2001:DB8::1]/x", "http://[2001:db8::1]/x"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("mailto:a@example.org", ""),
        ("javascript:alert(1)", ""),
        ("https://user:secret@example.org/", ""),
        ("https://example.org\\@other.example/", ""),
        ("https://example.org:99999/", ""),
        ("https://[::1/", ""),
        ("https://example.org/" + "a" * 2000, ""),
    ],
)
def test_url_is_written_in_one_way_or_refused(url, expected):
    assert normalised(url) == expected
    assert normalised(normalised(url)) == expected


@pytest.mark.parametrize(
    ("url", "is_inside"),
    [
        ("https://a.example/docs", True),
        ("https://a.example/docs/x/y?z=1", True),
        ("https://a.example/docs-of-others", False),
        ("https://a.example/docs/../secret", False),
        ("https://a.example/docs/%2e%2E/secret", False),
        ("http://a.example/docs/x", False),
        ("https://a.example:8443/docs/x", False),
        ("https://a.example.evil.example/docs/x", False),
        ("https://a.example/docs/..%2fadmin", False),
        ("https://a.example/docs/%2E%2e%5Cadmin", False),
    ],
)
def test_below_means_same_site_and_whole_path_segments(url, is_inside):
    assert is_below(url, "https://a.example/docs") is is_inside


def test_folder_is_the_path_up_to_its_last_slash():
    assert folder(HERE) == "https://docs.example.org/guide/"
    assert folder("https://docs.example.org") == "https://docs.example.org/"


def test_links_are_joined_normalised_and_in_order():
    page = b"""<!doctype html><a href="next.html#top">n</a> <a href=" /up ">u</a>
      <a href="https://other.example/x" rel="external nofollow">o</a><area href="?page=2">
      <a href="mailto:a@b.example">m</a><a name="no">x</a><img src="p.png">"""

    assert list(links(page, HERE)) == [
        "https://docs.example.org/guide/next.html",
        "https://docs.example.org/up",
        "https://docs.example.org/guide/start.html?page=2",
    ]


def test_base_moves_relative_links():
    page = b'<base href="/v2/"><a href="a">a</a>'

    assert list(links(page, HERE)) == ["https://docs.example.org/v2/a"]


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"\x00\xff\xfe<",
        b"<a href='http://[::1/'>x</a>",
        b"<?xml version='1.0' encoding='no-such'?><p>",
        b"<div>" * 100_000,
        b'<meta name="ROBOTS" content="NOINDEX, NOFOLLOW"><a href="a">a</a>',
    ],
)
def test_broken_page_or_one_that_robots_may_not_follow_has_no_links(page):
    assert list(links(page, HERE)) == []


def test_pictures_and_programs_are_no_documents():
    assert not may_be_document("https://a.example/logo.PNG?v=1")
    assert may_be_document("https://a.example/guide.pdf")
    assert may_be_document("https://a.example/v1.2/")
