"""The pages of the address space: what they show, what they change, and what they cost."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tenants.domain.roles import PlatformRole
from tenants.models import (
    AddressClaim,
    AddressPool,
    Cluster,
    NamespaceGrant,
    PrefixGrant,
    Purpose,
    SubnetClaim,
    VlanGrant,
    VlanRange,
    VniGrant,
    VniRange,
    Vrf,
    platform_scope,
)
from tenants.tests.factories import (
    AddressClaimFactory,
    AddressPoolFactory,
    ClusterFactory,
    NamespaceGrantFactory,
    PrefixGrantFactory,
    ReservedFactory,
    SubnetClaimFactory,
    TenantFactory,
    VlanClaimFactory,
    VlanGrantFactory,
    VlanRangeFactory,
    VniGrantFactory,
    VniRangeFactory,
    VrfFactory,
)
from tenants.tests.people import Person, person


@pytest.fixture
def nora(acme) -> Person:
    """Platform NetOps."""
    return person("nora", acme, None, platform_role=PlatformRole.NETOPS)


@pytest.fixture
def otto(acme) -> Person:
    """An auditor of the platform."""
    return person("otto", acme, None, platform_role=PlatformRole.AUDITOR)


def page(who: Person, name: str, /, *args: object, **query: str):
    return who.client.get(reverse(f"tenants:space-{name}", args=args), query)


def post(who: Person, name: str, /, *args: object, **body: object):
    return who.client.post(reverse(f"tenants:space-{name}", args=args), body)


def errors(response) -> dict[str, list[str]]:
    return dict(response.context["form"].errors)


@pytest.mark.parametrize(
    ("kind", "body", "model", "expected"),
    [
        ("vrfs", {"name": "red", "owner": "acme"}, Vrf, {"name": "red"}),
        (
            "pools",
            {"name": "nets", "vrf": "default", "prefix": "10.96.0.0/11", "purpose": "subnets"},
            AddressPool,
            {"prefix": "10.96.0.0/11"},
        ),
        (
            "vlan-ranges",
            {"name": "vlans", "cluster": "local", "trunk": "1.2", "first": 101, "last": 199},
            VlanRange,
            {"trunk": "1.2", "last": 199},
        ),
        (
            "vni-ranges",
            {"name": "vnis", "cluster": "local", "first": 10000, "last": 10999},
            VniRange,
            {"last": 10999},
        ),
        (
            "reserved",
            {"cluster": "local", "vrf": "default", "prefix": "10.0.0.0/24", "reason": "routers"},
            AddressClaim,
            {"address": "10.0.0.0/24", "role": "reserved", "user": "routers"},
        ),
        (
            "namespace-grants",
            {"tenant": "acme", "cluster": "local", "pattern": "acme-*"},
            NamespaceGrant,
            {"pattern": "acme-*"},
        ),
    ],
)
def test_each_kind_is_made_by_its_form(nora, cluster, kind, body, model, expected):
    assert page(nora, "create", kind).status_code == 200

    made = post(nora, "create", kind, **body)

    assert made.status_code == 302, errors(made)
    with platform_scope("test"):
        assert model.objects.filter(**expected).count() == 1


def test_grants_of_a_part_and_of_the_whole(nora, cluster):
    AddressPoolFactory(name="front", prefix="127.10.0.0/16")
    VlanRangeFactory(name="vlans", first=100, last=199)
    VniRangeFactory(name="vnis", first=5000, last=5999)

    made = [
        post(nora, "create", "prefix-grants", tenant="acme", pool="front", prefix="127.10.4.0/24"),
        post(nora, "create", "vlan-grants", tenant="acme", vlan_range="vlans", first=150, last=159),
        post(nora, "create", "vni-grants", tenant="acme", vni_range="vnis"),
    ]

    assert [response.status_code for response in made] == [302, 302, 302]
    with platform_scope("test"):
        assert PrefixGrant.objects.get().prefix == "127.10.4.0/24"
        assert str(VlanGrant.objects.get()) == "VLAN 150-159 on trunk 1.1"
        assert str(VniGrant.objects.get()) == "VNI 5000-5999"


def test_a_pool_is_changed_and_shows_what_it_has(nora, cluster):
    pool = AddressPoolFactory(name="front", prefix="127.10.0.0/16", description="old")
    shown = page(nora, "edit", "pools", pool.pk).context["form"]

    saved = post(
        nora,
        "edit",
        "pools",
        pool.pk,
        name="front",
        vrf="default",
        prefix="127.10.0.0/15",
        purpose="addresses",
        description="new",
    )

    assert shown["prefix"].value() == "127.10.0.0/16"
    assert shown["vrf"].value() == "default"
    assert saved.status_code == 302
    pool.refresh_from_db()
    assert (pool.prefix, pool.description) == ("127.10.0.0/15", "new")


@pytest.mark.parametrize(
    ("kind", "body", "field", "says"),
    [
        (
            "pools",
            {"name": "b", "vrf": "default", "prefix": "10.1.0.0/16", "purpose": "subnets"},
            "prefix",
            "overlaps address pool a (10.0.0.0/8)",
        ),
        (
            "pools",
            {"name": "a", "vrf": "default", "prefix": "11.0.0.0/8", "purpose": "subnets"},
            "name",
            "The name a is already taken",
        ),
        (
            "pools",
            {"name": "b", "vrf": "default", "prefix": "11.0.0.1/8", "purpose": "subnets"},
            "prefix",
            "Write 11.0.0.1/8 as 11.0.0.0/8.",
        ),
        (
            "vlan-ranges",
            {"name": "v", "cluster": "local", "trunk": "1.1", "first": 9, "last": 3},
            "first",
            "in this order",
        ),
        ("vrfs", {"name": "red", "owner": "nobody"}, "owner", "There is no tenant nobody."),
        ("vrfs", {"name": "Not Red"}, "name", "lower-case"),
        (
            "prefix-grants",
            {"tenant": "acme", "pool": "a", "prefix": "11.0.0.0/24"},
            "prefix",
            "does not lie in the range",
        ),
        (
            "namespace-grants",
            {"tenant": "acme", "cluster": "local", "pattern": "*"},
            "pattern",
            "Write a name",
        ),
        (
            "reserved",
            {"cluster": "local", "vrf": "default", "prefix": "10.0.0.0/99", "reason": "x"},
            "prefix",
            "10.0.0.0/99",
        ),
    ],
)
def test_a_refusal_stands_at_its_field_and_keeps_what_was_typed(
    nora, cluster, kind, body, field, says
):
    AddressPoolFactory(name="a", prefix="10.0.0.0/8", purpose=Purpose.SUBNETS.value)

    refused = post(nora, "create", kind, **body)

    assert refused.status_code == 400
    assert says in " ".join(errors(refused)[field])
    assert refused.context["form"]["name" if "name" in body else field].value() == body.get(
        "name", body[field]
    )


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("fe80::%eth0/64", "'fe80::%eth0/64' names an interface; leave out %eth0."),
        ("10.96.0.5/11", "Write 10.96.0.5/11 as 10.96.0.0/11."),
        ("0/0", "Write 0/0 as 0.0.0.0/0, or ::/0 for IPv6."),
        ("::ffff:10.0.0.0/104", "Write ::ffff:10.0.0.0/104 as 10.0.0.0/8."),
        ("2001:DB8::/32", "Write 2001:DB8::/32 as 2001:db8::/32."),
        ("nonsense", "'nonsense' is not an IP address such as 10.1.0.5 or 2001:db8::5."),
    ],
)
def test_a_prefix_has_one_spelling_on_every_form(nora, acme, cluster, typed, says):
    AddressPoolFactory(name="a", prefix="10.0.0.0/8", purpose=Purpose.SUBNETS.value)
    bodies = {
        "pools": {"name": "b", "vrf": "default", "prefix": typed, "purpose": "subnets"},
        "prefix-grants": {"tenant": "acme", "pool": "a", "prefix": typed},
        "reserved": {"cluster": "local", "vrf": "default", "prefix": typed, "reason": "x"},
    }

    for kind, body in bodies.items():
        refused = post(nora, "create", kind, **body)

        assert (refused.status_code, errors(refused)) == (400, {"prefix": [says]})


def test_blanks_around_a_prefix_are_left_out(nora, cluster):
    made = post(
        nora,
        "create",
        "pools",
        name="b",
        vrf="default",
        prefix=" 10.9.0.0/16 ",
        purpose="subnets",
    )

    assert made.status_code == 302
    assert AddressPool.objects.get().prefix == "10.9.0.0/16"


def test_an_address_of_an_interface_is_not_reserved(nora, cluster):
    refused = post(
        nora,
        "create",
        "reserved",
        cluster="local",
        vrf="default",
        prefix="fe80::1%eth0",
        reason="x",
    )

    assert errors(refused) == {"prefix": ["'fe80::1%eth0' names an interface; leave out %eth0."]}


@pytest.mark.parametrize("trunk", ["é x<b>", "1 1", "-1"])
def test_a_trunk_is_named_as_in_a_segment(nora, cluster, trunk):
    body = {"name": "v", "cluster": "local", "trunk": trunk, "first": 1, "last": 9}

    refused = post(nora, "create", "vlan-ranges", **body)

    (said,) = errors(refused)["trunk"]
    assert said.startswith(f"{trunk!r} is not a trunk such as 1.1; use letters")


def test_filters_of_the_admin_take_no_odd_prefix(ada, cluster):
    AddressPoolFactory()

    for model in ("addresspool", "prefixgrant"):
        url = reverse(f"admin:tenants_{model}_changelist")
        assert ada.client.get(url, {"prefix": "fe80::%eth0/64"}).status_code == 302


def test_what_is_in_use_is_not_deleted_and_says_by_whom(nora, acme):
    grant = PrefixGrantFactory(tenant=acme, pool=AddressPoolFactory(name="front"))
    AddressClaimFactory(grant=grant, user="virtual address")

    pool = post(nora, "delete", "pools", grant.pool.pk)
    withdrawn = post(nora, "delete", "prefix-grants", grant.pk)

    assert (pool.status_code, withdrawn.status_code) == (409, 409)
    assert "of tenant acme" in pool.context["refusal"]
    assert "virtual address" in withdrawn.context["refusal"]
    with platform_scope("test"):
        assert PrefixGrant.objects.count() == 1


def test_what_nobody_uses_is_deleted(nora, acme, cluster):
    vlans = VlanRangeFactory()
    grant = VlanGrantFactory(tenant=acme, vlan_range=vlans)
    post(
        nora, "create", "reserved", cluster="local", vrf="default", prefix="10.9.0.0/24", reason="r"
    )
    with platform_scope("test"):
        kept = AddressClaim.objects.get()
    vrf = VrfFactory(name="red")

    asked = page(nora, "delete", "vrfs", vrf.pk)
    gone = [
        post(nora, "delete", "vlan-grants", grant.pk),
        post(nora, "delete", "vlan-ranges", vlans.pk),
        post(nora, "delete", "reserved", kept.pk),
        post(nora, "delete", "vrfs", vrf.pk),
    ]

    assert asked.status_code == 200
    assert [response.status_code for response in gone] == [302] * 4
    with platform_scope("test"):
        assert not VlanRange.objects.exists()
        assert not AddressClaim.objects.exists()
        assert not SubnetClaim.objects.exists()
        assert list(Vrf.objects.values_list("name", flat=True)) == ["default"]


def test_a_tenants_own_claim_is_no_reservation(nora):
    claim = AddressClaimFactory()

    assert post(nora, "delete", "reserved", claim.pk).status_code == 404


def test_clusters_are_made_and_deleted_by_administrators_alone(nora, ada, otto):
    assert post(nora, "create", "clusters", name="east", flavour="local").status_code == 403
    assert "Add cluster" not in page(nora, "clusters").text
    made = post(ada, "create", "clusters", name="east", flavour="local")
    again = post(ada, "create", "clusters", name="east", flavour="spk")
    second = post(ada, "create", "clusters", name="west", flavour="local")
    east = Cluster.objects.get(name="east")
    VlanRangeFactory(name="vlans", cluster=east)
    used = post(ada, "delete", "clusters", east.pk)
    VlanRange.objects.all().delete()
    gone = post(ada, "delete", "clusters", east.pk)

    assert (made.status_code, gone.status_code) == (302, 302)
    assert "already taken" in errors(again)["name"][0]
    assert "The local proxy serves cluster east." in errors(second)["flavour"][0]
    assert (used.status_code, used.context["refusal"]) == (
        409,
        "Cluster east is still used by VLAN range vlans. Delete that first.",
    )
    assert page(otto, "clusters").status_code == 200


def test_auditors_read_and_are_offered_no_button(otto, nora, acme, cluster):
    pool = AddressPoolFactory(name="front")
    PrefixGrantFactory(tenant=acme, pool=pool)
    VlanRangeFactory()
    ReservedFactory(address="10.0.0.1")
    places = [("list",), ("vrfs",), ("grants",), ("reserved",), ("detail", "pools", pool.pk)]

    for place in places:
        main = page(otto, *place).text.partition("<main")[2]

        assert "/new/" not in main
        assert "/edit/" not in main
        assert "/delete/" not in main
        assert "/new/" in page(nora, *place).text.partition("<main")[2]


@pytest.mark.parametrize("kind", ["pools", "vrfs", "prefix-grants"])
def test_auditors_and_members_change_nothing(otto, alice, kind):
    for who, status in ((otto, 403), (alice, 404)):
        assert page(who, "create", kind).status_code == status
        assert post(who, "create", kind, name="x").status_code == status
        assert post(who, "delete", kind, 1).status_code == status


def test_members_of_a_tenant_learn_nothing_of_the_platforms_pages(alice, client):
    for name in ("list", "vrfs", "grants", "reserved", "clusters"):
        assert page(alice, name).status_code == 404
        url = reverse(f"tenants:space-{name}")
        assert client.get(url).headers["Location"] == f"{reverse('login')}?next={url}"
    assert "Address space" not in alice.client.get("/t/acme/networks/").text


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("10.4.7.9", [("subnet", "acme"), ("grant", "acme"), ("pool", "")]),
        ("10.4.7.0/24", [("subnet", "acme"), ("grant", "acme"), ("pool", "")]),
        ("127.10.0.1", [("address", "acme"), ("grant", "acme"), ("pool", "")]),
        ("150", [("VLAN", "acme"), ("grant", "acme"), ("range", "")]),
        ("vlan 150", [("VLAN", "acme"), ("grant", "acme"), ("range", "")]),
        ("VNI 150", []),
        ("VNI 7000", []),
        ("203.0.113.9", []),
    ],
)
def test_who_owns_it_is_answered_for_addresses_and_tags(otto, acme, asked, expected):
    nets = AddressPoolFactory(name="n", prefix="10.0.0.0/8", purpose=Purpose.SUBNETS.value)
    SubnetClaimFactory(grant=PrefixGrantFactory(tenant=acme, pool=nets), prefix="10.4.0.0/16")
    front = AddressPoolFactory(name="f", prefix="127.10.0.0/16")
    AddressClaimFactory(grant=PrefixGrantFactory(tenant=acme, pool=front), user="virtual address")
    VlanClaimFactory(
        grant=VlanGrantFactory(tenant=acme, vlan_range=VlanRangeFactory()),
        tag=150,
        user="segment w",
    )

    found = page(otto, "list", q=asked).context

    assert [(holder.kind, holder.tenant) for holder in found["answer"].holders] == expected
    assert found["refusal"] == ""


@pytest.mark.parametrize("asked", ["nonsense", "0", "99999999999", "10.0.0.1/8", "10.4.7"])
def test_who_owns_nonsense_is_refused_in_words(otto, asked):
    response = page(otto, "list", q=asked)

    assert response.status_code == 200
    assert asked in response.context["refusal"]


def test_who_owns_an_odd_spelling_is_refused_with_the_right_one(otto):
    response = page(otto, "list", q="::ffff:127.10.1.1")

    assert response.context["refusal"] == "Write ::ffff:127.10.1.1 as 127.10.1.1."


def test_other_grants_of_an_address_are_folded_below_its_owner(otto, acme):
    pool = AddressPoolFactory(name="front", prefix="127.10.0.0/16")
    for _ in range(3):
        PrefixGrantFactory(pool=pool)
    AddressClaimFactory(grant=PrefixGrantFactory(tenant=acme, pool=pool))

    shown = page(otto, "list", q="127.10.0.1").text.partition("<main")[2]

    first, _, folded = shown.partition("<details")
    assert first.count(">grant<") == 1
    assert folded.count(">grant<") == 3
    assert "3 other grants cover it" in folded


def test_a_pool_shows_its_tree_and_counts_what_it_does_not_show(nora, acme, cluster):
    pool = AddressPoolFactory(name="nets", prefix="10.0.0.0/8", purpose=Purpose.SUBNETS.value)
    grant = PrefixGrantFactory(tenant=acme, pool=pool)
    for number in range(23):
        subnet = SubnetClaimFactory(grant=grant, prefix=f"10.0.{number}.0/24", user="segment web")
    with platform_scope("test"):
        first = SubnetClaim.objects.get(prefix="10.0.0.0/24")
        AddressClaim.objects.create(
            tenant=acme,
            cluster=subnet.cluster,
            vrf=first.vrf,
            address="10.0.0.1",
            role="gateway",
            subnet=first,
            subnet_prefix=first.prefix,
            user="gateway of segment web",
        )

    response = page(nora, "detail", "pools", pool.pk)

    (branch,) = response.context["branches"]
    assert (branch.total, len(branch.claims), branch.more) == (23, 20, 3)
    assert [str(address) for address in branch.claims[0].addresses] == ["10.0.0.1"]
    assert "gateway of segment web" in response.text


@pytest.mark.parametrize("rows", [1, 3])
def test_pages_cost_the_same_however_many_rows(rows, otto, acme, cluster):
    pool = AddressPoolFactory(name="nets", prefix="10.0.0.0/8", purpose=Purpose.SUBNETS.value)
    vlans = VlanRangeFactory(first=1, last=50)
    VniRangeFactory()
    for number in range(rows):
        tenant = TenantFactory()
        grant = PrefixGrantFactory(tenant=tenant, pool=pool)
        SubnetClaimFactory(grant=grant, prefix=f"10.0.{number}.0/24")
        VlanClaimFactory(grant=VlanGrantFactory(tenant=tenant, vlan_range=vlans), tag=number + 1)
        VniGrantFactory(tenant=tenant)
        NamespaceGrantFactory(tenant=tenant)
        AddressPoolFactory()
        VrfFactory(name=f"red-{number}", owner=tenant)
        ReservedFactory(address=f"203.0.113.{number}")
        ClusterFactory(name=f"cluster-{number}")
    counts = {}
    for place in (
        ("list",),
        ("vrfs",),
        ("grants",),
        ("reserved",),
        ("clusters",),
        ("detail", "pools", pool.pk),
        ("detail", "vlan-ranges", vlans.pk),
    ):
        with CaptureQueriesContext(connection) as queries:
            assert page(otto, *place).status_code == 200
        counts["/".join(map(str, place[:2]))] = len(queries)

    assert counts == {
        "list": 23,
        "vrfs": 13,
        "grants": 15,
        "reserved": 13,
        "clusters": 13,
        "detail/pools": 26,
        "detail/vlan-ranges": 22,
    }


@pytest.mark.parametrize(
    "path",
    [
        "nothing/new/",
        "nothing/1/",
        "pools/0/",
        "pools/0/edit/",
        "reserved/1/edit/",
        "vrfs/0/delete/",
    ],
)
def test_what_is_not_there_is_not_found(nora, path):
    assert nora.client.get(f"/platform/address-space/{path}").status_code == 404
