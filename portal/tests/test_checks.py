"""The boot checks, each against a database that breaks one promise."""

from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection

from portal.checks import check_database

EXTENSION = "UPDATE pg_extension SET extversion = '{}' WHERE extname = 'vector'"

# What a superuser does, which check finds it, and how it is undone.
BREAKS = {
    "portal.E001": (EXTENSION.format("0.8.3"), EXTENSION.format("{version}")),
    "portal.E002": ("ALTER ROLE sluice_app BYPASSRLS", "ALTER ROLE sluice_app NOBYPASSRLS"),
    "portal.E003": (
        "ALTER TABLE proxyconfig_intentobject OWNER TO sluice_app",
        # The way back takes the former owner's rights along.
        "ALTER TABLE proxyconfig_intentobject OWNER TO sluice_owner;"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON proxyconfig_intentobject TO sluice_app",
    ),
    "portal.E004": (
        "ALTER TABLE proxyconfig_intentobject NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE proxyconfig_intentobject FORCE ROW LEVEL SECURITY",
    ),
    "portal.E005": (
        "CREATE TABLE ragapp_chunk_t0 PARTITION OF ragapp_chunk FOR VALUES IN (0);"
        "ALTER TABLE ragapp_chunk_t0 ENABLE ROW LEVEL SECURITY;"
        "ALTER TABLE ragapp_chunk_t0 FORCE ROW LEVEL SECURITY;"
        "GRANT SELECT ON ragapp_chunk_t0 TO sluice_app",
        "DROP TABLE ragapp_chunk_t0",
    ),
    "portal.E006": (
        "CREATE VIEW every_object AS SELECT * FROM proxyconfig_intentobject",
        "DROP VIEW every_object",
    ),
}


@pytest.fixture
def broken(services, transactional_db, request) -> Iterator[str]:
    """The database with one promise broken; the check that must find it."""
    breaks, mends = BREAKS[request.param]
    with psycopg.connect(services.superuser_url, autocommit=True) as superuser:
        row = superuser.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        version = row.fetchone()[0]
        superuser.execute(breaks)
        # Roles are read when a session begins.
        connection.close()
        try:
            yield request.param
        finally:
            superuser.execute(mends.replace("{version}", version))
            connection.close()


@pytest.mark.parametrize("broken", BREAKS, indirect=True)
def test_broken_promise_is_found(broken):
    found = check_database(None, databases=["default"])

    assert [error.id for error in found] == [broken]
    assert found[0].hint


def test_sound_database_passes(db):
    assert check_database(None, databases=["default"]) == []


def test_database_is_asked_only_when_it_is_named(db):
    assert check_database(None, databases=None) == []
