"""Sitemaps and crawls, one a line."""

import pytest

from ragapp.domain.source_lines import MOST_PAGES, Wanted, as_text, read

SITE = "https://a.example/"


def test_lines_are_read_and_written_back():
    text = f"sitemap {SITE}s.xml 500\n\ncrawl {SITE}docs/\ncrawl {SITE} 20 below {SITE}v2/"

    wanted, complaints = read(text)

    assert wanted == [
        Wanted(f"{SITE}s.xml", "sitemap", most_pages=500),
        Wanted(f"{SITE}docs/", "crawl", most_pages=MOST_PAGES),
        Wanted(SITE, "crawl", f"{SITE}v2/", 20),
    ]
    assert complaints == []
    assert read(as_text(wanted)) == (wanted, [])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (SITE, "neither sitemap nor crawl"),
        ("page " + SITE, "neither sitemap nor crawl"),
        ("crawl", "URL is missing"),
        (f"crawl {SITE} 0", "from 1 to 10000"),
        (f"crawl {SITE} 99999999999999", "from 1 to 10000"),
        (f"sitemap {SITE} below {SITE}", "is not understood"),
        (f"crawl {SITE} 5 deep", "'deep' is not understood"),
    ],
)
def test_line_that_is_none_is_complained_about_by_its_number(line, words):
    wanted, (complaint,) = read(f"sitemap {SITE}\n{line}")

    assert len(wanted) == 1
    assert complaint.startswith("Line 2: ")
    assert words in complaint
