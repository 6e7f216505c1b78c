import pytest

from proxyconfig.models import EgressRule, IngressPolicy, Plan, Revision
from proxyconfig.tests.factories import EgressRuleFactory, IngressPolicyFactory
from tenants.models import AuditEntry, tenant_scope

INGRESS = "/api/v1/tenants/acme/ingress-policies"
EGRESS = "/api/v1/tenants/acme/egress-policies"
WEB = {
    "name": "web",
    "virtual_address": "127.110.1.1",
    "port": 8080,
    "namespace": "acme-rag",
    "allowed_sources": ["127.0.0.0/8"],
}
DOCS = {"name": "docs", "rules": [{"host": "docs.example.org", "ports": [443]}]}


def send(person, method: str, path: str, body: dict | None = None):
    return getattr(person.client, method)(path, body, content_type="application/json")


def test_ingress_policy_lives_from_post_to_delete(alice, network):
    made = send(alice, "post", INGRESS, {**WEB, "reason": "Open the door"})
    read = alice.client.get(f"{INGRESS}/web").json()
    changed = send(alice, "put", f"{INGRESS}/web", {**WEB, "port": 8081, "reason": "Move"})
    gone = alice.client.delete(f"{INGRESS}/web?reason=Close")

    assert [response.status_code for response in (made, changed, gone)] == [202, 202, 202]
    assert {name: read[name] for name in WEB} == WEB
    assert (read["protocol"], read["service"], read["is_enabled"]) == ("http", "ragapp", True)
    assert alice.client.get(f"{INGRESS}/web").status_code == 404
    with tenant_scope(alice.tenant.pk):
        reasons = Revision.objects.order_by("generation").values_list("reason", flat=True)
        assert list(reasons) == ["Open the door", "Move", "Close"]


def test_write_answers_with_its_plan(alice, network):
    made = send(alice, "post", INGRESS, {**WEB, "reason": "Open the door"})

    plan = made.json()
    assert made["Location"] == f"/api/v1/tenants/acme/plans/{plan['id']}"
    assert (plan["state"], plan["reason"], plan["author_name"]) == (
        "Approved",
        "Open the door",
        "alice",
    )
    assert plan["entries"] != []
    read = alice.client.get(made["Location"]).json()
    assert read.pop("intent")["kind"]
    assert read == plan


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", INGRESS, {**WEB, "name": "other", "port": 9090}),
        ("put", f"{INGRESS}/web", {**WEB, "port": 9090}),
        ("delete", f"{INGRESS}/web", None),
        ("post", EGRESS, {**DOCS, "name": "other"}),
        ("put", f"{EGRESS}/docs", {**DOCS, "is_enabled": False}),
        ("delete", f"{EGRESS}/docs", None),
    ],
)
def test_dry_run_answers_with_the_plan_and_stores_nothing(alice, network, method, path, body):
    send(alice, "post", INGRESS, {**WEB, "reason": "x"})
    send(alice, "post", EGRESS, {**DOCS, "reason": "x"})
    before = stored(alice)

    response = send(alice, method, f"{path}?dry_run=All", body)

    assert response.status_code == 200
    assert response.json()["id"] is None
    assert response.json()["entries"] != []
    assert stored(alice) == before


def stored(person) -> list[object]:
    with tenant_scope(person.tenant.pk):
        person.tenant.refresh_from_db()
        return [
            person.tenant.generation,
            *(model.objects.count() for model in (Plan, Revision, AuditEntry)),
            *IngressPolicy.objects.values_list("name", "listener__port"),
            *EgressRule.objects.values_list("policy__name", "host", "policy__is_enabled"),
        ]


def test_dry_run_of_what_cannot_be_taken_says_so(alice, network):
    response = send(alice, "post", f"{INGRESS}?dry_run=All", {**WEB, "namespace": "theirs"})

    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == ["/namespace"]


def test_dry_run_is_all_or_left_out(alice, network):
    response = send(alice, "post", f"{INGRESS}?dry_run=yes", WEB)

    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/dry_run"


def test_write_without_a_reason_is_refused(alice, network):
    response = send(alice, "post", INGRESS, WEB)

    assert (response.status_code, response.json()["title"]) == (400, "reason-missing")
    assert response.json()["errors"][0]["pointer"] == "/reason"


def test_misspelt_allow_list_is_refused_and_not_dropped(alice, network):
    body = {**WEB, "reason": "x", "allowed_source": ["127.0.0.0/8"]}
    del body["allowed_sources"]

    response = send(alice, "post", INGRESS, body)

    assert response.status_code == 400
    assert response.json()["errors"] == [
        {
            "pointer": "/allowed_source",
            "code": "unknown-name",
            "message": "There is no field allowed_source. Did you mean allowed_sources?",
        }
    ]


def test_protocol_that_the_proxy_cannot_serve_is_refused_by_name(alice, network):
    response = send(alice, "post", INGRESS, {**WEB, "protocol": "udp", "reason": "x"})

    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/protocol"


def test_taken_name_is_a_conflict(alice, network):
    send(alice, "post", INGRESS, {**WEB, "reason": "x"})

    response = send(alice, "post", INGRESS, {**WEB, "port": 9090, "reason": "x"})

    assert (response.status_code, response.json()["title"]) == (409, "taken")


def test_egress_policy_shows_its_rules_in_order(alice, network):
    rules = [
        {"host": "docs.example.org", "ports": [443]},
        {"host": "*.example.net", "ports": [80, 443]},
    ]
    send(alice, "post", EGRESS, {"name": "docs", "rules": rules, "reason": "Read"})

    read = alice.client.get(f"{EGRESS}/docs").json()

    assert [(rule["order"], rule["host"], rule["ports"]) for rule in read["rules"]] == [
        (1, "docs.example.org", [443]),
        (2, "*.example.net", [80, 443]),
    ]


def test_private_network_waits_for_the_platform(alice, ada, network):
    body = {"name": "lab", "rules": [{"network": "10.9.0.0/24", "ports": [443]}], "reason": "Lab"}
    plan = send(alice, "post", EGRESS, body).json()

    own = send(alice, "post", f"/api/v1/tenants/acme/plans/{plan['id']}/approve", {"comment": "I"})
    granted = send(
        ada, "post", f"/api/v1/tenants/acme/plans/{plan['id']}/approve", {"comment": "Fine"}
    )

    assert plan["state"] == "AwaitingApproval"
    assert own.status_code == 403
    assert (granted.status_code, granted.json()["state"]) == (202, "Approved")
    assert alice.client.get(f"{EGRESS}/lab").json()["rules"][0]["is_granted"] is True


def test_grant_is_the_platforms_right(alice, ada, network):
    body = {"name": "lab", "rules": [{"network": "10.9.0.0/24", "ports": [443]}], "reason": "Lab"}
    send(alice, "post", EGRESS, body)
    path = f"{EGRESS}/lab/rules/1/grant"

    refused = send(alice, "post", path, {"reason": "Mine"})
    granted = send(ada, "post", path, {"reason": "Fine"})
    absent = send(ada, "post", f"{EGRESS}/lab/rules/9/grant", {"reason": "Fine"})

    assert [response.status_code for response in (refused, granted, absent)] == [403, 202, 404]


@pytest.mark.parametrize("rows", [1, 3])
def test_ingress_list_query_count_does_not_grow(alice, acme, django_assert_num_queries, rows):
    IngressPolicyFactory.create_batch(rows, tenant=acme)

    with django_assert_num_queries(13):
        response = alice.client.get(INGRESS)

    assert len(response.json()["results"]) == rows


@pytest.mark.parametrize("rows", [1, 3])
def test_egress_list_query_count_does_not_grow(alice, acme, django_assert_num_queries, rows):
    for _ in range(rows):
        EgressRuleFactory(policy__tenant=acme)

    with django_assert_num_queries(14):
        response = alice.client.get(EGRESS)

    assert len(response.json()["results"]) == rows
