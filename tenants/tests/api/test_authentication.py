from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tenants.models import ApiToken, tenant_scope
from tenants.tests.factories import ApiTokenFactory

SEGMENTS = "/api/v1/tenants/acme/segments"


def get(key: str, path: str = SEGMENTS):
    return Client().get(path, headers={"Authorization": f"Bearer {key}"})


def test_token_opens_its_own_tenant_and_notes_its_use(alice, acme):
    token = ApiTokenFactory(tenant=acme, user=alice.user, key="slc_mine")

    assert get("slc_mine").status_code == 200
    with tenant_scope(acme.pk):
        assert ApiToken.objects.get(pk=token.pk).last_used_at is not None


def test_token_lists_its_own_tenant_only(alice, acme, globex):
    ApiTokenFactory(tenant=acme, user=alice.user, key="slc_mine")

    found = get("slc_mine", "/api/v1/tenants").json()["results"]

    assert [tenant["slug"] for tenant in found] == ["acme"]


def test_token_of_another_tenant_gets_404(charlie, acme):
    ApiTokenFactory(tenant=charlie.tenant, user=charlie.user, key="slc_theirs")

    assert get("slc_theirs").status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_at": timezone.now() - timedelta(seconds=1)},
        {"revoked_at": timezone.now()},
        {"user__is_active": False},
    ],
    ids=["expired", "revoked", "inactive maker"],
)
def test_dead_token_is_refused_without_saying_why(acme, fields):
    ApiTokenFactory(tenant=acme, key="slc_dead", **fields)

    response = get("slc_dead")

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert response.json()["detail"] == get("slc_never-made").json()["detail"]


@pytest.mark.parametrize("key", ["slc_never-made", "no-prefix", "", "slc_ÿ"])
def test_unknown_key_is_refused(acme, key):
    assert get(key).status_code == 401


def test_token_that_expires_later_works(acme):
    later = timezone.now() + timedelta(hours=1)
    ApiTokenFactory(tenant=acme, key="slc_mine", expires_at=later)

    assert get("slc_mine").status_code == 200


def test_session_needs_the_csrf_token_for_writes(alice):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.user)

    response = client.post(SEGMENTS, {}, content_type="application/json")

    assert response.status_code == 403
    assert response["Content-Type"] == "application/problem+json"


def test_token_of_a_platform_admin_has_no_more_than_its_role(ada, acme):
    ApiTokenFactory(tenant=acme, user=ada.user, role="reader", key="slc_ada")

    body = {"cluster": "local", "name": "shop"}
    response = Client().post(
        "/api/v1/tenants/acme/namespaces",
        body,
        content_type="application/json",
        headers={"Authorization": "Bearer slc_ada"},
    )

    assert response.status_code == 403
