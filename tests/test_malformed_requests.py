"""Requests that no client of ours makes: each route answers with what is wrong, none breaks."""

import base64
import json

import pytest
from django.urls import reverse

from tenants.tests.people import acme, alice, cluster
from tests.test_api_access import STREAMS, address, routes, rows
from tests.world import World

__all__ = ["acme", "alice", "cluster", "rows"]

NINES = "9" * 5000
DEEP = "[" * 3000 + "]" * 3000
BODIES = {
    "a list without end": "[" * 100_000,
    "an object without end": '{"a":' * 50_000,
    "a deep list": DEEP,
    "a deep field": f'{{"name": {DEEP}, "messages": {DEEP}}}',
    "a list that Python reads": '{"name": ' + "[" * 200 + "]" * 200 + "}",
    "half a pair in a name": r'{"\ud800": 1}',
    "half a pair in a text": r'{"name": "\ud800"}',
    "half a pair in a nested word": r'{"rules": [{"protocol": "\udfff", "action": "\ud800"}]}',
    "a number of many digits": f'{{"port": {NINES}, "limit": {NINES}}}',
    "a number beyond all": '{"port": 1e999, "limit": -1e999}',
    "not a number": '{"port": NaN}',
}
# These read no body, so they answer as ever.
BODILESS = {
    "tenants-api:operation-cancel",
    "ragapp-api:corpus-train",
    "ragapp-api:document-retry",
    "ragapp-api:run-stop",
    "ragapp-api:evaluation-continue",
    "ragapp-api:feedback-dismiss",
}
QUERIES = {
    "limit": f"limit={NINES}",
    "cursor": f"cursor={NINES}",
    "cursor of another list": f"cursor={base64.b64encode(b'p=abc').decode()}",
    "cursor far away": f"cursor={base64.b64encode(b'p=' + b'9' * 40).decode()}",
    "change set": f"change_set={NINES}",
    "change set in other digits": "change_set=%C2%B2",
    "name": f"{NINES}=1",
    "text": f"name={NINES}",
    "day": "day=x",
    "first day of all": "last=0001-01-01",
    "number": f"k={NINES}&q=x",
    "moment": "opened_at__gte=0001-01-01T00:00:00%2B14:00",
}
PAGES = {
    "page": f"plans/?page={NINES}",
    "older": f"audit/?before={NINES}",
    "newer": f"audit/?after={NINES}",
    "plan": f"plans/{NINES}/",
    "plan beyond the database's": f"plans/{'9' * 30}/",
    "change set": f"policies/new/ingress/?change_set={NINES}",
    "object": f"policies/ingress/{NINES}/",
    "filter": f"connections/?before={NINES}&trace={NINES}",
    "document": f"documents/{'9' * 30}/",
    "comparison": f"evaluation/compare/?run={NINES}&run={NINES}&page={NINES}",
    "days": f"usage/?days={NINES}",
    "run": f"runs/{NINES}/",
    "search": f"search/?q=x&k={NINES}",
}


@pytest.mark.parametrize("name", BODIES)
def test_malformed_body_is_refused_by_every_route(alice, rows: World, name):
    found = {}
    for route, (parameters, methods) in routes().items():
        for method in sorted(methods & {"post", "put", "patch"}):
            response = getattr(alice.client, method)(
                address(route, parameters, rows), BODIES[name], content_type="application/json"
            )
            found[route, method] = response.status_code

    broken = {pair: status for pair, status in found.items() if status >= 500}
    taken = {pair[0] for pair, status in found.items() if status < 400}
    assert (broken, taken - BODILESS) == ({}, set())


@pytest.mark.parametrize("name", BODIES)
def test_malformed_body_says_what_is_wrong(alice, name):
    response = alice.client.post(
        "/api/v1/tenants/acme/namespaces", BODIES[name], content_type="application/json"
    )

    problem = response.json()
    assert (response.status_code, problem["title"]) == (400, "parse-error")
    assert "sys." not in problem["detail"]


@pytest.mark.parametrize("name", QUERIES)
def test_malformed_query_breaks_no_route(alice, rows: World, name):
    found = {}
    for route, (parameters, methods) in routes().items():
        if "get" in methods and route not in STREAMS:
            path = f"{address(route, parameters, rows)}?{QUERIES[name]}"
            found[route] = alice.client.get(path).status_code

    assert {route: status for route, status in found.items() if status >= 500} == {}


@pytest.mark.parametrize("digits", [19, 30, 5000])
def test_id_of_many_digits_names_nothing(alice, rows: World, digits):
    found = {}
    for route, (parameters, methods) in routes().items():
        for parameter in parameters & {"pk", "generation", "id"}:
            if "get" in methods:
                path = _with_id(route, parameters, parameter, "9" * digits)
                found[route] = alice.client.get(path).status_code

    assert {route: status for route, status in found.items() if status != 404} == {}


def _with_id(route: str, parameters: set[str], parameter: str, value: str) -> str:
    mark = 123454321
    numbers = parameters & {"position", "other"}
    values = {**dict.fromkeys(parameters, "x"), **dict.fromkeys(numbers, 1)}
    path = reverse(route, kwargs={**values, "tenant": "acme", parameter: mark})
    return path.replace(str(mark), value)


@pytest.mark.parametrize("name", PAGES)
def test_number_of_many_digits_breaks_no_page(alice, rows: World, name):
    assert alice.client.get(f"/t/acme/{PAGES[name]}").status_code in {200, 302, 404}


@pytest.mark.parametrize(
    "seen",
    ["[" * 100_000, DEEP, NINES, json.dumps({"namespaces/\ud800": "x"}), '{"a": {"b": "c"}}'],
    ids=["endless", "deep", "number", "half a pair", "nested"],
)
def test_review_that_cannot_be_read_is_shown_again(alice, rows: World, seen):
    typed = {"name": "acme-x", "cluster": "local", "step": "apply", "reason": "x", "seen": seen}

    response = alice.client.post("/t/acme/networks/new/namespaces/", typed)

    assert response.status_code == 400
