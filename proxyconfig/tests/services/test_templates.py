"""Tenants from templates: everything allocated by one plan, or nothing at all."""

from dataclasses import replace

import pytest

from proxyconfig.domain.fields import Protocol
from proxyconfig.domain.intent import EgressRule, PortRange
from proxyconfig.domain.limits import Limits
from proxyconfig.domain.template import (
    AddressTemplate,
    EgressTemplate,
    IngressTemplate,
    QuotaTemplate,
    SegmentTemplate,
    SubnetTemplate,
    Template,
)
from proxyconfig.models import IntentObject, Plan
from proxyconfig.services import decisions, new_tenants, templates
from proxyconfig.services.limits import limits_of
from proxyconfig.services.new_tenants import Begin, Created, Member
from proxyconfig.services.rows import build_intent
from tenants.domain.actor import Actor
from tenants.domain.quota import Resource
from tenants.domain.roles import PlatformRole, Role
from tenants.errors import ConflictError, ForbiddenError, InvalidError, NotVisibleError
from tenants.models import (
    AddressPool,
    AuditEntry,
    Membership,
    NamespaceGrant,
    PrefixGrant,
    Purpose,
    Quota,
    Tenant,
    VlanGrant,
    VniGrant,
    Vrf,
    platform_scope,
    tenant_scope,
)
from tenants.tests.factories import (
    AddressPoolFactory,
    ClusterFactory,
    UserFactory,
    VlanRangeFactory,
    VniRangeFactory,
    VrfFactory,
)

pytestmark = pytest.mark.django_db
ADMIN = Actor(name="ada", platform_role=PlatformRole.ADMIN)


@pytest.fixture
def nora() -> Actor:
    """Platform NetOps."""
    user = UserFactory(username="nora", platform_role=PlatformRole.NETOPS.value)
    return Actor(name="nora", user_id=user.pk, platform_role=PlatformRole.NETOPS)


@pytest.fixture
def space(cluster) -> None:
    """One pool or range of each kind."""
    AddressPoolFactory(name="front", prefix="127.10.0.0/29")
    AddressPoolFactory(name="back", prefix="127.20.0.0/24")
    AddressPoolFactory(name="nets", prefix="10.96.0.0/22", purpose=Purpose.SUBNETS.value)
    VlanRangeFactory(name="vlans", first=101, last=103, trunk="1.2")
    VniRangeFactory(name="vnis", first=10000, last=10001)


WHOLE = Template(
    cluster="local",
    segments=(
        SegmentTemplate(
            name="{tenant}-vlan",
            vlan_range="vlans",
            subnets=(SubnetTemplate(pool="nets", length=26),),
            self_ips=2,
        ),
        SegmentTemplate(
            name="{tenant}-overlay",
            vni_range="vnis",
            remote_vteps=("198.51.100.1",),
            subnets=(SubnetTemplate(pool="nets", length=27, gateway=False),),
        ),
    ),
    virtual_addresses=(AddressTemplate(pool="front"),),
    snat_addresses=(AddressTemplate(pool="back", count=2),),
    namespaces=("{tenant}", "{tenant}-rag"),
    namespace_grants=("{tenant}-*",),
    ingress=(
        IngressTemplate(
            port=8080, sources=("10.0.0.0/8",), namespace="{tenant}-rag", protocol=Protocol.HTTP
        ),
    ),
    egress=(
        EgressTemplate(
            rules=(EgressRule(order=1, host="pypi.org", ports=(PortRange.single(443),)),)
        ),
    ),
    limits=Limits(deletes=3),
    quotas=(QuotaTemplate(resource=Resource.CHANGE_SETS, limit=7),),
)


def store(wanted: Template = WHOLE, *, name: str = "standard"):
    with platform_scope("test"):
        return templates.save_template(name, wanted, actor=ADMIN)


def create(row, actor: Actor, slug: str = "acme", **kwargs: object) -> Created:
    values = {"name": slug.title(), "reason": "They signed", **kwargs}
    return new_tenants.create_tenant_from(row, slug=slug, actor=actor, **values)


def left_behind() -> list[object]:
    with platform_scope("test"):
        return [
            *Tenant.objects.all(),
            *Plan.objects.all(),
            *IntentObject.objects.all(),
            *PrefixGrant.objects.all(),
            *Membership.objects.all(),
            *AuditEntry.objects.exclude(event__startswith="template."),
        ]


def test_everything_of_the_template_is_allocated_by_one_plan(space, nora):
    created = create(store(), nora)

    with tenant_scope(created.tenant.pk):
        found = build_intent(created.tenant)
        (plan,) = Plan.objects.all()
    overlay, vlan = found.segments
    assert (plan.pk, plan.state, plan.reason) == (created.plan.pk, "Approved", "They signed")
    assert (vlan.name, vlan.vlan.tag, vlan.vlan.interface) == ("acme-vlan", 101, "1.2")
    assert [(entry.cidr, entry.gateway) for entry in vlan.subnets] == [
        ("10.96.0.0/26", "10.96.0.1")
    ]
    assert (overlay.vxlan.vni, overlay.vxlan.remote_vteps) == (10000, ("198.51.100.1",))
    assert [(entry.cidr, entry.gateway) for entry in overlay.subnets] == [("10.96.0.64/27", None)]
    assert [(ip.segment, ip.number, ip.address) for ip in found.self_ips] == [
        ("acme-vlan", 1, "10.96.0.2"),
        ("acme-vlan", 2, "10.96.0.3"),
    ]
    assert [entry.address for entry in found.virtual_addresses] == ["127.10.0.1"]
    assert [entry.addresses for entry in found.snat_pools] == [("127.20.0.1", "127.20.0.2")]
    assert [entry.name for entry in found.namespaces] == ["acme", "acme-rag"]
    assert [(entry.name, entry.backend.namespace) for entry in found.ingress_policies] == [
        ("web", "acme-rag")
    ]
    assert [entry.rules[0].host for entry in found.egress_policies] == ["pypi.org"]
    assert created.tenant.generation == 1


def test_the_tenant_is_granted_the_whole_pools_and_ranges(space, nora):
    tenant = create(store(), nora).tenant

    with platform_scope("test"):
        prefixes = PrefixGrant.objects.filter(tenant=tenant).values_list("prefix", "purpose")
        assert set(prefixes) == {
            ("127.10.0.0/29", "addresses"),
            ("127.20.0.0/24", "addresses"),
            ("10.96.0.0/22", "subnets"),
        }
        assert str(VlanGrant.objects.get()) == "VLAN 101-103 on trunk 1.2"
        assert str(VniGrant.objects.get()) == "VNI 10000-10001"
        assert set(NamespaceGrant.objects.values_list("pattern", flat=True)) == {
            "acme",
            "acme-rag",
            "acme-*",
        }


def test_guardrails_quotas_and_members_come_with_it(space, nora):
    UserFactory(username="alice")
    UserFactory(username="dave")
    members = [Member("alice", Role.NETOPS), Member("dave", Role.DEVOPS)]

    tenant = create(store(), nora, members=members).tenant

    with platform_scope("test"):
        roles = Membership.objects.filter(tenant=tenant).values_list("user__username", "role")
        assert dict(roles) == {"alice": "netops", "dave": "devops"}
        assert Quota.objects.get(tenant=tenant).limit == 7
        assert limits_of(tenant) == Limits(deletes=3)
        assert tenant.auto_apply


def test_the_second_tenant_takes_what_is_free_next(space, nora):
    row = store()

    create(row, nora)
    tenant = create(row, nora, "globex").tenant

    with tenant_scope(tenant.pk):
        found = build_intent(tenant)
    overlay, vlan = found.segments
    assert (vlan.vlan.tag, overlay.vxlan.vni) == (102, 10001)
    assert [entry.cidr for entry in vlan.subnets] == ["10.96.0.128/26"]
    assert [entry.address for entry in found.virtual_addresses] == ["127.10.0.2"]
    assert [entry.addresses for entry in found.snat_pools] == [("127.20.0.3", "127.20.0.4")]


@pytest.mark.parametrize(
    ("begin", "field", "says"),
    [
        (
            Begin(vlan_tag=5),
            "vlan_tag",
            "5 is outside of the template's VLAN ranges: vlans (101-103).",
        ),
        (Begin(vni=7), "vni", "7 is outside of the template's VNI ranges: vnis (10000-10001)."),
        (
            Begin(subnet="10.128.0.0"),
            "subnet",
            "10.128.0.0 is outside of the template's pools of subnets: nets (10.96.0.0/22).",
        ),
        (
            Begin(virtual_address="8.8.8.8"),
            "virtual_address",
            "8.8.8.8 is outside of the template's pools for it: front (127.10.0.0/29).",
        ),
        (
            Begin(virtual_address="::1"),
            "virtual_address",
            "::1 is outside of the template's pools for it: front (127.10.0.0/29).",
        ),
        (
            Begin(snat_address="127.10.0.2"),
            "snat_address",
            "127.10.0.2 is outside of the template's pools for it: back (127.20.0.0/24).",
        ),
    ],
)
def test_the_search_begins_nowhere_else(space, nora, begin, field, says):
    with pytest.raises(InvalidError) as refused:
        create(store(), nora, begin=begin)

    assert refused.value.fields == {field: [says]}
    with platform_scope("test"):
        assert not Tenant.objects.exists()


def test_what_the_template_does_not_take_begins_nowhere(space, nora):
    with pytest.raises(InvalidError) as refused:
        create(store(replace(WHOLE, segments=())), nora, begin=Begin(vlan_tag=101))

    assert refused.value.fields == {
        "vlan_tag": ["101 is outside of the template, which takes none."]
    }


def test_the_search_begins_where_it_is_told(space, nora):
    begin = Begin(vlan_tag=103, vni=10001, subnet="10.96.2.0", snat_address="127.20.0.9")

    tenant = create(store(), nora, begin=begin).tenant

    with tenant_scope(tenant.pk):
        found = build_intent(tenant)
    overlay, vlan = found.segments
    assert (vlan.vlan.tag, overlay.vxlan.vni) == (103, 10001)
    assert [entry.cidr for entry in (*vlan.subnets, *overlay.subnets)] == [
        "10.96.2.0/26",
        "10.96.2.64/27",
    ]
    assert [entry.addresses for entry in found.snat_pools] == [("127.20.0.9", "127.20.0.10")]


def test_a_full_range_leaves_nothing_behind(space, nora):
    row = store()
    create(row, nora)
    create(row, nora, "globex")
    before = left_behind()

    with pytest.raises(ConflictError, match="No VNI of cluster local is free") as caught:
        create(row, nora, "initech")

    assert caught.value.code == "pool-full"
    assert left_behind() == before


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"members": [Member("nobody", Role.NETOPS)]}, NotVisibleError, "no active user named"),
        ({"reason": " "}, InvalidError, "Say why"),
        ({"slug": "Not A Slug"}, InvalidError, "lower-case letters"),
    ],
)
def test_a_wrong_request_leaves_nothing_behind(space, nora, change, error, says):
    row = store()

    with pytest.raises(error, match=says):
        create(row, nora, **change)

    assert left_behind() == []


def test_a_name_that_is_taken_leaves_nothing_behind(space, nora):
    row = store()
    create(row, nora)
    before = left_behind()

    with pytest.raises(ConflictError, match="The name acme is already taken"):
        create(row, nora)

    assert left_behind() == before


@pytest.mark.parametrize(
    "actor",
    [
        Actor(name="alice", user_id=1, role=Role.NETOPS),
        Actor(name="otto", user_id=1, platform_role=PlatformRole.AUDITOR),
    ],
)
def test_only_platform_netops_and_administrators_make_tenants(space, actor):
    row = store()

    with pytest.raises(ForbiddenError):
        create(row, actor)
    with pytest.raises(ForbiddenError):
        templates.save_template("other", WHOLE, actor=actor)
    with pytest.raises(ForbiddenError):
        templates.delete_template(row, actor=actor)

    assert left_behind() == []


def test_a_plan_beyond_the_guardrails_waits_and_holds_what_it_takes(space, nora):
    strict = Template(
        cluster="local", virtual_addresses=(AddressTemplate(pool="front"),), auto_apply=False
    )

    created = create(store(strict), nora)

    assert created.plan.state == "AwaitingApproval"
    with tenant_scope(created.tenant.pk):
        assert build_intent(created.tenant).virtual_addresses == ()
    other = create(store(strict, name="again"), nora, "globex")
    with tenant_scope(created.tenant.pk):
        decisions.approve(created.plan, actor=ADMIN, comment="fine")
        addresses = [entry.address for entry in build_intent(created.tenant).virtual_addresses]
    with tenant_scope(other.tenant.pk):
        decisions.approve(other.plan, actor=ADMIN, comment="fine")
        others = [entry.address for entry in build_intent(other.tenant).virtual_addresses]
    assert (addresses, others) == (["127.10.0.1"], ["127.10.0.2"])


def test_a_vrf_of_its_own_has_pools_of_its_own(space, nora):
    row = store(
        Template(
            cluster="local",
            own_vrf=True,
            segments=(
                SegmentTemplate(
                    name="{tenant}-net", subnets=(SubnetTemplate(pool="nets", length=24),)
                ),
            ),
        )
    )

    tenants = [create(row, nora, slug).tenant for slug in ("acme", "globex")]

    for tenant in tenants:
        with tenant_scope(tenant.pk):
            (segment,) = build_intent(tenant).segments
        assert (segment.vrf, segment.subnets[0].cidr) == (tenant.slug, "10.96.0.0/24")
    with platform_scope("test"):
        assert Vrf.objects.get(name="acme").owner == tenants[0]
        assert AddressPool.objects.get(name="globex-nets").vrf.name == "globex"


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        ({"cluster": "elsewhere"}, "cluster", "There is no cluster elsewhere."),
        ({"vrf": "red"}, "vrf", "There is no VRF red."),
        ({"vrf": "default", "own_vrf": True}, "vrf", "Name a VRF, or have one made"),
        (
            {"virtual_addresses": (AddressTemplate(pool="none"),)},
            "virtual_addresses",
            "There is no pool none.",
        ),
        (
            {"snat_addresses": (AddressTemplate(pool="nets"),)},
            "snat_addresses",
            "Pool nets is for subnets.",
        ),
        (
            {"virtual_addresses": (AddressTemplate(pool="front", count=9),)},
            "virtual_addresses",
            "has no room for /32",
        ),
        ({"virtual_addresses": ()}, "virtual_addresses", "needs a virtual address"),
        ({"namespaces": ("{tenant}",)}, "ingress", "is none of the template's"),
        (
            {"segments": (SegmentTemplate(name="{tenant}", vlan_range="no"),)},
            "segments",
            "There is no VLAN range no.",
        ),
        (
            {
                "segments": (
                    SegmentTemplate(
                        name="{tenant}",
                        subnets=(SubnetTemplate(pool="nets", length=30),),
                        self_ips=5,
                    ),
                )
            },
            "segments",
            "is not a host address",
        ),
        (
            {
                "segments": (
                    SegmentTemplate(
                        name="{tenant}", subnets=(SubnetTemplate(pool="nets", length=16),)
                    ),
                )
            },
            "segments",
            "has no room for /16",
        ),
        ({"namespaces": ("Bad",)}, "namespaces", "lower-case letters"),
    ],
)
def test_a_template_that_could_make_no_tenant_is_refused_at_its_part(space, wrong, field, says):
    with pytest.raises(InvalidError) as caught:
        store(replace(WHOLE, **wrong))

    assert says in " ".join(caught.value.fields[field])


def test_a_pool_of_another_vrf_or_cluster_is_refused(space):
    AddressPoolFactory(
        name="red", vrf=VrfFactory(name="red"), prefix="10.0.0.0/16", purpose=Purpose.SUBNETS.value
    )
    VlanRangeFactory(name="far", cluster=ClusterFactory(name="far"))
    subnets = (SubnetTemplate(pool="red", length=24),)

    with pytest.raises(InvalidError, match="pool red is in VRF red, not default"):
        store(Template(cluster="local", segments=(SegmentTemplate(name="a", subnets=subnets),)))
    with pytest.raises(InvalidError, match="far is of cluster far, not local"):
        store(Template(cluster="local", segments=(SegmentTemplate(name="a", vlan_range="far"),)))


def test_a_stored_template_reads_as_it_was_written(space):
    assert templates.template_of(store()) == WHOLE
