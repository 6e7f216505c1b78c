import psycopg
import pytest

from deploy.local import database
from deploy.local.errors import StartError
from deploy.local.stack import Stack

TABLE = """
CREATE TABLE rows (tenant_id bigint NOT NULL, word text);
ALTER TABLE rows ENABLE ROW LEVEL SECURITY;
ALTER TABLE rows FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON rows
    USING (tenant_id = nullif(current_setting('app.tenant', true), '')::bigint);
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A server with bootstrapped roles and one table of the owner, with rows of two tenants."""
    with Stack(tmp_path_factory.mktemp("database") / "var", services=["postgres"]) as stack:
        bootstrap(stack)
        with psycopg.connect(stack.env["DATABASE_OWNER_URL"], autocommit=True) as owner:
            owner.execute(TABLE)
        with as_app(stack) as app:
            for tenant in ("1", "2"):
                app.execute("SELECT set_config('app.tenant', %s, false)", [tenant])
                app.execute("INSERT INTO rows VALUES (%s, 'secret')", [tenant])
        yield stack


def bootstrap(stack):
    """What the database step does first."""
    database.bootstrap(
        stack.plan.database_url,
        owner_password=stack.plan.credentials.owner_password,
        app_password=stack.plan.credentials.app_password,
    )


def as_app(stack):
    """A connection as every process of Sluice makes it."""
    return psycopg.connect(stack.env["DATABASE_URL"], autocommit=True)


def test_application_role_owns_nothing(stack):
    with as_app(stack) as app:
        owned = app.execute(
            "SELECT relname FROM pg_class WHERE pg_get_userbyid(relowner) = 'sluice_app'"
        ).fetchall()

    assert owned == []


@pytest.mark.parametrize("role", ["sluice_app", "sluice_owner"])
def test_roles_have_no_power(stack, role):
    with as_app(stack) as app:
        powers = app.execute(
            "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication"
            " FROM pg_roles WHERE rolname = %s",
            [role],
        ).fetchone()

    assert powers == (False, False, False, False, False)


def test_application_role_sees_its_tenants_rows_only(stack):
    with as_app(stack) as app:
        app.execute("SET app.tenant = '1'")

        assert app.execute("SELECT tenant_id, word FROM rows").fetchall() == [(1, "secret")]


def test_application_role_sees_nothing_without_a_tenant(stack):
    with as_app(stack) as app:
        assert app.execute("SELECT * FROM rows").fetchall() == []


@pytest.mark.parametrize(
    "statement",
    [
        "SET row_security = off; SELECT * FROM rows",
        "ALTER TABLE rows DISABLE ROW LEVEL SECURITY",
        "DROP POLICY own ON rows",
        "TRUNCATE rows",
        "DROP TABLE rows",
        "CREATE TABLE mine (id int)",
        "SET ROLE sluice_owner",
        "ALTER ROLE sluice_app BYPASSRLS",
        "INSERT INTO rows VALUES (2, 'forged')",
    ],
)
def test_application_role_cannot_get_round_row_level_security(stack, statement):
    with as_app(stack) as app:
        app.execute("SET app.tenant = '1'")

        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute(statement)


def test_owner_is_held_by_row_level_security_too(stack):
    with psycopg.connect(stack.env["DATABASE_OWNER_URL"]) as owner:
        assert owner.execute("SELECT * FROM rows").fetchall() == []


def test_vectors_can_be_stored(stack):
    with as_app(stack) as app:
        assert app.execute("SELECT '[1,2]'::vector <-> '[1,2]'::vector").fetchone() == (0.0,)


def test_second_bootstrap_changes_nothing(stack):
    bootstrap(stack)

    with as_app(stack) as app:
        app.execute("SET app.tenant = '2'")
        assert app.execute("SELECT tenant_id FROM rows").fetchall() == [(2,)]


def test_role_that_bypasses_row_level_security_stops_the_start(stack):
    with psycopg.connect(stack.plan.database_url, autocommit=True) as superuser:
        superuser.execute("ALTER ROLE sluice_app BYPASSRLS")

        with pytest.raises(StartError, match="sluice_app is a superuser or bypasses"):
            bootstrap(stack)

        superuser.execute("ALTER ROLE sluice_app NOBYPASSRLS")


def test_unreachable_database_is_said_in_one_sentence():
    with pytest.raises(StartError, match=r"The database on 127\.0\.0\.1 could not be prepared"):
        database.bootstrap("postgresql://a:b@127.0.0.1:1/c", owner_password="o", app_password="a")


def test_password_with_special_characters_stays_one_password():
    url = database.url_for_role("postgresql://root:x@db:5432/sluice", "sluice_app", "p@ss/w:rd")

    assert url == "postgresql://sluice_app:p%40ss%2Fw%3Ard@db:5432/sluice"
