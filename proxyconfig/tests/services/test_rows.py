"""Rows say what the intent says, field by field, and keep their keys."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxyconfig.domain import holdings, objects
from proxyconfig.domain.intent import canonical
from proxyconfig.models import IntentObject
from proxyconfig.services.rows import build_intent, write_rows
from proxyconfig.tests.domain.strategies import intents
from proxyconfig.tests.holding import SEEDER, grant
from tenants.models import AddressClaim, AuditEntry, Tenant, platform_scope, tenant_scope
from tenants.models.claim import NamespaceClaim, SubnetClaim, VlanClaim, VniClaim
from tenants.tests.factories import ClusterFactory, TenantFactory

FEW = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
CLAIM_ROWS = (NamespaceClaim, VlanClaim, VniClaim, SubnetClaim, AddressClaim)


@pytest.fixture
def tenant(db) -> Tenant:
    return TenantFactory(slug="law")


def write(tenant: Tenant, intent) -> None:
    for cluster in intent.clusters:
        ClusterFactory(name=cluster)
    grant(tenant, intent)
    with tenant_scope(tenant.pk):
        write_rows(tenant, build_intent(tenant), intent, actor=SEEDER)


def keys(tenant: Tenant) -> dict[objects.Key, int]:
    with tenant_scope(tenant.pk):
        return {row.key: row.pk for row in IntentObject.objects.filter(tenant=tenant)}


def claims_held(tenant: Tenant) -> int:
    with tenant_scope(tenant.pk):
        return sum(model.objects.filter(tenant=tenant).count() for model in CLAIM_ROWS)


@FEW
@given(first=intents(), second=intents())
def test_rows_become_whatever_is_written_and_a_second_write_changes_nothing(tenant, first, second):
    for wanted in (first, second):
        intent = objects.assemble(tenant.slug, objects.objects(wanted).values())
        before = keys(tenant)
        write(tenant, intent)

        with tenant_scope(tenant.pk):
            assert build_intent(tenant) == canonical(intent)
        after = keys(tenant)
        assert {key: after[key] for key in before.keys() & after.keys()} == {
            key: before[key] for key in before.keys() & after.keys()
        }
        assert claims_held(tenant) == len(holdings.claims(intent))

        with platform_scope("test"):
            written = AuditEntry.objects.count()
        write(tenant, intent)
        assert keys(tenant) == after
        with platform_scope("test"):
            assert AuditEntry.objects.count() == written


@FEW
@given(intent=intents(), data=st.data())
def test_deleted_objects_leave_no_row_and_no_claim(tenant, intent, data):
    wanted = objects.assemble(tenant.slug, objects.objects(intent).values())
    write(tenant, wanted)
    write(tenant, objects.assemble(tenant.slug, ()))

    assert keys(tenant) == {}
    assert claims_held(tenant) == 0
