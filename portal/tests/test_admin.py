"""Django's admin: every model is there, tenants' staff stay inside, and nothing bypasses a plan."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from ragapp.models import LanguageModel
from tenants.domain.roles import PlatformRole, Role
from tenants.models import ApiToken, AuditEntry, Membership, Tenant, User, platform_scope
from tenants.models.scoped import tenant_scope
from tenants.services import audit_chain
from tenants.tests.factories import (
    ApiTokenFactory,
    MembershipFactory,
    NamespaceClaimFactory,
    UserFactory,
)
from tenants.tests.people import Person, person
from tests.world import tenant_tables, world

OURS = [
    model
    for label in ("tenants", "proxyconfig", "ragapp")
    for model in apps.get_app_config(label).get_models()
]


@pytest.fixture
def operator(acme) -> Person:
    """acme's own staff: may enter the admin, but only sees acme."""
    staff = person("olga", acme, Role.NETOPS)
    staff.user.is_staff = True
    staff.user.save()
    return staff


def staff(role: PlatformRole, tenant: Tenant) -> Person:
    """Somebody with a platform role who may enter the admin."""
    who = person("otto", tenant, None, platform_role=role)
    who.user.is_staff = True
    who.user.save()
    return who


def changelist(model) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def registered() -> set[type]:
    # Chunks and postings have no single key, which the admin needs; documents show them.
    return {model for model in OURS if model._meta.pk.name != "pk"}


def test_every_model_is_registered():
    assert {model for model in registered() if model not in admin.site._registry} == set()


def test_platform_admin_reads_every_list_and_row(ada, alice, charlie):
    world(alice.tenant, alice.user)
    world(charlie.tenant, charlie.user)
    failed = {}

    for model in registered():
        with platform_scope("test"):
            row = model._default_manager.first()
        pages = [changelist(model)]
        if row is not None:
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
            pages.append(reverse(name, args=[row.pk]))
        failed |= {page: ada.client.get(page).status_code for page in pages}

    assert {page: status for page, status in failed.items() if status != 200} == {}


@pytest.mark.parametrize("role", [PlatformRole.AUDITOR, PlatformRole.NETOPS])
def test_platform_staff_read_every_tenants_rows(role, acme, alice, charlie):
    world(alice.tenant, alice.user)
    world(charlie.tenant, charlie.user)
    audit_chain.seal(1000)
    reads = staff(role, acme)

    for model in registered() & set(tenant_tables().values()):
        response = reads.client.get(changelist(model))

        seen = {row.tenant_id for row in response.context["cl"].result_list}
        assert (model, {alice.tenant.pk, charlie.tenant.pk} <= seen) == (model, True)


def test_auditor_with_staff_status_changes_nothing(acme, alice):
    auditor = staff(PlatformRole.AUDITOR, acme)
    token = ApiTokenFactory(tenant=acme, user=alice.user)
    tenant = reverse("admin:tenants_tenant_change", args=[acme.pk])
    revoke = {"action": "revoke", "_selected_action": [token.pk]}

    page = auditor.client.get(tenant)
    added = {auditor.client.get(f"{changelist(model)}add/").status_code for model in registered()}
    changed = auditor.client.post(tenant, {"name": "Mine", "is_paused": "on"})
    auditor.client.post(changelist(ApiToken), revoke)

    assert (page.status_code, page.context["has_change_permission"]) == (200, False)
    assert (added, changed.status_code) == ({403}, 403)
    with platform_scope("test"):
        assert ApiToken.objects.get(pk=token.pk).revoked_at is None
        assert not Tenant.objects.get(pk=acme.pk).is_paused


def test_tenants_staff_see_their_own_rows_only(operator, alice, charlie):
    world(alice.tenant, alice.user)
    world(charlie.tenant, charlie.user)
    audit_chain.seal(1000)
    tables = tenant_tables().values()

    for model in registered() & set(tables):
        response = operator.client.get(changelist(model))

        seen = {row.tenant_id for row in response.context["cl"].result_list}
        assert (model, seen) == (model, {alice.tenant.pk})


def test_tenants_staff_cannot_open_anothers_row(operator, charlie):
    foreign = NamespaceClaimFactory(grant__tenant=charlie.tenant)

    response = operator.client.get(
        reverse("admin:tenants_namespaceclaim_change", args=[foreign.pk])
    )

    assert response.status_code == 302
    assert response["Location"] == reverse("admin:index")


def test_tenants_staff_see_no_accounts_and_write_nothing(operator):
    pages = {model: operator.client.get(f"{changelist(model)}add/") for model in registered()}

    assert {response.status_code for response in pages.values()} == {403}
    assert operator.client.get(changelist(User)).status_code == 403


def test_policies_and_networks_are_read_only_even_for_the_platform(ada):
    written = {Tenant, Membership, User, apps.get_model("tenants.Cluster"), LanguageModel}

    addable = {
        model
        for model in registered()
        if ada.client.get(f"{changelist(model)}add/").status_code == 200
    }

    assert addable == written


@pytest.mark.parametrize("who", ["alice", "nobody"])
def test_others_are_sent_to_the_sign_in(request, alice, who):
    client = alice.client if who == "alice" else Client()

    response = client.get("/admin/")

    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


def test_membership_is_written_by_the_service(ada, acme):
    dora = UserFactory(username="dora")

    response = ada.client.post(
        reverse("admin:tenants_membership_add"),
        {"tenant": acme.pk, "user": dora.pk, "role": "devops"},
    )

    assert response.status_code == 302
    with tenant_scope(acme.pk):
        assert Membership.objects.get(user=dora).role == "devops"
        assert AuditEntry.objects.get(event="member.added").actor == "ada"


def test_tenant_is_changed_with_an_audit_entry(ada, acme):
    response = ada.client.post(
        reverse("admin:tenants_tenant_change", args=[acme.pk]), {"name": "Acme", "is_paused": "on"}
    )

    assert response.status_code == 302
    with tenant_scope(acme.pk):
        assert Tenant.objects.get(pk=acme.pk).is_paused
        assert AuditEntry.objects.get(event="tenant.changed").is_platform_staff


def test_tokens_are_revoked_from_the_list(ada, alice, acme):
    token = ApiTokenFactory(tenant=acme, user=alice.user)

    ada.client.post(changelist(ApiToken), {"action": "revoke", "_selected_action": [token.pk]})

    with tenant_scope(acme.pk):
        assert ApiToken.objects.get(pk=token.pk).revoked_at is not None


def test_former_platform_admin_keeps_no_token_beyond_the_memberships(ada, acme, globex):
    former = UserFactory(username="former", is_staff=True, is_superuser=True)
    MembershipFactory(tenant=acme, user=former, role=Role.READER.value)
    roles = ((acme, Role.READER), (acme, Role.NETOPS), (globex, Role.READER))
    made = [
        ApiTokenFactory(tenant=tenant, user=former, role=role.value, key=f"slc_{number}")
        for number, (tenant, role) in enumerate(roles)
    ]
    url = reverse("admin:tenants_user_change", args=[former.pk])

    answer = ada.client.post(url, {"username": "former", "is_active": "on", **_JOINED})

    assert answer.status_code == 302, answer.context["errors"]
    with platform_scope("test"):
        live = ApiToken.objects.filter(user=former, revoked_at__isnull=True)
        assert list(live) == made[:1]


def test_password_and_deletion_of_an_account_are_on_record(ada):
    gone = UserFactory(username="gone")
    new = {"password1": "wide-open-sluice-7", "password2": "wide-open-sluice-7"}

    ada.client.post(reverse("admin:auth_user_password_change", args=[gone.pk]), new)
    ada.client.post(reverse("admin:tenants_user_delete", args=[gone.pk]), {"post": "yes"})

    with platform_scope("test"):
        entries = AuditEntry.objects.filter(object_name="gone").order_by("pk")
        assert [entry.event for entry in entries] == ["user.password-changed", "user.deleted"]
        assert "wide-open" not in str([entry.detail for entry in entries])
    assert not User.objects.filter(username="gone").exists()


_JOINED = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
