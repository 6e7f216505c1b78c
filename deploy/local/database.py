"""The step between PostgreSQL and the apps: roles and privileges, schema, demo data, first login.

Run as ``python -m deploy.local.database [--roles-only]`` with ``SLUICE_BOOTSTRAP_URL`` (a role that
may create roles) and the two derived URLs. What it prints is the progress line of `make up`.

``sluice_owner`` owns the schema and migrates; ``sluice_app`` owns nothing, cannot pass row-level
security, and is what every process of Sluice runs as.
"""

import os
import sys
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import django
import psycopg
from django.core.management import call_command, get_commands
from psycopg import sql

from deploy.local import demo
from deploy.local.errors import StartError

OWNER_ROLE = "sluice_owner"
APP_ROLE = "sluice_app"
BOOTSTRAP_VARIABLE = "SLUICE_BOOTSTRAP_URL"
ADMIN_PASSWORD_VARIABLE = "SLUICE_ADMIN_PASSWORD"  # noqa: S105 - a variable's name
ADMIN_USER = "admin"
DEFAULT_DATABASE = "sluice"


def url_for_role(url: str, role: str, password: str) -> str:
    """``url`` with another role and its password."""
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password, safe='')}@{address}"))


def bootstrap(bootstrap_url: str, *, owner_password: str, app_password: str) -> None:
    """Make database, extension, roles and privileges what they should be; run again, it changes
    nothing.

    Raises:
        StartError: the server cannot be reached, or the role in the URL may not do it.
    """
    try:
        _create_database(bootstrap_url)
        with psycopg.connect(bootstrap_url, autocommit=True, connect_timeout=10) as connection:
            _create_extension(connection)
            _create_role(connection, OWNER_ROLE, owner_password)
            _create_role(connection, APP_ROLE, app_password)
            _grant_to_owner(connection)
        owner_url = url_for_role(bootstrap_url, OWNER_ROLE, owner_password)
        with psycopg.connect(owner_url, autocommit=True, connect_timeout=10) as connection:
            _grant_to_app(connection)
    except psycopg.Error as error:
        host = urlsplit(bootstrap_url).hostname
        raise StartError(
            f"The database on {host} could not be prepared: {str(error).strip()}. "
            "DATABASE_URL must name a role that may create roles and extensions; Sluice itself "
            "then runs as one that may not."
        ) from error


def _create_database(bootstrap_url: str) -> None:
    parts = urlsplit(bootstrap_url)
    name = unquote(parts.path.strip("/"))
    with psycopg.connect(
        urlunsplit(parts._replace(path="/postgres")), autocommit=True, connect_timeout=10
    ) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _create_extension(connection: psycopg.Connection) -> None:
    if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone():
        return
    if not connection.execute(
        "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"
    ).fetchone():
        raise StartError(
            "The database server has no pgvector: install the extension `vector` there."
        )
    connection.execute("CREATE EXTENSION vector")


def _create_role(connection: psycopg.Connection, role: str, password: str) -> None:
    """A login role without any power; an existing one gets the password that ``var/secrets.json``
    knows.
    """
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    # The server never sees the password itself, so no log of it can.
    verifier = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    )
    connection.execute(
        sql.SQL("ALTER ROLE {} LOGIN NOCREATEDB NOCREATEROLE PASSWORD {}").format(
            sql.Identifier(role), sql.Literal(verifier.decode())
        )
    )
    row = connection.execute(
        "SELECT rolsuper OR rolbypassrls OR rolreplication FROM pg_roles WHERE rolname = %s", [role]
    ).fetchone()
    if row and row[0]:
        raise StartError(
            f"The role {role} is a superuser or bypasses row-level security: `ALTER ROLE "
            f"{role} NOSUPERUSER NOBYPASSRLS NOREPLICATION`, or every tenant could read every "
            "other's rows."
        )


def _grant_to_owner(connection: psycopg.Connection) -> None:
    database = sql.Identifier(connection.info.dbname)
    owner = sql.Identifier(OWNER_ROLE)
    app = sql.Identifier(APP_ROLE)
    connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    connection.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(owner))
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(app))
    connection.execute(
        sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(database, owner)
    )
    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, app))


def _grant_to_app(connection: psycopg.Connection) -> None:
    """Run as the owner: default privileges belong to whoever creates the tables."""
    app = sql.Identifier(APP_ROLE)
    for privileges in ("SELECT, INSERT, UPDATE, DELETE ON TABLES", "USAGE, SELECT ON SEQUENCES"):
        connection.execute(
            sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {} TO {}").format(
                sql.SQL(privileges), app
            )
        )


def prepare_schema() -> None:
    """Migrate as the owner, make the local cluster, seed the demo where the database is empty and
    nobody switched it off, make the first login.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    print("migrating the schema", flush=True)
    call_command("migrate", database="owner", interactive=False, verbosity=1)
    print("checking what the database promises", flush=True)
    call_command("check", databases=["default"])
    commands = get_commands()
    if "ensure_cluster" in commands:
        call_command("ensure_cluster", "local", flavour="local")
    if "seed_demo" in commands and demo.has_tenants(os.environ):
        print("seeding two tenants", flush=True)
        call_command("seed_demo")
    if "ensure_admin" in commands:
        call_command("ensure_admin", username=ADMIN_USER, password_env=ADMIN_PASSWORD_VARIABLE)
    print("schema and demo data are ready", flush=True)


def main() -> None:
    """The step itself."""
    environment = os.environ
    try:
        print("preparing roles", flush=True)
        bootstrap(
            environment[BOOTSTRAP_VARIABLE],
            owner_password=unquote(urlsplit(environment["DATABASE_OWNER_URL"]).password or ""),
            app_password=unquote(urlsplit(environment["DATABASE_URL"]).password or ""),
        )
    except StartError as error:
        sys.exit(str(error))
    if "--roles-only" not in sys.argv[1:]:
        prepare_schema()


if __name__ == "__main__":
    main()
