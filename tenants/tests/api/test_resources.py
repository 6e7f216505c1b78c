import secrets
from datetime import timedelta

import pytest
from django.utils import timezone

from tenants.domain.states import OperationState
from tenants.models import ApiToken, Operation, platform_scope, tenant_scope
from tenants.tests.factories import (
    ApiTokenFactory,
    AuditEntryFactory,
    ClusterFactory,
    MembershipFactory,
    OperationFactory,
    TenantFactory,
    UserFactory,
)

TENANT = "/api/v1/tenants/acme"


def post(person, path: str, **body: object):
    return person.client.post(path, body, content_type="application/json")


def test_tenants_are_those_of_the_caller(alice, ada, globex):
    TenantFactory(slug="initech")

    mine = alice.client.get("/api/v1/tenants").json()["results"]
    all_of_them = ada.client.get("/api/v1/tenants").json()["results"]

    assert [tenant["slug"] for tenant in mine] == ["acme"]
    assert {tenant["slug"] for tenant in all_of_them} == {"acme", "globex", "initech"}


def test_tenant_is_made_by_the_platform_only(ada, alice):
    made = post(ada, "/api/v1/tenants", slug="initech", name="Initech")
    refused = post(alice, "/api/v1/tenants", slug="hooli", name="Hooli")

    assert (made.status_code, made["Location"]) == (201, "/api/v1/tenants/initech")
    assert ada.client.get(made["Location"]).json() == made.json()
    assert refused.status_code == 403


def test_member_gets_a_role_and_loses_it(alice, acme):
    UserFactory(username="dora")

    made = post(alice, f"{TENANT}/members", username="dora", role="devops")
    gone = alice.client.delete(made["Location"])

    assert (made.status_code, made.json()["role"]) == (201, "devops")
    assert (gone.status_code, alice.client.get(made["Location"]).status_code) == (204, 404)


def test_unknown_user_is_no_member(alice):
    response = post(alice, f"{TENANT}/members", username="nobody", role="devops")

    assert response.status_code == 404
    assert "nobody" in response.json()["detail"]


def test_reader_makes_no_token_and_revokes_only_their_own(bob, alice, acme):
    own = ApiTokenFactory(tenant=acme, user=bob.user, key="slc_1")
    other = ApiTokenFactory(tenant=acme, user=alice.user, key="slc_2")

    made = post(bob, f"{TENANT}/tokens", name="ci", role="reader")
    revoked = [bob.client.delete(f"{TENANT}/tokens/{token.pk}") for token in (own, other)]

    assert made.status_code == 403
    assert [answer.status_code for answer in revoked] == [204, 403]


def test_key_of_a_token_is_shown_once(alice, acme):
    made = post(alice, f"{TENANT}/tokens", name="ci", role="devops")
    read = alice.client.get(made["Location"]).json()
    gone = alice.client.delete(made["Location"])

    assert (made.status_code, made["Cache-Control"]) == (201, "no-store")
    assert made.json()["key"].startswith(read["key_hint"])
    assert "key" not in read
    assert gone.status_code == 204
    with tenant_scope(acme.pk):
        assert ApiToken.objects.get().revoked_at is not None


def test_operation_is_cancelled_by_who_may_start_it(alice, bob, acme):
    operation = OperationFactory(tenant=acme)
    path = f"{TENANT}/operations/{operation.pk}"

    refused = post(bob, f"{path}/cancel")
    taken = post(alice, f"{path}/cancel")

    assert (refused.status_code, taken.status_code) == (403, 202)
    assert (taken["Location"], taken.json()["state"]) == (path, "Cancelled")
    assert alice.client.get(path).json() == taken.json()


def test_operations_are_filtered_by_state(alice, acme):
    OperationFactory(tenant=acme)
    OperationFactory(tenant=acme, state=OperationState.FAILED.value)

    found = alice.client.get(f"{TENANT}/operations?state=Failed").json()["results"]

    assert [operation["state"] for operation in found] == ["Failed"]


def test_audit_is_the_tenants_own(alice, acme, globex):
    mine = AuditEntryFactory(tenant=acme)
    AuditEntryFactory(tenant=globex)

    found = alice.client.get(f"{TENANT}/audit").json()["results"]

    assert [entry["id"] for entry in found] == [mine.pk]


def test_pages_follow_the_cursor_to_the_end(alice, acme):
    made = [OperationFactory(tenant=acme).pk for _ in range(5)]
    url, found, pages = f"{TENANT}/operations?limit=2", [], 0

    while url:
        page = alice.client.get(url).json()
        found += [row["id"] for row in page["results"]]
        url, pages = page["next"], pages + 1

    assert (found, pages) == (made[::-1], 3)


def test_page_is_stable_when_rows_are_added(alice, acme):
    made = [OperationFactory(tenant=acme).pk for _ in range(4)]
    first = alice.client.get(f"{TENANT}/operations?limit=2").json()
    OperationFactory(tenant=acme)

    second = alice.client.get(first["next"]).json()

    assert [row["id"] for row in second["results"]] == made[1::-1]


LISTS = {
    "members": (lambda tenant: MembershipFactory(tenant=tenant), 13),
    "tokens": (lambda tenant: ApiTokenFactory(tenant=tenant, key=secrets.token_hex()), 13),
    "operations": (lambda tenant: OperationFactory(tenant=tenant), 13),
    "audit": (lambda tenant: AuditEntryFactory(tenant=tenant), 13),
}


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("noun", LISTS)
def test_list_query_count_does_not_grow(alice, acme, django_assert_num_queries, noun, rows):
    make, count = LISTS[noun]
    for _ in range(rows):
        make(acme)

    with django_assert_num_queries(count):
        response = alice.client.get(f"{TENANT}/{noun}")

    assert response.status_code == 200
    with platform_scope("test"):
        assert Operation.objects.count() == (rows if noun == "operations" else 0)


@pytest.mark.parametrize("rows", [1, 3])
def test_lists_above_the_tenants_cost_the_same(ada, rows, django_assert_num_queries):
    TenantFactory.create_batch(rows - 1)
    for number in range(rows):
        ClusterFactory(name=f"cluster-{number}")

    for noun in ("tenants", "clusters"):
        with django_assert_num_queries(7):
            response = ada.client.get(f"/api/v1/{noun}")

        assert len(response.json()["results"]) == rows


def test_netops_suspend_a_tenant_and_let_it_resume(alice, bob, broker):
    path = "/api/v1/tenants/acme/pause"
    body = {"reason": "unpaid", "is_suspended": True}
    assert bob.client.put(path, body, content_type="application/json").status_code == 403

    suspended = alice.client.put(path, body, content_type="application/json")

    assert suspended.status_code == 200
    assert suspended.json() == {
        "is_paused": True,
        "is_suspended": True,
        "reason": "unpaid",
        "by": "alice",
        "until": None,
    }
    assert bob.client.get(path).json() == suspended.json()

    resumed = alice.client.post(
        "/api/v1/tenants/acme/resume", {"reason": "paid"}, content_type="application/json"
    )
    assert resumed.json()["is_paused"] is resumed.json()["is_suspended"] is False


def test_a_pause_whose_end_is_past_is_none(alice, acme):
    with platform_scope("test"):
        past = timezone.now() - timedelta(minutes=1)
        type(acme).objects.filter(pk=acme.pk).update(
            is_paused=True, is_suspended=True, paused_until=past
        )

    for path in (TENANT, f"{TENANT}/pause"):
        shown = alice.client.get(path).json()
        assert shown["is_paused"] is shown["is_suspended"] is False


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "reason"),
        ({"reason": " "}, "reason"),
        ({"reason": "x", "until": "2020-01-01T00:00:00Z"}, "until"),
        ({"reason": "x", "suspended": True}, "suspended"),
    ],
)
def test_a_pause_that_is_not_one_says_why(alice, broker, body, field):
    refused = alice.client.put("/api/v1/tenants/acme/pause", body, content_type="application/json")

    assert refused.status_code in (400, 422)
    assert field in refused.text
