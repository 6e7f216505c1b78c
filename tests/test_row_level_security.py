"""Every tenant-owned table, found in the model registry and in PostgreSQL's own catalogue."""

import pytest
from django.db import DatabaseError, connection
from psycopg import sql

from portal.checks import check_database
from proxyconfig.models import IntentObject
from ragapp.tests.factories import EvaluationFactory
from tenants.models import platform_scope, tenant_scope
from tenants.models.scoped import ScopeError
from tenants.services import audit_chain
from tenants.tests.factories import AddressClaimFactory
from tenants.tests.people import acme, alice, charlie, cluster, globex
from tests.world import World, tenant_tables, world

__all__ = ["acme", "alice", "charlie", "cluster", "globex"]

# References that cannot cross tenants although they name an id alone.
CROSSING = """
SELECT c.conrelid::regclass::text, a.attname
FROM pg_constraint c
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
WHERE c.contype = 'f' AND array_length(c.conkey, 1) = 1
  AND EXISTS (SELECT FROM pg_attribute t WHERE t.attrelid = c.conrelid AND t.attname = 'tenant_id')
  AND EXISTS (SELECT FROM pg_attribute t WHERE t.attrelid = c.confrelid AND t.attname = 'tenant_id')
ORDER BY 1, 2
"""
GUARDED = """
SELECT c.conrelid::regclass::text, a.attname, c.confrelid::regclass::text
FROM pg_constraint c
JOIN pg_attribute t ON t.attrelid = c.conrelid AND t.attnum = c.conkey[1]
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[2]
WHERE c.contype = 'f' AND t.attname = 'tenant_id'
ORDER BY 1, 2
"""
FORCED = """
SELECT c.relname FROM pg_class c
WHERE c.relrowsecurity AND c.relforcerowsecurity AND c.relkind IN ('r', 'p')
"""
COLUMNS = """
SELECT column_name FROM information_schema.columns
WHERE table_name = %s AND is_generated = 'NEVER' AND is_identity = 'NO' ORDER BY ordinal_position
"""
FOREIGN_KEY_VIOLATION = "23503"
CHECK_VIOLATION = "23514"
WITH_TENANT = """
SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND a.attname = 'tenant_id' AND c.relkind IN ('r', 'p')
"""


def rows(query: str | sql.Composed, *values: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def names(query: str) -> set[str]:
    return {row[0] for row in rows(query)}


def on(statement: str, *identifiers: str) -> sql.Composed:
    """``statement`` with each ``{}`` the name of a table or column."""
    return sql.SQL(statement).format(*map(sql.Identifier, identifiers))


def copied_to_another_tenant(table: str) -> sql.Composed:
    """An insert of every visible row with another tenant's id."""
    columns = [row[0] for row in rows(COLUMNS, table)]
    wanted = [
        sql.SQL("%s::bigint") if name == "tenant_id" else sql.Identifier(name) for name in columns
    ]
    return sql.SQL("INSERT INTO {table} ({columns}) SELECT {wanted} FROM {table}").format(
        table=sql.Identifier(table),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        wanted=sql.SQL(", ").join(wanted),
    )


def sqlstate(world: World, statement: sql.Composed, *values: object) -> str:
    """With which code PostgreSQL refuses ``statement`` in that tenant's scope; "" for none."""
    try:
        with tenant_scope(world.tenant.pk), connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(statement, values)
    except DatabaseError as error:
        return error.__cause__.sqlstate
    return ""


@pytest.fixture
def both(alice, charlie) -> tuple[World, World]:
    """One row of everything, twice: acme's and globex's."""
    worlds = world(alice.tenant, alice.user), world(charlie.tenant, charlie.user)
    audit_chain.seal(1000)
    return worlds


def test_tests_run_as_a_role_that_security_binds(db):
    assert rows(
        "SELECT current_user, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = user"
    ) == [("sluice_app", False, False)]


def test_every_table_with_a_tenant_has_forced_security(both):
    assert names(WITH_TENANT) - names(FORCED) == set()
    assert set(tenant_tables()) - names(FORCED) == set()
    assert {"tenants_tenant", "tenants_auditseal"} <= names(FORCED)


def test_boot_checks_find_nothing(both):
    assert check_database(None, databases=["default"]) == []


def test_rows_of_another_tenant_are_invisible_in_every_table(both):
    mine, theirs = both

    with tenant_scope(theirs.tenant.pk):
        visible = {table: rows(on("SELECT tenant_id FROM {}", table)) for table in tenant_tables()}

    assert {table for table, found in visible.items() if not found} == set()
    assert {row[0] for found in visible.values() for row in found} == {theirs.tenant.pk}
    assert mine.tenant.pk != theirs.tenant.pk


def test_without_a_scope_there_are_no_rows_and_no_queries(both):
    visible = {table: rows(on("SELECT 1 FROM {}", table)) for table in tenant_tables()}

    assert {table for table, found in visible.items() if found} == set()
    with pytest.raises(ScopeError, match="outside a scope"):
        IntentObject.objects.all()


def test_platform_scope_sees_all_tenants(both):
    with platform_scope("test"):
        seen = {
            tenant_id for (tenant_id,) in rows("SELECT tenant_id FROM proxyconfig_intentobject")
        }

    assert seen == {both[0].tenant.pk, both[1].tenant.pk}


def test_no_row_can_be_moved_to_another_tenant(both):
    mine, theirs = both

    refusals = {
        table: sqlstate(theirs, on("UPDATE {} SET tenant_id = %s", table), mine.tenant.pk)
        for table in tenant_tables()
    }

    assert refusals == dict.fromkeys(tenant_tables(), "42501")


def test_no_row_can_be_added_to_another_tenant(both):
    mine, theirs = both

    refusals = {
        table: sqlstate(theirs, copied_to_another_tenant(table), mine.tenant.pk)
        for table in tenant_tables()
    }

    assert refusals == dict.fromkeys(tenant_tables(), "42501")


def test_every_reference_between_tenant_rows_stays_inside_one_tenant(db):
    guarded = {(table, column) for table, column, _ in rows(GUARDED)}

    assert [reference for reference in rows(CROSSING) if tuple(reference) not in guarded] == []


def test_reference_to_another_tenants_row_is_refused(both):
    mine, theirs = both
    # Newest rows that nothing refers to yet, so that no unique key refuses first.
    AddressClaimFactory(grant__tenant=mine.tenant)
    EvaluationFactory(question_set__corpus__tenant=mine.tenant)
    refusals = {}

    for table, column, target in rows(GUARDED):
        with platform_scope("test"):
            query = on("SELECT id FROM {} WHERE tenant_id = %s ORDER BY id DESC", target)
            (foreign,) = rows(query, mine.tenant.pk)[0]
        statement = on("UPDATE {} SET {} = %s", table, column)
        refusals[table, column] = sqlstate(theirs, statement, foreign)

    # A seal cannot be changed at all, and an address lies in a grant or in a subnet, not in both.
    assert refusals.pop(("tenants_auditseal", "entry_id")) == "42501"
    for column in ("grant_id", "subnet_id"):
        assert refusals.pop(("tenants_addressclaim", column)) == CHECK_VIOLATION
    assert refusals == dict.fromkeys(refusals, FOREIGN_KEY_VIOLATION)
    assert len(refusals) >= 9


def test_partition_cannot_be_named_directly(both):
    mine, theirs = both

    for parent in ("ragapp_chunk", "ragapp_posting"):
        read = on("SELECT * FROM {}", f"{parent}_t{mine.tenant.pk}")
        assert sqlstate(theirs, read) == "42501"
        assert sqlstate(mine, read) == "42501"


def test_settings_do_not_outlive_their_transaction(transactional_db, services):
    with tenant_scope(7):
        assert rows("SELECT current_setting('app.tenant', true)") == [("7",)]

    assert rows("SELECT current_setting('app.tenant', true)") == [("",)]


def test_application_role_cannot_switch_security_off(both):
    switch_off = on("ALTER TABLE {} DISABLE ROW LEVEL SECURITY", "proxyconfig_intentobject")

    assert sqlstate(both[0], switch_off) == "42501"
