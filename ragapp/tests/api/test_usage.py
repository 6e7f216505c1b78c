"""Usage and limits by REST."""

import csv
import io

import pytest
from django.utils import timezone

from ragapp.models import UsageEntry
from ragapp.services import ledger
from tenants.models import tenant_scope
from tenants.tests.factories import ApiTokenFactory, QuotaFactory

BASE = "/api/v1/tenants/acme"


def used(tenant, trace_id: str, **amounts) -> None:
    now = timezone.now()
    values = {"used_by": "alice", "model": "small", "requests": 1, **amounts}
    with tenant_scope(tenant.pk):
        ledger.record(
            UsageEntry(
                tenant=tenant, at=now, day=now.date(), kind="answer", trace_id=trace_id, **values
            )
        )


def put(person, path: str, limit: int | None):
    return person.client.put(f"{BASE}{path}", {"limit": limit}, content_type="application/json")


def test_sums_and_export_equal_the_ledger(alice, acme):
    used(acme, "a" * 32, tokens_in=10, tokens_out=3)
    used(acme, "b" * 32, tokens_in=5, tokens_out=4, used_by="=token:x", corpus="docs")

    sums = alice.client.get(f"{BASE}/usage").json()
    lines = alice.client.get(f"{BASE}/usage/entries").json()["results"]
    rows = list(csv.DictReader(io.StringIO(alice.client.get(f"{BASE}/usage/export").text)))

    assert (sums["total"]["tokens_in"], sums["total"]["tokens_out"]) == (15, 7)
    assert [row["word"] for row in sums["by_user"]] == ["alice", "=token:x"]
    for name in ledger.AMOUNTS:
        assert sums["total"][name] == sum(line[name] for line in lines)
        assert sums["total"][name] == sum(int(row[name]) for row in rows)
    assert {row["used_by"] for row in rows} == {"alice", "'=token:x"}


@pytest.mark.parametrize(
    "query", ["first=2026-01-02&last=2026-01-01", "first=2020-01-01&last=2026-01-01", "first=soon"]
)
def test_period_that_is_none_is_refused(alice, query):
    response = alice.client.get(f"{BASE}/usage?{query}")

    assert response.status_code == 400


def test_platform_admin_sets_the_tenants_limit_and_clears_it(ada, alice, acme):
    assert put(ada, "/quotas/requests-per-minute", 5).status_code == 204
    found = {row["resource"]: row for row in alice.client.get(f"{BASE}/quotas").json()}
    assert (found["requests-per-minute"]["limit"], found["requests-per-minute"]["used"]) == (5, 0)
    assert found["corpus-bytes"]["is_default"] is True

    assert put(alice, "/quotas/requests-per-minute", 9).status_code == 403
    assert put(ada, "/quotas/kittens", 9).status_code == 404
    assert put(ada, "/quotas/requests-per-minute", -1).status_code == 400
    assert ada.client.delete(f"{BASE}/quotas/requests-per-minute").status_code == 204


def test_netops_limit_a_token_within_the_tenants_limit(alice, bob, acme):
    token = ApiTokenFactory(tenant=acme)
    QuotaFactory(tenant=acme, resource="requests-per-day", limit=10)
    path = f"/tokens/{token.pk}/quotas"

    assert put(alice, f"{path}/requests-per-day", 10).status_code == 204
    assert put(alice, f"{path}/requests-per-day", 11).status_code == 400
    assert put(bob, f"{path}/requests-per-day", 1).status_code == 403
    found = alice.client.get(f"{BASE}{path}").json()
    assert [row["limit"] for row in found if row["resource"] == "requests-per-day"] == [10]


@pytest.mark.parametrize("rows", [1, 3])
def test_query_count_of_the_ledger_does_not_grow(rows, alice, acme, django_assert_num_queries):
    for number in range(rows):
        used(acme, f"{number:032x}")
    with django_assert_num_queries(13):
        alice.client.get(f"{BASE}/usage/entries")
