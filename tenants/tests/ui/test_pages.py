"""Tokens, operations and the audit log on pages."""

import re

import pytest
from django.urls import reverse

from tenants.domain.roles import Role
from tenants.domain.states import OperationState
from tenants.models import ApiToken
from tenants.tests.factories import ApiTokenFactory, AuditEntryFactory, OperationFactory
from tenants.tests.people import person


def test_new_token_is_shown_once(alice):
    url = reverse("tenants:token-list", args=["acme"])

    made = alice.client.post(url, {"name": "ci", "role": "devops"})
    later = alice.client.get(url)

    key = made.context["new_key"]
    assert key.startswith("slc_")
    assert key in made.text
    assert key not in later.text


def test_command_beside_a_new_token_asks_for_something_that_is_there(alice):
    url = reverse("tenants:token-list", args=["acme"])

    page = alice.client.post(url, {"name": "ci", "role": "reader"})

    command = re.search(r"curl [^<]*://[^/]+(/[^<]+)</pre>", page.text)
    assert command is not None
    assert alice.client.get(command[1]).status_code == 200


@pytest.mark.parametrize("role", [Role.READER, Role.MLOPS, Role.DEVOPS])
def test_who_may_not_manage_the_tenant_is_told_who_makes_tokens(acme, role):
    url = reverse("tenants:token-list", args=["acme"])
    dana = person("dana", acme, role)

    page = dana.client.get(url)
    answer = dana.client.post(url, {"name": "ci", "role": "reader"})

    assert "NetOps of the tenant and platform administrators create tokens." in page.text
    assert "Create token" not in page.text
    assert answer.status_code == 403
    with dana.acting():
        assert not ApiToken.objects.exists()


def test_member_revokes_own_token_and_netops_anybodys(alice, acme):
    dana = person("dana", acme, Role.DEVOPS)
    own = ApiTokenFactory(tenant=acme, user=dana.user, key="slc_1")
    other = ApiTokenFactory(tenant=acme, user=alice.user, key="slc_2")
    offered = dana.client.get(reverse("tenants:token-list", args=["acme"])).text

    answers = [
        dana.client.post(reverse("tenants:token-revoke", args=["acme", token.pk])).status_code
        for token in (own, other)
    ]
    alice.client.post(reverse("tenants:token-revoke", args=["acme", other.pk]))

    assert reverse("tenants:token-revoke", args=["acme", own.pk]) in offered
    assert reverse("tenants:token-revoke", args=["acme", other.pk]) not in offered
    with alice.acting():
        live = ApiToken.objects.filter(revoked_at__isnull=True).count()
    assert (answers, live) == ([302, 403], 0)


def test_live_part_of_a_running_operation_asks_for_itself_again(alice):
    operation = OperationFactory(tenant=alice.tenant, state=OperationState.RUNNING.value, total=4)
    url = reverse("tenants:operation-detail", args=["acme", operation.pk])

    partial = alice.client.get(url, headers={"HX-Request": "true"})

    assert f'hx-get="{url}"' in partial.text
    assert "HX-Location" not in partial.headers


def test_live_part_of_an_ended_operation_reloads_the_page_around_it(alice):
    operation = OperationFactory(tenant=alice.tenant, state=OperationState.FAILED.value)
    url = reverse("tenants:operation-detail", args=["acme", operation.pk])

    partial = alice.client.get(url, headers={"HX-Request": "true"})

    assert "hx-get" not in partial.text
    assert partial.headers["HX-Location"]


def test_audit_log_is_filtered_by_what_the_address_says(alice):
    AuditEntryFactory(tenant=alice.tenant, actor="mallory", event="plan.approved")
    AuditEntryFactory(tenant=alice.tenant, actor="alice", event="plan.proposed")

    response = alice.client.get(
        reverse("tenants:audit-list", args=["acme"]), {"actor": "mallory", "event": "plan."}
    )

    assert [entry.event for entry in response.context["page"]] == ["plan.approved"]
