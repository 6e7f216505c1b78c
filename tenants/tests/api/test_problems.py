import pytest

from tenants.models import VlanClaim, tenant_scope
from tenants.tests.factories import VlanGrantFactory

TENANT = "/api/v1/tenants/acme"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/api/v1/nothing", 404),
        ("get", "/api/nothing", 404),
        ("get", f"{TENANT}/segments/none", 404),
        ("get", "/api/v1/tenants/none", 404),
        ("get", f"{TENANT}/segments?nome=x", 400),
        ("patch", f"{TENANT}/segments", 405),
        ("post", f"{TENANT}/segments", 400),
    ],
)
def test_every_error_is_a_problem_document(alice, method, path, status):
    body = {} if method == "get" else {"content_type": "application/json"}
    response = getattr(alice.client, method)(path, **body)

    problem = response.json()
    assert (response.status_code, problem["status"]) == (status, status)
    assert response["Content-Type"] == "application/problem+json"
    assert problem["request_id"] == response["X-Trace-Id"]
    assert problem["type"].endswith(f"#{problem['title']}")
    assert problem["detail"]


@pytest.mark.parametrize("path", ["%00", "acme/segments/a%00b", "acme/runs/%00"])
def test_path_that_no_database_can_be_asked_for_names_nothing(alice, path):
    answer = alice.client.get(f"/api/v1/tenants/{path}")

    assert (answer.status_code, answer.json()["title"]) == (404, "not-visible")


def test_body_that_is_no_json_is_a_problem(alice):
    response = alice.client.post(f"{TENANT}/segments", "{", content_type="application/json")

    assert (response.status_code, response.json()["title"]) == (400, "parse-error")


def test_other_content_types_are_refused(alice):
    response = alice.client.post(f"{TENANT}/segments", {"name": "x"})

    assert (response.status_code, response.json()["title"]) == (415, "unsupported-media-type")


def test_slash_too_many_is_explained(alice):
    response = alice.client.get(f"{TENANT}/segments/")

    assert f"Write it as {TENANT}/segments." in response.json()["detail"]


def test_foreign_tenant_and_no_tenant_get_the_same_answer(alice, globex):
    foreign = alice.client.get("/api/v1/tenants/globex/segments").json()
    absent = alice.client.get("/api/v1/tenants/hooli/segments").json()

    assert foreign["detail"].replace("globex", "hooli") == absent["detail"]
    assert (foreign["title"], foreign["status"]) == (absent["title"], absent["status"])


def test_unknown_query_parameter_names_the_nearest(alice):
    problem = alice.client.get(f"{TENANT}/segments?nmae=front").json()

    assert problem["errors"] == [
        {
            "pointer": "/nmae",
            "code": "unknown-name",
            "message": "There is no query parameter nmae. Did you mean name?",
        }
    ]


@pytest.mark.parametrize(
    "query", ["mode=enforce", "limit=0", "limit=1001", "limit=many", "dry_run=All"]
)
def test_query_value_that_cannot_be_read_is_an_error(alice, query):
    response = alice.client.get(f"{TENANT}/egress-policies?{query}")

    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == f"/{query.partition('=')[0]}"


def test_unknown_field_is_refused_with_the_nearest(alice, cluster):
    body = {"cluster": "local", "naem": "shop"}
    response = alice.client.post(f"{TENANT}/namespaces", body, content_type="application/json")

    assert response.status_code == 400
    assert response.json()["errors"][0] == {
        "pointer": "/naem",
        "code": "unknown-name",
        "message": "There is no field naem. Did you mean name?",
    }


def test_unknown_field_of_a_nested_object_is_refused(alice, cluster):
    body = {
        "cluster": "local",
        "name": "front",
        "vlan_tag": 7,
        "subnets": [{"prefix": "10.1.0.0/24", "gatewy": "10.1.0.1"}],
    }
    response = alice.client.post(f"{TENANT}/segments", body, content_type="application/json")

    assert [error["pointer"] for error in response.json()["errors"]] == ["/subnets/0/gatewy"]


@pytest.mark.parametrize("field", ["tenant", "tenant_id", "id"])
def test_fields_that_sluice_sets_are_refused(alice, globex, cluster, field):
    body = {"cluster": "local", "name": "shop", field: globex.pk}
    response = alice.client.post(f"{TENANT}/namespaces", body, content_type="application/json")

    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == [f"/{field}"]


def test_error_undoes_the_whole_request(alice, cluster):
    """The tag is free and granted, the subnet is not: nothing of the segment is kept."""
    VlanGrantFactory(tenant=alice.tenant)
    body = {
        "cluster": "local",
        "name": "front",
        "vlan_tag": 7,
        "subnets": [{"prefix": "10.1.0.0/24"}],
        "reason": "x",
    }
    response = alice.client.post(f"{TENANT}/segments", body, content_type="application/json")

    assert (response.status_code, response.json()["title"]) == (400, "not-granted")
    with tenant_scope(alice.tenant.pk):
        assert not VlanClaim.objects.exists()
    assert alice.client.get(f"{TENANT}/plans").json()["results"] == []


def test_service_errors_name_their_fields(alice, cluster):
    body = {"cluster": "local", "address": "0.0.0.0", "reason": "x"}  # noqa: S104 - it is refused
    response = alice.client.post(
        f"{TENANT}/virtual-addresses", body, content_type="application/json"
    )

    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/address"
    assert "means every address" in response.json()["detail"]


def test_cursor_that_is_none_of_ours_is_a_problem(alice):
    response = alice.client.get(f"{TENANT}/segments?cursor=abc")

    assert response["Content-Type"] == "application/problem+json"
    assert response.status_code == 404
