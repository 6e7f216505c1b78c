"""Networks on pages: define, change, delete, and take what is free next."""

import pytest
from django.urls import reverse

from proxyconfig.domain import edits
from proxyconfig.domain.intent import (
    EgressPolicy,
    EgressRule,
    Namespace,
    PortList,
    PortRange,
    Segment,
    SelfIp,
    Subnet,
    VirtualAddress,
    VlanLink,
    VxlanLink,
)
from proxyconfig.domain.objects import COLLECTIONS, Key, objects
from proxyconfig.models import IntentObject
from proxyconfig.services import plans
from proxyconfig.services.rows import build_intent
from proxyconfig.tests.conftest import ADDRESS
from proxyconfig.tests.holding import settle
from proxyconfig.tests.ui.browser import sent
from proxyconfig.ui import pages
from tenants.domain.roles import Role
from tenants.models import PrefixGrant, Purpose, Vrf, platform_scope
from tenants.tests.factories import (
    AddressClaimFactory,
    AddressPoolFactory,
    ClusterFactory,
    NamespaceGrantFactory,
    PrefixGrantFactory,
    VlanGrantFactory,
    VlanRangeFactory,
    VniGrantFactory,
    VniRangeFactory,
    VrfFactory,
)
from tenants.tests.people import person

SEGMENT = {
    "name": "db",
    "cluster": "local",
    "vlan_interface": "1.1",
    "vxlan_port": "4789",
    "mtu": "1500",
}


@pytest.fixture
def granted(acme, cluster):
    """Ranges and pools of the platform, given to acme whole."""
    tags = VlanRangeFactory(cluster=cluster, first=200, last=209)
    VlanGrantFactory(tenant=acme, vlan_range=tags)
    VniGrantFactory(tenant=acme, vni_range=VniRangeFactory(cluster=cluster))
    for prefix, purpose in (
        ("10.200.0.0/16", Purpose.SUBNETS),
        ("127.50.0.0/24", Purpose.ADDRESSES),
    ):
        pool = AddressPoolFactory(prefix=prefix, purpose=purpose.value)
        PrefixGrantFactory(tenant=acme, pool=pool)
    NamespaceGrantFactory(tenant=acme, cluster=cluster, pattern="acme-*")


def new(person, collection: str, **typed):
    url = reverse("proxyconfig:network-create", args=["acme", collection])
    return person.client.post(url, {**typed, "step": typed.get("step", "apply"), "reason": "need"})


def intent(person):
    with person.acting():
        return build_intent(person.tenant)


@pytest.mark.parametrize(
    ("key", "created"),
    [
        (Key("segments", "new"), Segment(name="new", cluster="local")),
        (Key("port-lists", "new"), PortList(name="new", ports=(PortRange.single(80),))),
        (
            Key("egress-policies", "new"),
            EgressPolicy(
                name="new",
                rules=(EgressRule(order=1, host="a.example", ports=(PortRange.single(443),)),),
            ),
        ),
    ],
)
def test_object_called_new_has_its_page_beside_that_of_a_new_one(network, alice, key, created):
    with alice.acting() as actor:
        plans.propose(alice.tenant, edits.create(created), actor=actor, reason="why not")

    shown = alice.client.get(pages.edit_of(alice.tenant, key)).context["form"]
    empty = alice.client.get(pages.new_of(alice.tenant, key.collection)).context["form"]
    deleted = alice.client.get(pages.delete_of(alice.tenant, key))

    assert (shown.existing, empty.existing) == (created, None)
    assert deleted.status_code == 200


@pytest.mark.parametrize("collection", ["segments", "virtual-addresses", "snat-pools"])
def test_vrf_is_one_that_the_tenant_was_granted(granted, acme, globex, alice, collection):
    for name, owner in (("red", None), ("own", acme), ("other", None), ("theirs", globex)):
        VrfFactory(name=name, owner=owner)
    pool = AddressPoolFactory(vrf=Vrf.objects.get(name="red"), prefix="10.200.0.0/16")
    PrefixGrantFactory(tenant=acme, pool=pool)
    url = reverse("proxyconfig:network-create", args=["acme", collection])

    field = alice.client.get(url).context["form"].fields["vrf"]
    refused = new(alice, collection, **SEGMENT, vrf="theirs").context["form"]

    assert field.choices == [("", "default"), ("own", "own"), ("red", "red")]
    assert "vrf" in refused.errors


def test_next_free_is_of_the_vrf_that_was_chosen(granted, acme, alice):
    pool = AddressPoolFactory(
        vrf=VrfFactory(name="red"), prefix="10.77.0.0/16", purpose=Purpose.SUBNETS.value
    )
    PrefixGrantFactory(tenant=acme, pool=pool)

    page = new(alice, "segments", **SEGMENT, vlan_tag="200", vrf="red", step="next-subnets")
    subnets = page.context["form"]["subnets"].value()
    new(alice, "segments", **SEGMENT, vlan_tag="200", vrf="red", subnets=subnets)

    (segment,) = intent(alice).segments
    assert (segment.vrf, segment.subnets[0].cidr[:6]) == ("red", "10.77.")


def test_network_is_defined_from_an_empty_tenant_with_next_free(granted, cluster, alice):
    empty = alice.client.get(reverse("proxyconfig:network-list", args=["acme"]))
    tag = (
        new(alice, "segments", **SEGMENT, step="next-vlan_tag").context["form"]["vlan_tag"].value()
    )
    page = new(alice, "segments", **SEGMENT, vlan_tag=tag, step="next-subnets")
    subnets = page.context["form"]["subnets"].value()
    new(alice, "segments", **SEGMENT, vlan_tag=tag, subnets=subnets)
    new(alice, "namespaces", name="acme-rag", cluster="local")
    page = new(alice, "virtual-addresses", cluster="local", step="next-address")
    new(
        alice, "virtual-addresses", cluster="local", address=page.context["form"]["address"].value()
    )
    page = new(alice, "self-ips", segment="db", number="1", step="next-address")
    new(
        alice, "self-ips", segment="db", number="1", address=page.context["form"]["address"].value()
    )

    made = intent(alice)
    (segment,) = made.segments
    assert empty.context["is_empty"]
    assert (segment.vlan.tag, segment.subnets[0].cidr) == (200, "10.200.0.0/24")
    assert [entry.name for entry in made.namespaces] == ["acme-rag"]
    assert len(made.virtual_addresses) == len(made.self_ips) == 1


def test_what_is_free_next_goes_below_what_was_typed(granted, cluster, alice):
    typed = {"name": "out", "cluster": "local", "addresses": "127.50.0.1", "description": "x"}

    form = new(alice, "snat-pools", **typed, step="next-addresses").context["form"]

    assert form["addresses"].value() == "127.50.0.1\n127.50.0.2"
    assert (form["name"].value(), form["description"].value()) == ("out", "x")
    assert not form.errors


def test_next_snat_address_is_from_where_the_others_are(granted, cluster, alice):
    """The pool of virtual addresses comes first in the order of pools."""
    with platform_scope("test"):
        virtual = PrefixGrant.objects.select_related("tenant").get(prefix="127.50.0.0/24")
    AddressClaimFactory(grant=virtual, address="127.50.0.7")
    pool = AddressPoolFactory(prefix="127.60.0.0/24", purpose=Purpose.ADDRESSES.value)
    PrefixGrantFactory(tenant=alice.tenant, pool=pool)
    typed = {"cluster": "local"}

    snat = new(alice, "snat-pools", **typed, name="out", step="next-addresses").context["form"]
    front = new(alice, "virtual-addresses", **typed, step="next-address").context["form"]

    assert snat["addresses"].value() == "127.60.0.1"
    assert front["address"].value() == "127.50.0.1"


def cluster_field(person, collection: str):
    page = person.client.get(reverse("proxyconfig:network-create", args=["acme", collection]))
    return page.context["form"]["cluster"]


@pytest.mark.parametrize("collection", ["segments", "virtual-addresses", "snat-pools"])
def test_new_object_begins_on_the_tenants_own_cluster(granted, alice, collection):
    ClusterFactory(name="east")

    field = cluster_field(alice, collection)

    assert field.value() == "local"
    assert [value for value, _ in field.field.choices] == ["east", "local"]


def test_tenant_that_has_nothing_anywhere_chooses_a_cluster(alice, cluster):
    only = cluster_field(alice, "virtual-addresses").value()
    ClusterFactory(name="east")

    field = cluster_field(alice, "virtual-addresses")
    refused = new(alice, "virtual-addresses", address="127.50.0.5", cluster="")

    assert only == "local"
    assert (field.value(), field.field.choices[0][0]) == ("", "")
    assert list(refused.context["form"].errors) == ["cluster"]


def test_nothing_granted_is_said_beside_the_field(cluster, alice):
    page = new(alice, "segments", **SEGMENT, step="next-vlan_tag")

    (shown,) = [
        entry
        for section in page.context["form"].sections()
        for entry in section.entries
        if entry.field.name == "vlan_tag"
    ]
    assert "granted no VLAN" in shown.complaint
    assert page.context["form"]["name"].value() == "db"


@pytest.mark.parametrize(
    ("collection", "typed", "field", "says"),
    [
        ("segments", {**SEGMENT, "vlan_tag": "205"}, "vlan_tag", "VLAN 205 on trunk 1.1 "),
        ("segments", {**SEGMENT, "vxlan_vni": "5077"}, "vxlan_vni", "VNI 5077 of cluster "),
        (
            "segments",
            {**SEGMENT, "subnets": "10.200.1.0/24\n10.200.9.0/24"},
            "subnets",
            "Line 2: Subnet 10.200.9.0/24 ",
        ),
        ("virtual-addresses", {"cluster": "local", "address": "127.50.0.9"}, "address", "Address "),
        (
            "snat-pools",
            {"name": "out", "cluster": "local", "addresses": "127.50.0.8\n127.50.0.9"},
            "addresses",
            "Line 2: Address 127.50.0.9 ",
        ),
        ("namespaces", {"name": "acme-rag", "cluster": "local"}, "name", "Namespace acme-rag "),
    ],
)
def test_what_another_tenant_has_is_said_at_the_field_that_asks_for_it(
    granted, globex, alice, collection, typed, field, says
):
    settle(
        globex,
        Segment(
            name="a",
            cluster="local",
            vlan=VlanLink(interface="1.1", tag=205),
            subnets=(Subnet(cidr="10.200.9.0/24"),),
        ),
        Segment(name="b", cluster="local", vxlan=VxlanLink(vni=5077)),
        Namespace(name="acme-rag", cluster="local"),
        VirtualAddress(address="127.50.0.9", cluster="local"),
    )

    form = new(alice, collection, **typed).context["form"]

    assert list(form.errors) == [field]
    assert form.errors[field][0].startswith(says)
    assert "is already taken by another tenant" in form.errors[field][0]


def test_a_segment_in_use_takes_another_name(network, alice):
    settle(alice.tenant, SelfIp(segment="front", number=1, address="10.101.0.5"))
    edit = reverse("proxyconfig:network-object", args=["acme", "segments", "front"])
    shown = sent(alice.client.get(edit).context["form"]).dict()

    done = alice.client.post(edit, {**shown, "name": "edge", "step": "apply", "reason": "clearer"})

    made = intent(alice)
    assert done.status_code == 302
    assert [entry.name for entry in made.segments] == ["edge"]
    assert [entry.segment for entry in made.self_ips] == ["edge"]


def test_list_shows_what_is_used_and_by_what(network, alice):
    url = reverse("proxyconfig:ingress-create", args=["acme"])
    alice.client.post(
        url,
        {
            "name": "web",
            "virtual_address": ADDRESS,
            "port": "8080",
            "namespace": "acme-rag",
            "service": "ragapp",
            "service_port": "8080",
            "allowed_sources": "10.0.0.0/8",
            "step": "apply",
            "reason": "open",
        },
    )

    page = alice.client.get(reverse("proxyconfig:network-list", args=["acme"]))

    (segment,) = page.context["segments"]
    (address,) = page.context["virtual_addresses"]
    assert [(use.cidr, use.used, use.total) for use in segment.subnets] == [
        ("10.101.0.0/24", 1, 254)
    ]
    assert len(address.used_by) == 1
    assert page.context["grants"]


def test_object_is_changed_under_its_own_page(network, alice):
    url = reverse("proxyconfig:network-object", args=["acme", "segments", "front"])
    with alice.acting():
        version = IntentObject.objects.get(collection="segments", name="front").version
    typed = {
        **SEGMENT,
        "name": "front",
        "vlan_tag": "101",
        "subnets": "10.101.0.0/24 10.101.0.1",
        "mtu": "9000",
        "version": version,
    }

    review = alice.client.post(url, {**typed, "step": "review"})
    alice.client.post(url, {**typed, "step": "apply", "reason": "jumbo"})

    (change,) = review.context["changes"]
    assert [(line.label, line.before, line.after) for line in change.fields] == [
        ("MTU", "1500", "9000")
    ]
    assert intent(alice).segments[0].mtu == 9000


def test_every_object_has_a_page_and_every_kind_a_form(network, alice, bob):
    with alice.acting():
        rows = list(IntentObject.objects.select_related("tenant"))

    pages = [person.client.get(row.get_absolute_url()) for person in (alice, bob) for row in rows]

    assert {page.status_code for page in pages} == {200}
    for entry in COLLECTIONS:
        area = "network" if entry.is_network else "policy"
        url = reverse(f"proxyconfig:{area}-create", args=["acme", entry.name])
        assert (alice.client.get(url).status_code, bob.client.get(url).status_code) == (200, 403)


def test_devops_read_networks_and_change_none(network, acme):
    dev = person("dev", acme, Role.DEVOPS)

    page = dev.client.get(reverse("proxyconfig:network-list", args=["acme"]))
    refused = new(dev, "namespaces", name="acme-two", cluster="local")

    assert "Add segment" not in page.text
    assert refused.status_code == 403


def test_networks_and_policies_do_not_answer_for_each_other(network, alice):
    for area, collection in (("network", "egress-policies"), ("policy", "segments")):
        url = reverse(f"proxyconfig:{area}-create", args=["acme", collection])

        assert alice.client.get(url).status_code == 404


def test_networks_of_another_tenant_are_not_found(network, charlie):
    urls = [
        reverse("proxyconfig:network-list", args=["acme"]),
        reverse("proxyconfig:network-object", args=["acme", "segments", "front"]),
        reverse("proxyconfig:network-delete", args=["acme", "segments", "front"]),
    ]

    assert {charlie.client.get(url).status_code for url in urls} == {404}


def test_delete_is_counted_as_a_delete(network, alice):
    url = reverse("proxyconfig:network-delete", args=["acme", "segments", "front"])

    review = alice.client.get(url)
    alice.client.post(url, {"step": "apply", "reason": "gone"})

    assert review.context["counts"].deleted == 1
    assert not [key for key in objects(intent(alice)) if key.collection == "segments"]
