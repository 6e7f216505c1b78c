"""The search service: SearXNG's JSON protocol, its refusals, and the ranking."""

import httpx2
import pytest

from tests.wire import search, server


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "snat.md").write_text(
        "# SNAT pool\n\nA SNAT pool is a set of source addresses.\n\nOther words stand here.\n"
    )
    (tmp_path / "vlan.md").write_text("# VLAN\n\nA VLAN has a tag. A pool is mentioned once.\n")
    (tmp_path / "other.md").write_text("# Other\n\nNothing about addresses.\n")
    return tmp_path


@pytest.fixture
def service(folder):
    build = search.build("127.0.0.1:0", folder, site="http://127.30.0.20:8082/")
    with (
        server.serving(build) as running,
        httpx2.Client(base_url=running.url, timeout=60.0) as client,
    ):
        yield client


def test_the_best_page_comes_first_with_its_url_and_the_matching_block(service):
    found = service.get(
        "/search", params={"q": "What is a SNAT pool for?", "format": "json"}
    ).json()

    assert found["query"] == "What is a SNAT pool for?"
    assert found["number_of_results"] == 2
    assert [result["url"] for result in found["results"]] == [
        "http://127.30.0.20:8082/snat.html",
        "http://127.30.0.20:8082/vlan.html",
    ]
    best = found["results"][0]
    assert best["title"] == "SNAT pool"
    assert best["content"] == "A SNAT pool is a set of source addresses."
    assert best["engine"] == "sluice docs"
    assert best["score"] > found["results"][1]["score"] > 0
    assert found["unresponsive_engines"] == []


def test_a_question_that_no_page_knows_finds_nothing(service):
    found = service.get("/search", params={"q": "zebra", "format": "json"}).json()

    assert (found["number_of_results"], found["results"]) == (0, [])


def test_a_plural_finds_the_singular(service):
    found = service.get("/search", params={"q": "vlans", "format": "json"}).json()

    assert [result["title"] for result in found["results"]] == ["VLAN"]


def test_the_second_page_goes_on_where_the_first_ended(tmp_path):
    for number in range(12):
        (tmp_path / f"p{number:02}.md").write_text(f"# Page {number}\n\nsluice\n")
    with server.serving(search.build("127.0.0.1:0", tmp_path)) as running:
        ask = {"q": "sluice", "format": "json"}
        first = httpx2.get(f"{running.url}/search", params=ask, timeout=60.0).json()
        second = httpx2.get(
            f"{running.url}/search", params={**ask, "pageno": "2"}, timeout=60.0
        ).json()

    assert [len(page["results"]) for page in (first, second)] == [10, 2]
    assert [result["positions"] for result in second["results"]] == [[11], [12]]


def test_json_is_forbidden_where_the_operator_did_not_allow_it(folder):
    with server.serving(search.build("127.0.0.1:0", folder, formats=("html",))) as running:
        refused = httpx2.get(f"{running.url}/search?q=snat&format=json", timeout=60.0)
        shown = httpx2.get(f"{running.url}/search?q=snat", timeout=60.0)

    assert refused.status_code == 403
    assert shown.status_code == 200


@pytest.mark.parametrize("query", ["", "q=", "q=snat&pageno=0", "q=snat&pageno=x"])
def test_a_bad_parameter_is_a_400(service, query):
    assert service.get(f"/search?format=json&{query}").status_code == 400


def test_an_unknown_format_is_forbidden(service):
    assert service.get("/search?q=snat&format=exe").status_code == 403


def test_a_posted_search_is_answered_like_a_get(service):
    found = service.post("/search", data={"q": "vlan", "format": "json"}).json()

    assert [result["title"] for result in found["results"]] == ["VLAN"]


def test_health_and_unknown_paths(service):
    assert service.get("/healthz").text == "OK"
    assert service.get("/nothing").status_code == 404
