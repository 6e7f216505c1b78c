"""The pages of templates: the form says the whole template, and loses nothing of it."""

from dataclasses import replace

import pytest
from django.urls import reverse

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
from proxyconfig.services import templates
from proxyconfig.ui.template_forms import TemplateForm
from tenants.domain.actor import Actor
from tenants.domain.quota import Resource
from tenants.domain.roles import PlatformRole
from tenants.models import AddressPool, AuditEntry, Purpose, Tenant, TenantTemplate, platform_scope
from tenants.tests.factories import (
    AddressPoolFactory,
    ClusterFactory,
    TenantTemplateFactory,
    VlanRangeFactory,
    VniRangeFactory,
)
from tenants.tests.people import Person, person

ADMIN = Actor(name="ada", platform_role=PlatformRole.ADMIN)
WHOLE = Template(
    cluster="local",
    segments=(
        SegmentTemplate(
            name="{tenant}-vlan",
            vlan_range="vlans",
            subnets=(
                SubnetTemplate(pool="nets", length=24),
                SubnetTemplate(pool="nets", length=26, gateway=False),
            ),
            self_ips=2,
            mtu=9000,
        ),
        SegmentTemplate(
            name="{tenant}-overlay",
            vni_range="vnis",
            remote_vteps=("198.51.100.1", "198.51.100.2"),
            subnets=(SubnetTemplate(pool="nets", length=27),),
        ),
        SegmentTemplate(name="{tenant}-more", vlan_range="vlans"),
    ),
    virtual_addresses=(AddressTemplate(pool="front", count=2),),
    snat_addresses=(AddressTemplate(pool="back"),),
    snat_pool="{tenant}-out",
    namespaces=("{tenant}", "{tenant}-rag"),
    namespace_grants=("{tenant}-*",),
    ingress=(
        IngressTemplate(name="web", port=8080, sources=("10.0.0.0/8",), namespace="{tenant}-rag"),
        IngressTemplate(name="more", port=8081),
    ),
    egress=(
        EgressTemplate(
            name="out",
            rules=(EgressRule(order=10, host="pypi.org", ports=(PortRange.single(443),)),),
        ),
    ),
    limits=Limits(deletes=3, ports=(PortRange(8000, 8099),), destinations=("*.example.org",)),
    auto_apply=False,
    quotas=(QuotaTemplate(resource=Resource.CHANGE_SETS, limit=7),),
)
BARE = Template(cluster="local", namespaces=())


@pytest.fixture
def nora(acme) -> Person:
    """Platform NetOps."""
    return person("nora", acme, None, platform_role=PlatformRole.NETOPS)


@pytest.fixture
def otto(acme) -> Person:
    """An auditor of the platform."""
    return person("otto", acme, None, platform_role=PlatformRole.AUDITOR)


@pytest.fixture
def space(cluster) -> None:
    AddressPoolFactory(name="front", prefix="127.10.0.0/24")
    AddressPoolFactory(name="back", prefix="127.20.0.0/24")
    AddressPoolFactory(name="nets", prefix="10.96.0.0/16", purpose=Purpose.SUBNETS.value)
    VlanRangeFactory(name="vlans", first=101, last=199)
    VniRangeFactory(name="vnis", first=10000, last=10999)


def typed(form) -> dict[str, object]:
    """What a browser would post of the form as it is shown."""
    found = {}
    for bound in form:
        value = bound.field.prepare_value(bound.value())
        if value is not None and value is not False:
            found[bound.name] = value
    return found


def store(wanted: Template = WHOLE, name: str = "standard") -> TenantTemplate:
    with platform_scope("test"):
        return templates.save_template(name, wanted, actor=ADMIN)


def said(name: str = "standard") -> Template:
    return templates.template_of(TenantTemplate.objects.get(name=name))


def url(action: str, *args: str) -> str:
    return reverse(f"proxyconfig:template-{action}", args=args)


@pytest.mark.parametrize("wanted", [WHOLE, BARE, Template(cluster="local")])
def test_saving_what_is_shown_changes_nothing(space, nora, wanted):
    store(wanted)
    form = nora.client.get(url("edit", "standard")).context["form"]

    saved = nora.client.post(url("edit", "standard"), typed(form))

    assert saved.status_code == 302, saved.context["form"].errors
    assert said() == wanted


def test_a_template_is_written_on_an_empty_form(space, nora):
    shown = typed(nora.client.get(url("create")).context["form"])
    body = {
        **shown,
        "name": "standard",
        "cluster": "local",
        "vlan_range": "vlans",
        "vlan_subnets": "nets /24\nnets 26 no-gateway",
        "virtual_addresses": "front 2",
        "snat_addresses": "back",
        "ingress_port": "8080",
        "egress_rules": "pypi.org:443",
        "quotas": "change-sets 7",
    }

    made = nora.client.post(url("create"), body)

    assert made.status_code == 302, made.context["form"].errors
    found = said()
    assert found.segments == (
        SegmentTemplate(
            name="{tenant}-vlan",
            vlan_range="vlans",
            subnets=(
                SubnetTemplate(pool="nets", length=24),
                SubnetTemplate(pool="nets", length=26, gateway=False),
            ),
        ),
    )
    assert found.virtual_addresses == (AddressTemplate(pool="front", count=2),)
    assert found.snat_addresses == (AddressTemplate(pool="back"),)
    assert found.namespaces == ("{tenant}",)
    assert [policy.port for policy in found.ingress] == [8080]
    assert [rule.host for rule in found.egress[0].rules] == ["pypi.org"]
    assert found.limits == Limits()
    assert found.auto_apply
    with platform_scope("test"):
        assert AuditEntry.objects.get(event="template.created").actor == "nora"


def test_emptied_parts_go(space, nora):
    store(replace(WHOLE, segments=WHOLE.segments[:2], ingress=WHOLE.ingress[:1]))
    shown = typed(nora.client.get(url("edit", "standard")).context["form"])
    emptied = {
        **shown,
        **dict.fromkeys(("vlan_range", "vlan_subnets", "vni_range", "ingress_port"), ""),
        **dict.fromkeys(("egress_rules", "quotas", "snat_addresses"), ""),
    }

    assert nora.client.post(url("edit", "standard"), emptied).status_code == 302

    found = said()
    assert (found.segments, found.ingress, found.egress) == ((), (), ())
    assert (found.quotas, found.snat_addresses) == ((), ())


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"vlan_subnets": "nets"}, "vlan_subnets", "is not a pool and a size"),
        ({"vlan_subnets": "none /24"}, "vlan_subnets", "There is no pool none."),
        ({"virtual_addresses": "nets 1"}, "virtual_addresses", "Pool nets is for subnets."),
        ({"virtual_addresses": "front x"}, "virtual_addresses", "is not a pool and a number"),
        ({"virtual_addresses": ""}, "virtual_addresses", "needs a virtual address"),
        ({"ingress_namespace": "other"}, "ingress_port", "is none of the template"),
        (
            {"namespaces": "Not-One"},
            "namespaces",
            "Use lower-case letters, digits, hyphens and {tenant}",
        ),
        ({"quotas": "cows 3"}, "quotas", "is not a resource"),
        ({"quotas": "change-sets"}, "quotas", "has no number"),
        ({"egress_rules": "pypi.org:x"}, "egress_rules", "x"),
        ({"name": "Not A Name"}, "name", "lower-case"),
        ({"cluster": "moon"}, "cluster", "moon"),
        ({"limits_deletes": "-1"}, "limits_deletes", "0"),
    ],
)
def test_a_refusal_stands_at_its_part_and_keeps_what_was_typed(space, nora, change, field, says):
    store()
    shown = typed(nora.client.get(url("edit", "standard")).context["form"])

    refused = nora.client.post(url("edit", "standard"), {**shown, **change})

    assert refused.status_code == 400
    form: TemplateForm = refused.context["form"]
    assert says in " ".join(form.errors[field])
    assert form["snat_pool"].value() == "{tenant}-out"
    assert said() == WHOLE


def test_a_name_that_is_taken_is_refused_at_the_name(space, nora):
    store()
    store(BARE, "bare")
    shown = typed(nora.client.get(url("edit", "bare")).context["form"])

    refused = nora.client.post(url("edit", "bare"), {**shown, "name": "standard"})

    assert "already taken" in refused.context["form"].errors["name"][0]


def test_a_template_is_deleted_after_being_asked(space, nora):
    store()

    assert nora.client.get(url("delete", "standard")).status_code == 200
    assert nora.client.post(url("delete", "standard")).status_code == 302
    assert not TenantTemplate.objects.exists()


def test_auditors_read_templates_and_are_offered_no_button(space, otto, alice):
    store()
    edit = otto.client.get(url("edit", "standard"))

    assert "<fieldset disabled>" in edit.text
    assert url("create") not in otto.client.get(url("list")).text
    assert otto.client.post(url("edit", "standard"), {}).status_code == 403
    assert otto.client.get(url("delete", "standard")).status_code == 403
    assert otto.client.get(reverse("proxyconfig:tenant-create")).status_code == 403
    for name in ("list", "create"):
        assert alice.client.get(url(name)).status_code == 404


def test_a_template_that_cannot_be_read_any_more_says_so(nora, db):
    TenantTemplateFactory(name="old", spec={"nothing": 1})

    assert "cannot be read" in nora.client.get(url("list")).text
    assert nora.client.get(url("edit", "old")).status_code == 400


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_costs_the_same_however_many(space, nora, rows, django_assert_num_queries):
    for number in range(rows):
        store(BARE, f"template-{number}")

    with django_assert_num_queries(16):
        assert nora.client.get(url("list")).status_code == 200


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"slug": "acme"}, "slug", "The name acme is already taken"),
        ({"slug": "Not A Slug"}, "slug", "lower-case"),
        ({"netops": "nobody"}, "netops", "There is no active user named nobody"),
        ({"template": "none"}, "template", "none"),
        ({"reason": ""}, "reason", "required"),
        ({"subnet": "nonsense"}, "subnet", "not an IP address"),
    ],
)
def test_a_new_tenant_that_is_refused_says_where_and_leaves_nothing(
    space, nora, change, field, says
):
    store(replace(WHOLE, auto_apply=True))
    body = {"slug": "initech", "name": "Initech", "template": "standard", "reason": "They signed"}

    refused = nora.client.post(reverse("proxyconfig:tenant-create"), {**body, **change})

    assert refused.status_code == 400
    assert says in " ".join(refused.context["form"].errors[field])
    assert refused.context["form"]["name"].value() == "Initech"
    with platform_scope("test"):
        assert list(Tenant.objects.values_list("slug", flat=True)) == ["acme"]


def test_a_full_pool_is_said_at_the_template(nora, cluster):
    AddressPoolFactory(name="one", prefix="127.10.0.1/32")
    store(replace(BARE, virtual_addresses=(AddressTemplate(pool="one"),)))
    body = {"name": "New", "template": "standard", "reason": "They signed"}

    made = nora.client.post(reverse("proxyconfig:tenant-create"), {**body, "slug": "first"})
    full = nora.client.post(reverse("proxyconfig:tenant-create"), {**body, "slug": "second"})

    assert (made.status_code, full.status_code) == (302, 400)
    assert "is free in what tenant second is granted" in full.context["form"].errors["template"][0]
    with platform_scope("test"):
        assert not Tenant.objects.filter(slug="second").exists()


@pytest.mark.parametrize(
    ("template", "field", "typed", "says"),
    [
        ("standard", "virtual_address", "8.8.8.8", "8.8.8.8 is outside of the template's pools"),
        ("standard", "virtual_address", "fe80::1%eth0", "leave out %eth0"),
        ("standard", "virtual_address", "FD00::1", "Write FD00::1 as fd00::1."),
        ("standard", "vlan_tag", "5", "5 is outside of the template's VLAN ranges: vlans (101-"),
        ("", "vni", "5", "Choose a template that takes one."),
    ],
)
def test_a_beginning_elsewhere_is_refused_at_its_field(space, nora, template, field, typed, says):
    store(replace(WHOLE, auto_apply=True, egress=()))
    body = {
        "slug": "initech",
        "name": "Initech",
        "template": template,
        "reason": "They signed",
        field: typed,
    }

    refused = nora.client.post(reverse("proxyconfig:tenant-create"), body)

    assert refused.status_code == 400
    assert says in refused.context["form"].errors[field][0]
    with platform_scope("test"):
        assert not Tenant.objects.filter(slug="initech").exists()


def test_the_form_names_pools_of_the_fitting_purpose_alone(space, nora):
    form = nora.client.get(reverse("proxyconfig:template-create")).context["form"]

    helps = {name: str(field.help_text) for name, field in form.fields.items()}
    nets = [pool.name for pool in AddressPool.objects.filter(purpose="subnets")]
    others = [pool.name for pool in AddressPool.objects.filter(purpose="addresses")]
    for name in ("vlan_subnets", "overlay_subnets"):
        assert helps[name].endswith(f"Pools: {', '.join(nets)}.")
    for name in ("virtual_addresses", "snat_addresses"):
        assert helps[name].endswith(f"Pools: {', '.join(others)}.")


def test_of_several_clusters_a_template_presets_none(space, nora):
    url = reverse("proxyconfig:template-create")
    alone = nora.client.get(url).context["form"].fields["cluster"].choices
    ClusterFactory(name="east")

    several = nora.client.get(url).context["form"].fields["cluster"].choices

    assert alone == [("local", "local")]
    assert [value for value, _ in several] == ["", "east", "local"]


def test_the_search_begins_where_the_form_says(space, nora):
    store(replace(WHOLE, auto_apply=True, egress=()))
    body = {
        "slug": "initech",
        "name": "Initech",
        "template": "standard",
        "reason": "They signed",
        "vlan_tag": "150",
        "subnet": "10.96.9.0",
        "virtual_address": "127.10.0.77",
    }

    made = nora.client.post(reverse("proxyconfig:tenant-create"), body)
    page = nora.client.get(
        made.headers["Location"].replace(made.headers["Location"], "/t/initech/networks/")
    )

    assert made.status_code == 302
    for value in ("150", "10.96.9.0/24", "127.10.0.77"):
        assert value in page.text
