"""The usage pages: figures, limits, export, and whose they are."""

import pytest

from ragapp.tests.api.test_usage import used
from tenants.models import Quota, platform_scope
from tenants.tests.factories import ApiTokenFactory, QuotaFactory, TenantFactory

PAGE = "/t/acme/usage/"


def test_page_shows_use_against_limits(bob, acme):
    QuotaFactory(tenant=acme, resource="requests-per-day", limit=1234)
    used(acme, "a" * 32, tokens_in=4321, tokens_out=7)

    page = bob.client.get(PAGE).content.decode()

    assert "1,234" in page
    assert "4,321" in page
    assert "Set a limit" not in page


def test_page_without_use_says_so(bob):
    assert "Nothing was used in these days" in bob.client.get(PAGE).content.decode()


def test_admin_sets_a_limit_and_takes_it_back(ada, acme):
    ada.client.post(f"{PAGE}limit/", {"resource": "requests-per-day", "limit": "55"})
    with platform_scope("test"):
        assert Quota.objects.get().limit == 55

    ada.client.post(f"{PAGE}limit/", {"resource": "requests-per-day", "clear": "1"})
    with platform_scope("test"):
        assert not Quota.objects.exists()


def test_netops_are_told_that_the_tenants_limits_are_not_theirs(alice, acme):
    token = ApiTokenFactory(tenant=acme, name="ci")
    refused = alice.client.post(f"{PAGE}limit/", {"resource": "requests-per-day", "limit": "5"})
    taken = alice.client.post(
        f"{PAGE}limit/", {"resource": "requests-per-day", "limit": "5", "token": token.pk}
    )

    assert refused.status_code == 400
    assert "Only platform NetOps and platform administrators" in refused.content.decode()
    assert taken.status_code == 302
    assert "token ci" in alice.client.get(PAGE).content.decode()


def test_export_is_a_file(bob, acme):
    used(acme, "a" * 32, tokens_in=5)

    response = bob.client.get(f"{PAGE}export/")

    assert response["Content-Disposition"].startswith('attachment; filename="usage-acme-')
    assert response.content.decode().splitlines()[1].endswith(",1,5,0,0")


def test_overview_of_all_tenants_is_the_platforms(ada, alice, acme, globex):
    used(acme, "a" * 32, tokens_in=5)
    used(globex, "b" * 32, tokens_in=50)

    page = ada.client.get("/usage/").content.decode()

    assert page.index("/t/globex/usage/") < page.index("/t/acme/usage/")
    assert alice.client.get("/usage/").status_code == 404


@pytest.mark.parametrize("rows", [1, 3])
def test_query_count_of_the_overview_does_not_grow(rows, ada, acme, django_assert_num_queries):
    for number in range(rows):
        used(TenantFactory(), f"{number:032x}")
    with django_assert_num_queries(17):
        ada.client.get("/usage/")
