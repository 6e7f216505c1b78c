"""Django's admin: every model is there, tenants' staff stay inside, and nothing bypasses a plan."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from ragapp.models import LanguageModel
from tenants.domain.roles import PlatformRole, Role
from tenants.models import ApiToken, AuditEntry, Tenant, User, platform_scope
from tenants.models.scoped import tenant_scope
from tenants.services import audit_chain
from tenants.tests.factories import ApiTokenFactory, NamespaceClaimFactory
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


def test_what_has_a_page_or_a_plan_is_added_there_only(ada):
    addable = {
        model
        for model in registered()
        if ada.client.get(f"{changelist(model)}add/").status_code == 200
    }

    # Language models have no page: the admin's form saves by the service that REST uses.
    assert addable == {LanguageModel}


def test_nothing_but_language_models_is_changed_or_deleted(ada, alice):
    world(alice.tenant, alice.user)
    answers = {}

    for model in registered() - {LanguageModel}:
        with platform_scope("test"):
            row = model._default_manager.first()
        for verb in ("change", "delete"):
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{verb}"
            answer = ada.client.post(reverse(name, args=[row.pk if row else 1]), {"post": "yes"})
            answers[model, verb] = answer.status_code

    assert {key: status for key, status in answers.items() if status not in (302, 403)} == {}
    assert {status for (model, _), status in answers.items() if model in (Tenant, User)} == {403}


@pytest.mark.parametrize("who", ["alice", "nobody"])
def test_others_are_sent_to_the_sign_in(request, alice, who):
    client = alice.client if who == "alice" else Client()

    response = client.get("/admin/")

    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


def test_language_model_is_saved_by_the_service_and_keeps_its_name(ada):
    list_ = changelist(LanguageModel)
    model = {"name": "tiny", "kind": "local", "location": "/models/tiny", "dtype": "float32"}

    added = ada.client.post(f"{list_}add/", {**model, "revision": "main", "is_allowed": "on"})
    row = LanguageModel.objects.get(name="tiny")
    changed = ada.client.post(f"{list_}{row.pk}/change/", {**model, "name": "huge"})

    assert (added.status_code, changed.status_code) == (302, 302)
    row.refresh_from_db()
    assert (row.name, row.is_allowed) == ("tiny", False)
    with platform_scope("test"):
        entries = AuditEntry.objects.filter(object_name="tiny").order_by("pk")
        said = [(entry.event, entry.detail["fields"]) for entry in entries]
    assert said == [
        ("languagemodel.created", ["dtype", "location"]),
        ("languagemodel.changed", ["is_allowed", "revision"]),
    ]


def test_hidden_columns_cannot_be_guessed_by_filters(ada, operator, acme):
    ApiTokenFactory(tenant=acme, user=operator.user)

    hash_ = operator.client.get(changelist(ApiToken), {"key_hash__startswith": "0"})
    password = ada.client.get(changelist(User), {"password__startswith": "p"})

    assert (hash_.status_code, password.status_code) == (400, 400)


def test_nul_in_an_address_is_no_fault_of_the_server(ada):
    queries = ("q", "state", "name", "id", "o", "p", "_to_field", "\0")
    pages = [f"{changelist(model)}?{name}=%00" for model in registered() for name in queries]
    pages += ["/admin/tenants/user/%00/change/", "/admin/%00/", "/platform/people/?name=%00"]

    answers = {page: ada.client.get(page.replace("\0", "%00")).status_code for page in pages}

    assert {page: status for page, status in answers.items() if status not in (400, 404)} == {}


def test_tokens_are_revoked_from_the_list(ada, alice, acme):
    token = ApiTokenFactory(tenant=acme, user=alice.user)

    ada.client.post(changelist(ApiToken), {"action": "revoke", "_selected_action": [token.pk]})

    with tenant_scope(acme.pk):
        assert ApiToken.objects.get(pk=token.pk).revoked_at is not None


def test_tenants_staff_are_not_offered_to_revoke(operator, alice, acme):
    token = ApiTokenFactory(tenant=acme, user=alice.user)

    page = operator.client.get(changelist(ApiToken))
    operator.client.post(changelist(ApiToken), {"action": "revoke", "_selected_action": token.pk})

    assert b'value="revoke"' not in page.content
    with tenant_scope(acme.pk):
        assert ApiToken.objects.get(pk=token.pk).revoked_at is None
