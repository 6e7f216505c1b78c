"""The platform's pages: who sees them, and that a tenant's network can be defined on them alone."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from portal.tests.test_pages import INLINE
from proxyconfig.services.rows import build_intent
from tenants.domain.roles import PlatformRole
from tenants.models import (
    AddressPool,
    AuditEntry,
    Membership,
    Tenant,
    User,
    platform_scope,
    tenant_scope,
)
from tenants.tests.factories import (
    AddressPoolFactory,
    PrefixGrantFactory,
    VlanRangeFactory,
    VniRangeFactory,
)
from tenants.tests.people import Person, person

READ = (
    "portal:tenant-list",
    "tenants:space-list",
    "tenants:space-vrfs",
    "tenants:space-grants",
    "tenants:space-reserved",
    "proxyconfig:template-list",
)
WRITE = ("proxyconfig:template-create", "proxyconfig:tenant-create")
PEOPLE = ("tenants:person-list", "tenants:person-create")
KINDS = ("pools", "vlan-ranges", "vni-ranges", "vrfs")


@pytest.fixture
def pat(acme) -> Person:
    """NetOps of the platform."""
    return person("pat", acme, None, platform_role=PlatformRole.NETOPS)


@pytest.fixture
def otto(acme) -> Person:
    """Auditor of the platform."""
    return person("otto", acme, None, platform_role=PlatformRole.AUDITOR)


@pytest.fixture
def space(acme, cluster) -> AddressPool:
    """One of each."""
    VlanRangeFactory(cluster=cluster)
    VniRangeFactory(cluster=cluster)
    pool = AddressPoolFactory(name="virtual", prefix="127.110.0.0/16")
    PrefixGrantFactory(tenant=acme, pool=pool)
    return pool


def statuses(who: Person, names) -> dict[str, int]:
    return {name: who.client.get(reverse(name)).status_code for name in names}


def test_platform_pages_are_for_the_platforms_staff(ada, pat, otto, alice, space):
    everything = (*READ, *WRITE, *PEOPLE)

    assert statuses(ada, everything) == dict.fromkeys(everything, 200)
    assert statuses(pat, (*READ, *WRITE)) == dict.fromkeys((*READ, *WRITE), 200)
    assert statuses(pat, PEOPLE) == dict.fromkeys(PEOPLE, 403)
    assert statuses(otto, READ) == dict.fromkeys(READ, 200)
    assert statuses(otto, (*WRITE, *PEOPLE)) == dict.fromkeys((*WRITE, *PEOPLE), 403)
    assert set(statuses(alice, everything).values()) <= {403, 404}


def test_nothing_is_inline_on_platform_pages(ada, space):
    for name in (*READ, *WRITE, *PEOPLE):
        assert INLINE.findall(ada.client.get(reverse(name)).text) == []


def test_auditor_writes_nothing(otto, space):
    for kind in KINDS:
        page = reverse("tenants:space-create", args=[kind])
        assert otto.client.post(page, {}).status_code in {403, 404}
    assert otto.client.post("/t/acme/settings/guardrails/", {"reason": "x"}).status_code == 403
    assert otto.client.post("/t/acme/settings/pause/", {"reason": "x"}).status_code == 403


def test_who_owns_an_address(pat, space):
    found = pat.client.get(reverse("tenants:space-list"), {"q": "127.110.1.1"})

    assert "acme" in found.text


def test_pool_that_overlaps_is_refused_at_its_field(pat, space):
    kind = next(k for k in ("pools", "pool") if _exists(pat, k))
    page = reverse("tenants:space-create", args=[kind])
    body = {"name": "again", "vrf": "default", "prefix": "127.110.4.0/24", "purpose": "addresses"}

    refused = pat.client.post(page, body)

    assert refused.status_code in {200, 400}
    assert "virtual" in refused.text
    assert AddressPool.objects.count() == 1
    body["prefix"] = "127.111.0.0/24"
    assert pat.client.post(page, body).status_code == 302
    assert AddressPool.objects.get(name="again").prefix == "127.111.0.0/24"


def _exists(who: Person, kind: str) -> bool:
    return who.client.get(reverse("tenants:space-create", args=[kind])).status_code == 200


def test_empty_tenant_is_made_with_its_first_netops(pat, alice):
    body = {"slug": "initech", "name": "Initech", "template": "", "netops": "alice", "reason": "x"}

    made = pat.client.post(reverse("proxyconfig:tenant-create"), body)

    assert made.status_code == 302
    with platform_scope("test"):
        tenant = Tenant.objects.get(slug="initech")
        member = Membership.objects.get(tenant=tenant)
        assert (member.user.username, member.role) == ("alice", "netops")


def test_person_is_made_with_a_platform_role(ada):
    body = {
        "username": "nora",
        "password": "correct-horse-9-battery",
        "role": "netops",
        "is_active": "on",
    }

    made = ada.client.post(reverse("tenants:person-create"), body)

    assert made.status_code == 302, made.context["form"].errors
    user = User.objects.get(username="nora")
    assert user.platform_role == "netops"
    assert user.check_password("correct-horse-9-battery")
    with platform_scope("test"):
        assert AuditEntry.objects.filter(event="user.created", object_name="nora").exists()


def test_members_get_roles_on_the_settings_page(alice, acme, db):
    User.objects.create(username="dora")

    made = alice.client.post("/t/acme/settings/", {"username": "dora", "role": "devops"})

    assert made.status_code == 302
    with tenant_scope(acme.pk):
        member = Membership.objects.get(user__username="dora")
    edited = alice.client.post(f"/t/acme/settings/members/{member.pk}/", {"role": "mlops"})
    assert edited.status_code == 302
    gone = alice.client.post(f"/t/acme/settings/members/{member.pk}/remove/")
    assert gone.status_code == 302
    with tenant_scope(acme.pk):
        assert not Membership.objects.filter(user__username="dora").exists()


def test_member_is_not_added_again_with_another_role(alice, bob, acme):
    refused = alice.client.post("/t/acme/settings/", {"username": "bob", "role": "netops"})

    assert refused.status_code == 400
    assert refused.context["form"].errors["username"] == [
        f"bob is a member already, as {bob.role}. Change the role in the list."
    ]
    with tenant_scope(acme.pk):
        assert Membership.objects.get(user=bob.user).role == bob.role


def test_reader_sees_settings_and_changes_none(bob):
    page = bob.client.get("/t/acme/settings/")

    assert page.status_code == 200
    assert '<form method="post"' not in page.text.split("<main", 1)[1]
    assert bob.client.post("/t/acme/settings/", {"username": "x"}).status_code == 403


def test_suspension_shows_where_policies_are_shown(alice, acme, space):
    said = {"reason": "unpaid", "until": "", "is_suspended": "1"}
    assert alice.client.post("/t/acme/settings/pause/", said).status_code == 302

    for path in ("/t/acme/networks/", "/t/acme/policies/"):
        assert "the proxies serve nothing of this tenant" in alice.client.get(path).text
    assert "Suspended by alice" in " ".join(
        alice.client.get("/t/acme/settings/pause/").text.split()
    )


def test_pause_that_ended_by_itself_is_not_shown(alice, acme, space):
    with platform_scope("test"):
        past = timezone.now() - timedelta(minutes=1)
        Tenant.objects.filter(slug="acme").update(is_paused=True, paused_until=past)

    for path in ("/t/acme/networks/", "/t/acme/policies/"):
        assert "Paused" not in alice.client.get(path).text


def test_pause_shows_where_policies_are_shown(alice, acme, space):
    paused = alice.client.post("/t/acme/settings/pause/", {"reason": "migration", "until": ""})

    assert paused.status_code == 302
    for path in ("/t/acme/policies/", "/t/acme/networks/"):
        assert "Paused: still serving revision 0" in alice.client.get(path).text
    resumed = alice.client.post("/t/acme/settings/pause/", {"reason": "done"})
    assert resumed.status_code == 302
    with platform_scope("test"):
        assert not Tenant.objects.get(slug="acme").is_paused


def test_guardrails_are_set_on_their_page(alice, acme):
    page = alice.client.get("/t/acme/settings/guardrails/")
    form = page.context["form"]
    body = {name: field.value() for name, field in ((n, form[n]) for n in form.fields)}
    body = {name: value for name, value in body.items() if value not in (None, False)}

    saved = alice.client.post(
        "/t/acme/settings/guardrails/", {**body, "auto_apply": "", "reason": "four eyes"}
    )

    assert saved.status_code == 302, saved.context["form"].errors
    with platform_scope("test"):
        assert Tenant.objects.get(slug="acme").auto_apply is False


def test_tenant_from_a_template_is_one_form_and_one_plan(db):
    call_command("seed_demo", stdout=StringIO())
    with platform_scope("test"):
        pat = person(
            "pat", Tenant.objects.get(slug="acme"), None, platform_role=PlatformRole.NETOPS
        )
    body = {
        "slug": "initech",
        "name": "Initech",
        "template": "standard",
        "netops": "",
        "reason": "a new customer",
    }

    made = pat.client.post(reverse("proxyconfig:tenant-create"), body)

    assert made.status_code == 302, made.context["form"].errors
    with platform_scope("test"):
        tenant = Tenant.objects.get(slug="initech")
    with tenant_scope(tenant.pk):
        intent = build_intent(tenant)
    assert made["Location"].startswith("/t/initech/plans/")
    assert [entry.name for entry in intent.namespaces] == ["initech"]
    assert len(intent.segments) == len(intent.virtual_addresses) == len(intent.snat_pools) == 1
    edit = pat.client.get(reverse("proxyconfig:template-edit", args=["standard"]))
    assert edit.status_code == 200
