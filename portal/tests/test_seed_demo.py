"""The demo's address space, template and tenants; the documentation names these values."""

from io import StringIO

import pytest
from django.core.management import call_command

from proxyconfig.domain.intent import Intent
from proxyconfig.models import IntentObject, Placement, Plan
from proxyconfig.services.rows import build_intent
from tenants.models import (
    AddressPool,
    AuditEntry,
    Cluster,
    PrefixGrant,
    Tenant,
    TenantTemplate,
    VlanRange,
    VniRange,
    platform_scope,
    tenant_scope,
)
from tenants.tests.factories import TenantFactory

pytestmark = pytest.mark.django_db


def seed(*arguments: str) -> str:
    out = StringIO()
    call_command("seed_demo", *arguments, stdout=out)
    return out.getvalue()


def intent(slug: str) -> Intent:
    with platform_scope("test"):
        tenant = Tenant.objects.get(slug=slug)
    with tenant_scope(tenant.pk):
        return build_intent(tenant)


@pytest.mark.parametrize(
    ("slug", "tag", "subnet", "virtual", "snat"),
    [
        ("acme", 101, "10.101.0.0/24", "127.10.1.1", "127.20.1.1"),
        ("globex", 102, "10.102.0.0/24", "127.10.2.1", "127.20.2.1"),
    ],
)
def test_each_tenant_has_the_network_that_the_documentation_names(slug, tag, subnet, virtual, snat):
    assert seed() == "Tenants acme and globex were made.\n"

    found = intent(slug)

    (segment,) = found.segments
    assert (segment.name, segment.vlan.tag, segment.vlan.interface) == (f"{slug}-vlan", tag, "1.1")
    assert [entry.cidr for entry in segment.subnets] == [subnet]
    assert [entry.address for entry in found.virtual_addresses] == [virtual]
    assert [entry.addresses for entry in found.snat_pools] == [(snat,)]
    assert [entry.name for entry in found.namespaces] == [slug]
    assert (found.ingress_policies, found.egress_policies) == ((), ())


def test_the_address_space_is_the_platforms_and_granted():
    seed()

    with platform_scope("test"):
        assert list(Cluster.objects.values_list("name", "flavour")) == [("local", "local")]
        assert dict(AddressPool.objects.values_list("name", "prefix")) == {
            "virtual": "127.10.0.0/16",
            "snat": "127.20.0.0/16",
            "tenants": "10.96.0.0/11",
        }
        assert VlanRange.objects.get().last == 199
        assert VniRange.objects.get().last == 10999
        assert TenantTemplate.objects.get().name == "standard"
        assert PrefixGrant.objects.count() == 6
        assert dict(Placement.objects.values_list("tenant__slug", "cluster__name")) == {
            "acme": "local",
            "globex": "local",
        }


def test_a_second_run_changes_nothing():
    seed()
    with platform_scope("test"):
        before = [model.objects.count() for model in (Plan, IntentObject, AuditEntry)]

    assert seed() == "There are tenants already; nothing was changed.\n"

    with platform_scope("test"):
        assert [model.objects.count() for model in (Plan, IntentObject, AuditEntry)] == before


def test_a_database_with_tenants_is_left_alone():
    TenantFactory(slug="initech")

    assert seed() == "There are tenants already; nothing was changed.\n"

    with platform_scope("test"):
        assert list(Tenant.objects.values_list("slug", flat=True)) == ["initech"]
        assert not AddressPool.objects.exists()


def test_demo_goes_beside_other_tenants_when_asked():
    TenantFactory(slug="initech")

    assert seed("--beside") == "Tenants acme and globex were made.\n"
    assert seed("--beside") == "There are tenants already; nothing was changed.\n"
