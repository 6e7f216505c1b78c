"""Migration operations for row-level security, for the migrations of every app."""

from django.db.migrations.operations import RunSQL

TENANT = "tenant_id = nullif(current_setting('app.tenant', true), '')::bigint"
STAFF = "current_setting('app.staff', true) = 'on'"
USER = "nullif(current_setting('app.user', true), '')::bigint"


def protect(table: str, *, using: str = f"{TENANT} OR {STAFF}", check: str = "") -> RunSQL:
    """Enable and force row-level security on ``table``, for its owner too.

    Args:
        using: which rows are visible, as an SQL predicate.
        check: which rows may be written; the same as ``using`` when empty.
    """
    return RunSQL(
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;"
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY;"
        f"CREATE POLICY scope ON {table} USING ({using}) WITH CHECK ({check or using});",
        f"DROP POLICY scope ON {table};"
        f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY;"
        f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;",
    )


def ask_settings_once(table: str) -> RunSQL:
    """Let the policy of a protected ``table`` read its settings once a statement, not once a row.

    A sub-select without a reference to the row is planned to run before the scan. Where a search
    reads tens of thousands of rows, the settings cost more than everything else together.
    """
    once = (
        "tenant_id = (SELECT nullif(current_setting('app.tenant', true), '')::bigint)"
        " OR (SELECT current_setting('app.staff', true)) = 'on'"
    )
    usual = f"{TENANT} OR {STAFF}"
    return RunSQL(
        f"ALTER POLICY scope ON {table} USING ({once}) WITH CHECK ({once});",
        f"ALTER POLICY scope ON {table} USING ({usual}) WITH CHECK ({usual});",
    )


def same_tenant(table: str, column: str, target: str) -> RunSQL:
    """Let ``table.column`` point only at rows of ``target`` that are the same tenant's.

    A plain foreign key is checked without row-level security, so it would accept, and so reveal,
    another tenant's row. ``target`` needs a unique (tenant_id, id).
    """
    name = f"{table}_{column}_same_tenant"
    return RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY (tenant_id, {column})"
        f" REFERENCES {target} (tenant_id, id) ON DELETE NO ACTION DEFERRABLE INITIALLY DEFERRED;",
        f"ALTER TABLE {table} DROP CONSTRAINT {name};",
    )


def append_only(table: str) -> RunSQL:
    """Refuse UPDATE, DELETE and TRUNCATE on ``table``, to the owner too."""
    return RunSQL(
        f"CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{table} only grows' USING ERRCODE = '42501'; END $$;"
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse();",
        f"DROP TRIGGER {table}_append_only ON {table}; DROP FUNCTION {table}_refuse();",
    )


def staff_deletes(table: str) -> RunSQL:
    """Let only the platform's staff delete rows of a protected ``table`` that tenants may read."""
    return RunSQL(
        f"CREATE POLICY staff_deletes ON {table} AS RESTRICTIVE FOR DELETE USING ({STAFF});",
        f"DROP POLICY staff_deletes ON {table};",
    )


def copies(table: str, name: str, columns: str, target: str, target_columns: str) -> RunSQL:
    """Hold ``columns`` of ``table`` equal to those of the row of ``target`` that they name.

    A change there comes along, and is refused where a check of ``table`` then fails; a row that is
    copied cannot be deleted. ``target_columns`` need a unique constraint in the same order.
    """
    full = f"{table}_{name}"
    return RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {full} FOREIGN KEY ({columns})"
        f" REFERENCES {target} ({target_columns}) ON UPDATE CASCADE ON DELETE NO ACTION"
        " DEFERRABLE INITIALLY IMMEDIATE;",
        f"ALTER TABLE {table} DROP CONSTRAINT {full};",
    )


def holds(table: str, name: str, condition: str) -> RunSQL:
    """A check constraint that Django's expressions cannot say; mind that NULL passes."""
    return RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition});",
        f"ALTER TABLE {table} DROP CONSTRAINT {name};",
    )
