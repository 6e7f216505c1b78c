"""Templates, and tenants made from them, by REST."""

import pytest

from proxyconfig.services.rows import build_intent
from tenants.domain.roles import PlatformRole, Role
from tenants.models import (
    AuditEntry,
    Membership,
    Purpose,
    Tenant,
    TenantTemplate,
    platform_scope,
    tenant_scope,
)
from tenants.tests.factories import AddressPoolFactory, UserFactory, VlanRangeFactory
from tenants.tests.people import Person, person

TEMPLATES = "/api/v1/templates"
TENANTS = "/api/v1/tenants"
SPEC = {
    "cluster": "local",
    "segments": [
        {
            "name": "{tenant}-vlan",
            "vlan_range": "vlans",
            "subnets": [{"pool": "nets", "length": 24}],
        }
    ],
    "virtual_addresses": [{"pool": "front"}],
    "ingress": [{"port": 8080}],
    "limits": {"deletes": 3},
    "quotas": [{"resource": "change-sets", "limit": 5}],
}


@pytest.fixture
def nora(acme) -> Person:
    return person("nora", acme, None, platform_role=PlatformRole.NETOPS)


@pytest.fixture
def otto(acme) -> Person:
    return person("otto", acme, None, platform_role=PlatformRole.AUDITOR)


@pytest.fixture
def space(cluster) -> None:
    AddressPoolFactory(name="front", prefix="127.10.0.0/30")
    AddressPoolFactory(name="nets", prefix="10.96.0.0/16", purpose=Purpose.SUBNETS.value)
    VlanRangeFactory(name="vlans", first=101, last=199)


def send(who: Person, method: str, url: str, **body: object):
    return getattr(who.client, method)(url, body, content_type="application/json")


def make(who: Person, **more: object):
    return send(who, "post", TEMPLATES, name="standard", spec=SPEC, **more)


def test_a_template_is_made_read_changed_and_deleted(space, nora):
    made = make(nora, description="What most get")
    read = nora.client.get(made.headers["Location"]).json()
    changed = send(
        nora,
        "put",
        f"{TEMPLATES}/standard",
        name="small",
        spec={"cluster": "local", "namespaces": ["{tenant}"]},
    )
    listed = nora.client.get(TEMPLATES).json()["results"]
    gone = nora.client.delete(f"{TEMPLATES}/small")

    assert (made.status_code, changed.status_code, gone.status_code) == (201, 200, 204)
    assert read["description"] == "What most get"
    assert read["spec"]["segments"][0]["subnets"] == [
        {"pool": "nets", "length": 24, "gateway": True}
    ]
    assert read["spec"]["limits"]["deletes"] == 3
    assert [entry["name"] for entry in listed] == ["small"]
    assert not TenantTemplate.objects.exists()
    with platform_scope("test"):
        events = AuditEntry.objects.filter(event__startswith="template.")
        assert list(events.order_by("pk").values_list("event", "actor")) == [
            ("template.created", "nora"),
            ("template.changed", "nora"),
            ("template.deleted", "nora"),
        ]


def test_what_was_read_can_be_written_again(space, nora):
    make(nora)
    read = nora.client.get(f"{TEMPLATES}/standard").json()
    del read["updated_at"]

    assert send(nora, "put", f"{TEMPLATES}/standard", **read).json()["spec"] == read["spec"]


def test_only_platform_staff_read_templates_and_only_netops_write_them(space, nora, otto, alice):
    make(nora)

    assert otto.client.get(TEMPLATES).status_code == 200
    assert alice.client.get(TEMPLATES).status_code == 403
    for who in (otto, alice):
        assert make(who).status_code == 403
        assert send(who, "put", f"{TEMPLATES}/standard", name="x", spec=SPEC).status_code == 403
        assert who.client.delete(f"{TEMPLATES}/standard").status_code == 403


def test_a_template_that_could_make_no_tenant_says_where(space, nora):
    spec = {**SPEC, "virtual_addresses": [{"pool": "nets"}]}

    problem = send(nora, "post", TEMPLATES, name="standard", spec=spec).json()
    misspelt = send(nora, "post", TEMPLATES, name="standard", spec={**SPEC, "segmets": []}).json()

    assert problem["title"] == "template.invalid"
    assert problem["errors"][0]["pointer"] == "/virtual_addresses"
    assert "Pool nets is for subnets." in problem["errors"][0]["message"]
    assert "segments" in misspelt["errors"][0]["message"]


def test_a_tenant_from_a_template_comes_with_its_network_and_members(space, nora):
    make(nora)
    UserFactory(username="erin")

    made = send(
        nora,
        "post",
        TENANTS,
        slug="initech",
        name="Initech",
        template="standard",
        reason="They signed",
        members=[{"username": "erin", "role": "netops"}],
        begin={"vlan_tag": 150},
    )

    body = made.json()
    assert (made.status_code, made.headers["Location"]) == (201, "/api/v1/tenants/initech")
    assert (body["slug"], body["generation"], body["plan"]["state"]) == ("initech", 1, "Approved")
    with platform_scope("test"):
        tenant = Tenant.objects.get(slug="initech")
        membership = Membership.objects.get(tenant=tenant)
    assert (membership.user_id, membership.role) != (None, None)
    with tenant_scope(tenant.pk):
        found = build_intent(tenant)
    assert [segment.vlan.tag for segment in found.segments] == [150]
    assert [policy.name for policy in found.ingress_policies] == ["web"]


def test_a_full_pool_makes_no_tenant(space, nora):
    make(nora)
    for slug in ("one", "two"):
        send(nora, "post", TENANTS, slug=slug, name=slug, template="standard", reason="demo")

    refused = send(
        nora, "post", TENANTS, slug="three", name="Three", template="standard", reason="demo"
    )

    assert (refused.status_code, refused.json()["title"]) == (409, "pool-full")
    with platform_scope("test"):
        assert not Tenant.objects.filter(slug="three").exists()


def test_a_tenant_without_a_template_is_made_as_before(nora, alice):
    made = send(nora, "post", TENANTS, slug="initech", name="Initech")
    refused = send(alice, "post", TENANTS, slug="hooli", name="Hooli")

    assert (made.status_code, refused.status_code) == (201, 403)


@pytest.mark.parametrize(
    ("more", "status", "says"),
    [
        ({"template": "none", "reason": "x"}, 404, "There is no template none"),
        ({"template": "standard"}, 400, "Say why"),
        ({"members": [{"username": "alice", "role": "netops"}]}, 400, "come with a template"),
    ],
)
def test_a_wrong_request_makes_no_tenant(space, nora, more, status, says):
    make(nora)

    response = send(nora, "post", TENANTS, slug="initech", name="Initech", **more)

    assert response.status_code == status
    assert says in response.json()["detail"]
    with platform_scope("test"):
        assert not Tenant.objects.filter(slug="initech").exists()


@pytest.mark.parametrize("role", [Role.NETOPS, Role.DEVOPS])
def test_members_of_a_tenant_make_no_tenants(space, nora, acme, role):
    make(nora)
    member = person("erin", acme, role)

    response = send(member, "post", TENANTS, slug="x", name="X", template="standard", reason="mine")

    assert response.status_code == 403
