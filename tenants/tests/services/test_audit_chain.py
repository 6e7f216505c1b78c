from datetime import timedelta

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from tenants.models import AuditEntry, AuditSeal, Tenant, platform_scope
from tenants.services.audit_chain import GENESIS, is_anchored, seal, verify
from tenants.tests.factories import AuditEntryFactory, TenantFactory


@pytest.fixture
def log(acme, globex) -> list[AuditEntry]:
    """Entries of two tenants and one of the platform, older than the sealer's minute."""
    old = timezone.now() - timedelta(hours=1)
    return [
        AuditEntryFactory(tenant=acme, at=old, detail={"ports": [443, 8080], "zoë": None}),
        AuditEntryFactory(tenant=globex, at=old),
        AuditEntryFactory(tenant=None, at=old, event="user.created"),
        AuditEntryFactory(tenant=acme, at=old, reason="because"),
    ]


def seals() -> list[AuditSeal]:
    with platform_scope("test"):
        return list(AuditSeal.objects.select_related("entry").order_by("sequence"))


def test_empty_log_holds(db):
    found = verify()

    assert (found.holds, found.sealed, found.head) == (True, 0, GENESIS)


def test_entries_of_all_tenants_stand_in_one_chain_in_order(log):
    assert seal(100) == 4
    assert seal(100) == 0

    assert [row.entry_id for row in seals()] == [entry.pk for entry in log]
    assert [row.sequence for row in seals()] == [1, 2, 3, 4]
    found = verify()
    assert (found.holds, found.sealed, found.head) == (True, 4, seals()[-1].hash)


def test_sealing_in_parts_gives_the_same_chain(log):
    assert [seal(1), seal(2), seal(100)] == [1, 2, 1]

    assert verify().holds


def test_late_commit_is_sealed_after_newer_entries(log, acme):
    """Ids are given before the commit, so a lower one may be seen later."""
    with platform_scope("test"):
        lowest = log[0].pk - 1
        seal(100)
        AuditEntry(
            pk=lowest, tenant=acme, at=timezone.now(), actor="slow", event="segment.created"
        ).save(force_insert=True)

    assert seal(100) == 1
    assert seals()[-1].entry_id == lowest
    assert verify().holds


def test_unsealed_entry_is_named_once_it_is_late(log):
    found = verify()

    assert not found.holds
    assert f"Entry {log[0].pk} (segment.created" in found.broken
    assert "was never sealed" in found.broken


def test_fresh_entry_may_wait_for_the_sealer(acme):
    AuditEntryFactory(tenant=acme)

    assert verify().holds


def test_anchor_is_an_earlier_head(log):
    seal(2)
    head = verify().head
    seal(100)

    assert is_anchored(2, head)
    assert not is_anchored(2, GENESIS)
    assert not is_anchored(99, head)


@pytest.mark.parametrize("table", ["tenants_auditentry", "tenants_auditseal"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
def test_log_only_grows(log, table, statement):
    seal(100)
    column = "actor" if table == "tenants_auditentry" else "hash"

    with pytest.raises(DatabaseError, match="only grows"), transaction.atomic():
        _change(statement.format(table, column, column))


def _change(statement: str) -> None:
    with platform_scope("test"), connection.cursor() as cursor:
        cursor.execute(statement)


CHANGED = "is not what was sealed"
FORGED = (
    "INSERT INTO tenants_auditentry (id, tenant_id, at, actor, is_platform_staff, event,"
    " object_type, object_id, object_name, reason, detail, trace_id)"
    " SELECT 1000000, tenant_id, at, actor, is_platform_staff, event,"
    " object_type, object_id, object_name, reason, detail, trace_id"
    " FROM tenants_auditentry WHERE id = %(second)s"
)
# Somebody with a superuser's rights on the database itself, past every trigger and policy.
TAMPERINGS = {
    "UPDATE tenants_auditentry SET actor = 'mallory' WHERE id = %(second)s": CHANGED,
    "UPDATE tenants_auditentry SET detail = '{\"x\": 1}' WHERE id = %(second)s": CHANGED,
    "UPDATE tenants_auditentry SET at = at - interval '1 day' WHERE id = %(second)s": CHANGED,
    "UPDATE tenants_auditentry SET tenant_id = NULL WHERE id = %(second)s": CHANGED,
    "UPDATE tenants_auditseal SET hash = repeat('0', 64) WHERE entry_id = %(second)s": CHANGED,
    "DELETE FROM tenants_auditseal WHERE entry_id = %(second)s": "Seal 2 is missing",
    "DELETE FROM tenants_auditentry WHERE id = %(second)s": "Seal 2 is missing",
    FORGED: "Entry 1000000",
}


@pytest.mark.parametrize("statement", TAMPERINGS)
def test_tampering_names_the_first_entry_that_is_wrong(transactional_db, services, statement):
    tenant: Tenant = TenantFactory()
    old = timezone.now() - timedelta(hours=1)
    _, second = (AuditEntryFactory(tenant=tenant, at=old).pk for _ in range(2))
    AuditEntryFactory(tenant=tenant, at=old)
    seal(100)

    with psycopg.connect(services.superuser_url) as superuser:
        superuser.execute("SET session_replication_role = replica")
        superuser.execute(statement, {"second": second})

    found = verify()
    assert not found.holds
    assert TAMPERINGS[statement] in found.broken
    if TAMPERINGS[statement] == CHANGED:
        assert f"Entry {second} " in found.broken
