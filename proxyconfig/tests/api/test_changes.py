from datetime import timedelta

import pytest
from django.utils import timezone

from proxyconfig.models import Plan
from proxyconfig.tests.api.test_objects import DOCS, INGRESS, WEB, send
from proxyconfig.tests.factories import (
    ConnectionFactory,
    PlacementFactory,
    PlanFactory,
    RevisionFactory,
)
from tenants.domain.roles import Role
from tenants.models import Tenant
from tenants.tests.people import Person, person

TENANT = "/api/v1/tenants/acme"


@pytest.fixture
def waiting(alice, network) -> dict:
    """A plan of Alice's that a rule may not approve: a well-known port would be open to anybody."""
    body = {**WEB, "port": 80, "allowed_sources": [], "reason": "Open"}
    plan = send(alice, "post", INGRESS, body).json()
    assert plan["state"] == "AwaitingApproval"
    return plan


@pytest.fixture
def dora(acme: Tenant) -> Person:
    """A second NetOps of acme."""
    return person("dora", acme, Role.NETOPS)


def test_waiting_plan_says_why(waiting):
    assert [finding["code"] for finding in waiting["findings"]] == ["open-to-any-source"]


def test_second_person_approves(alice, dora, waiting):
    path = f"{TENANT}/plans/{waiting['id']}/approve"

    own = send(alice, "post", path, {"comment": "I say so"})
    second = send(dora, "post", path, {"comment": "It is a public site"})

    assert own.status_code == 403
    assert (second.status_code, second.json()["state"]) == (202, "Approved")
    assert (second.json()["decided_by"], second.json()["decision_comment"]) == (
        "dora",
        "It is a public site",
    )
    assert alice.client.get(f"{TENANT}/revisions").json()["results"][0]["plan"] == waiting["id"]


@pytest.mark.parametrize(("verb", "state"), [("refuse", "Refused"), ("cancel", "Cancelled")])
def test_plan_that_is_turned_down_leaves_nothing(alice, dora, waiting, verb, state):
    response = send(dora, "post", f"{TENANT}/plans/{waiting['id']}/{verb}", {"comment": "No"})

    assert (response.status_code, response.json()["state"]) == (202, state)
    assert alice.client.get(f"{INGRESS}/web").status_code == 404


def test_decided_plan_is_a_conflict(dora, waiting):
    path = f"{TENANT}/plans/{waiting['id']}/refuse"
    send(dora, "post", path, {"comment": "No"})

    response = send(dora, "post", path, {"comment": "No"})

    assert (response.status_code, response.json()["title"]) == (409, "plan-decided")


def test_expired_plan_is_a_conflict_for_approval_and_for_an_edit_that_joins(alice, dora, waiting):
    with alice.acting():
        Plan.objects.update(expires_at=timezone.now())
    egress = {**DOCS, "reason": "too"}

    approved = send(dora, "post", f"{TENANT}/plans/{waiting['id']}/approve", {"comment": "Yes"})
    joined = send(alice, "post", f"{TENANT}/egress-policies?change_set={waiting['id']}", egress)

    assert (approved.status_code, approved.json()["title"]) == (409, "plan-decided")
    assert (joined.status_code, joined.json()["detail"]) == (409, approved.json()["detail"])


def test_rollback_makes_an_old_intent_current_again(alice, network):
    send(alice, "post", INGRESS, {**WEB, "reason": "Open"})
    first = alice.client.get(f"{TENANT}/revisions").json()["results"][0]
    send(alice, "put", f"{INGRESS}/web", {**WEB, "port": 8081, "reason": "Move"})

    path = f"{TENANT}/revisions/{first['generation']}/rollback"
    response = send(alice, "post", path, {"reason": "It broke"})

    assert response.status_code == 202
    assert alice.client.get(f"{INGRESS}/web").json()["port"] == 8080
    newest = alice.client.get(f"{TENANT}/revisions").json()["results"][0]
    assert newest["intent_hash"] == first["intent_hash"]
    detail = alice.client.get(f"{TENANT}/revisions/{newest['generation']}").json()
    assert detail["intent"]["metadata"]["name"] == "acme"


def test_plans_are_filtered_by_state(alice, acme):
    PlanFactory(tenant=acme)
    PlanFactory(tenant=acme, state="Applied")

    found = alice.client.get(f"{TENANT}/plans?state=Applied").json()["results"]

    assert [plan["state"] for plan in found] == ["Applied"]


def test_placement_is_found_by_its_cluster(alice, acme):
    PlacementFactory(tenant=acme)

    read = alice.client.get(f"{TENANT}/placements/local").json()

    assert (read["cluster"], read["sync_state"], read["conditions"]) == ("local", "Unknown", [])
    assert "lease_token" not in read


def test_connections_are_newest_first_and_filtered(alice, acme, globex):
    now = timezone.now()
    old = ConnectionFactory(tenant=acme, opened_at=now - timedelta(hours=2), verdict="Denied")
    new = ConnectionFactory(tenant=acme, opened_at=now)
    ConnectionFactory(tenant=globex)

    everything = alice.client.get(f"{TENANT}/connections").json()["results"]
    denied = alice.client.get(f"{TENANT}/connections?verdict=Denied").json()["results"]
    traced = alice.client.get(f"{TENANT}/connections?trace_id={new.trace_id}").json()["results"]
    since = alice.client.get(
        f"{TENANT}/connections", {"opened_at__gte": (now - timedelta(hours=1)).isoformat()}
    ).json()["results"]

    assert [row["id"] for row in everything] == [new.pk, old.pk]
    assert [row["id"] for row in denied] == [old.pk]
    assert [row["id"] for row in traced] == [row["id"] for row in since] == [new.pk]


def test_connections_of_one_instant_are_all_on_some_page(alice, acme):
    now = timezone.now()
    made = {ConnectionFactory(tenant=acme, opened_at=now).pk for _ in range(5)}
    url, found = f"{TENANT}/connections?limit=2", []

    while url:
        page = alice.client.get(url).json()
        found += [row["id"] for row in page["results"]]
        url = page["next"]

    assert sorted(found) == sorted(made)


def _plan(tenant: Tenant) -> None:
    PlanFactory(tenant=tenant)


def _revision(tenant: Tenant) -> None:
    RevisionFactory(plan__tenant=tenant)


LISTS = {
    "plans": _plan,
    "revisions": _revision,
    "connections": lambda tenant: ConnectionFactory(tenant=tenant),
}


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("noun", LISTS)
def test_list_query_count_does_not_grow(alice, acme, django_assert_num_queries, noun, rows):
    for _ in range(rows):
        LISTS[noun](acme)

    with django_assert_num_queries(13):
        response = alice.client.get(f"{TENANT}/{noun}")

    assert len(response.json()["results"]) == rows


@pytest.mark.parametrize("rows", [1, 3])
def test_placement_list_query_count_does_not_grow(alice, acme, django_assert_num_queries, rows):
    for number in range(rows):
        PlacementFactory(tenant=acme, cluster__name=f"cluster-{number}")

    with django_assert_num_queries(13):
        response = alice.client.get(f"{TENANT}/placements")

    assert len(response.json()["results"]) == rows
