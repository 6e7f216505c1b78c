"""The overviews, the choice of colours, and the error pages."""

import pytest
from django.urls import reverse

from proxyconfig.tests.factories import ConnectionFactory, PlacementFactory
from ragapp.tests.factories import RunFactory
from tenants.domain.states import Verdict
from tenants.tests.factories import MembershipFactory


def test_overview_leads_a_member_of_one_tenant_to_it(alice):
    response = alice.client.get(reverse("portal:overview"))

    assert response.headers["Location"] == reverse("portal:tenant-overview", args=["acme"])


def test_overview_lists_the_tenants_of_a_member_of_two_and_no_other(alice, globex, charlie):
    MembershipFactory(tenant=globex, user=alice.user)

    mine = alice.client.get(reverse("portal:overview"))
    theirs = charlie.client.get(reverse("portal:tenant-overview", args=["globex"]))

    assert [row.tenant.slug for row in mine.context["rows"]] == ["acme", "globex"]
    assert theirs.context["shell"].tenants == [globex]


@pytest.mark.parametrize("rows", [1, 3])
def test_overview_costs_the_same_however_many_tenants(rows, ada, django_assert_num_queries):
    for _number in range(rows - 1):
        ConnectionFactory(tenant=PlacementFactory().tenant)
    with django_assert_num_queries(25):
        response = ada.client.get(reverse("portal:overview"))

    assert len(response.context["rows"]) == rows


@pytest.mark.parametrize("rows", [2, 4])
def test_overview_of_a_member_costs_the_same_and_counts_nothing_of_others(
    rows, alice, globex, django_assert_num_queries
):
    denied = Verdict.DENIED.value
    ConnectionFactory(tenant=globex, verdict=denied)
    for _number in range(rows - 1):
        tenant = ConnectionFactory(verdict=denied).tenant
        MembershipFactory(tenant=tenant, user=alice.user)
    with django_assert_num_queries(25):
        response = alice.client.get(reverse("portal:overview"))

    shown = {row.tenant.slug: row.summary.denied for row in response.context["rows"]}
    assert shown.pop("acme") == 0
    assert list(shown.values()) == [1] * (rows - 1)
    assert "globex" not in shown


def test_overview_of_an_administrator_lists_every_tenant(ada, globex):
    response = ada.client.get(reverse("portal:overview"))

    assert [row.tenant.slug for row in response.context["rows"]] == ["acme", "globex"]


def test_first_steps_are_done_as_the_tenant_is_furnished(furnished, alice):
    response = alice.client.get(reverse("portal:tenant-overview", args=["acme"]))

    assert [step.is_done for step in response.context["steps"]] == [True, True, True, True]


def test_theme_is_kept_and_leads_back_to_the_page(alice):
    page = reverse("tenants:audit-list", args=["acme"])

    response = alice.client.post(reverse("portal:theme"), {"theme": "dark", "next": page})

    assert response.headers["Location"] == page
    assert 'data-theme="dark"' in alice.client.get(page).text


def test_theme_never_leads_to_another_site(alice):
    response = alice.client.post(
        reverse("portal:theme"), {"theme": "plaid", "next": "https://evil.example/"}
    )

    assert response.headers["Location"] == reverse("portal:overview")
    assert "theme" not in response.cookies


def test_unknown_address_is_a_page_with_the_trace_id(client, db):
    response = client.get("/no/such/page/")

    assert response.status_code == 404
    assert response.headers["X-Trace-Id"] in response.text


def test_overview_shows_no_question_on_documents_that_the_reader_may_not_read(acme, alice, bob):
    RunFactory(tenant=acme, question="What do we pay?", is_limited=True, principals=["role:mlops"])
    RunFactory(tenant=acme, question="What is a SNAT pool for?")

    owners, colleagues = (
        who.client.get(f"/t/{acme.slug}/").content.decode() for who in (alice, bob)
    )

    assert "What do we pay?" in owners
    assert "What do we pay?" not in colleagues
    assert "What is a SNAT pool for?" in colleagues
