"""The document site: pages, links, index and sitemap of a folder."""

import httpx2
import pytest

from tests.wire import docsite, server


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "snat.md").write_text(
        "# SNAT pools\n\nSee [rules](../rules.md#what-matches) & <b>more</b>.\n\n"
        "## Why one\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    )
    (tmp_path / "rules.html").write_text("<html><body><h1>Rules</h1><p>Old page.</p></body></html>")
    (tmp_path / "dot.png").write_bytes(b"\x89PNG")
    (tmp_path / ".hidden.md").write_text("# Hidden\n")
    return tmp_path


@pytest.fixture
def site(folder):
    with (
        server.serving(docsite.build("127.0.0.1:0", folder)) as running,
        httpx2.Client(base_url=running.url, timeout=60.0) as client,
    ):
        yield client


def test_a_markdown_file_is_a_page_with_headings_and_tables(site):
    page = site.get("/reference/snat.html").text

    assert '<h1 id="snat-pools">SNAT pools</h1>' in page
    assert '<h2 id="why-one">Why one</h2>' in page
    assert "<td>2</td>" in page
    assert "<title>SNAT pools - " in page


def test_links_between_markdown_files_lead_to_pages(site):
    assert 'href="../rules.html#what-matches"' in site.get("/reference/snat.html").text


def test_html_in_markdown_is_shown_and_never_run(site):
    assert "&lt;b&gt;more&lt;/b&gt;" in site.get("/reference/snat.html").text


def test_an_html_file_keeps_its_body(site):
    assert "<h1>Rules</h1><p>Old page.</p>" in site.get("/rules.html").text


def test_the_index_links_every_page_by_its_title(site):
    index = site.get("/").text

    assert '<a href="/reference/snat.html">SNAT pools</a>' in index
    assert '<a href="/rules.html">Rules</a>' in index
    assert "Hidden" not in index


def test_the_sitemap_names_every_page_with_its_host(site):
    sitemap = site.get("/sitemap.xml").text

    assert sitemap.count("<loc>") == 2
    assert f"<loc>{site.base_url}/reference/snat.html</loc>".replace("//ref", "/ref") in sitemap


def test_an_edit_shows_at_the_next_request(site, folder):
    (folder / "reference" / "snat.md").write_text("# Pools\n")

    assert "<h1" in site.get("/reference/snat.html").text
    assert "Pools</h1>" in site.get("/reference/snat.html").text


def test_images_are_served(site):
    reply = site.get("/dot.png")

    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "image/png")


@pytest.mark.parametrize(
    "path", ["/nothing.html", "/../rules.html", "/%2e%2e/rules.html", "/.hidden.html", "/reference"]
)
def test_what_is_no_page_is_a_404(site, path):
    assert site.get(path if "%" in path else path.replace("..", "%2e%2e")).status_code == 404


def test_a_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(server.AddressError, match="is not a folder"):
        docsite.build("127.0.0.1:0", tmp_path / "missing")
