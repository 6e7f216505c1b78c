"""A test session's own PostgreSQL and Redis: fresh, private, and gone with the session."""

import shutil
import tempfile
from pathlib import Path

import psycopg
from psycopg import sql

from deploy.local import database
from deploy.local.stack import Stack


class PrivateServices:
    """Addresses are decided on construction, before Django reads its settings; servers start when
    first needed.
    """

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="sluice-test-"))
        self._stack = Stack(self._directory / "var", services=["postgres", "redis"])
        self._is_started = False

    @property
    def env(self) -> dict[str, str]:
        """The environment that makes a process use these services, as the application role."""
        return self._stack.env

    @property
    def superuser_url(self) -> str:
        """For what neither of the two roles may do; tests of the product never need it."""
        return self._stack.plan.database_url

    @property
    def postgres_log(self) -> Path:
        """Where PostgreSQL says what it had to do, such as end a deadlock."""
        return self._stack.layout.log_of("postgres")

    def start(self) -> None:
        """Start both servers and bootstrap the roles; again: nothing."""
        if self._is_started:
            return
        self._stack.start()
        self._is_started = True
        secrets = self._stack.plan.credentials
        database.bootstrap(
            self.superuser_url,
            owner_password=secrets.owner_password,
            app_password=secrets.app_password,
        )

    def stop(self) -> None:
        """Stop the servers and remove their data."""
        if self._is_started:
            self._stack.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def empty_tables(self) -> None:
        """Truncate every table, past the application role's rights and past the audit log's own
        guard.
        """
        with psycopg.connect(self.superuser_url) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute("SET lock_timeout = '30s'")
            rows = connection.execute(
                "SELECT tablename FROM pg_tables"
                " WHERE schemaname = 'public' AND tablename <> 'django_migrations'"
            ).fetchall()
            names = sql.SQL(", ").join(sql.Identifier(row[0]) for row in rows)
            connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(names))
