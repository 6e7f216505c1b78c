import os
import signal
import subprocess
import sys

import psycopg
import pytest

from deploy.local.errors import StartError
from deploy.local.stack import Stack
from deploy.local.tests.conftest import wait_until


@pytest.fixture
def var(tmp_path):
    return tmp_path / "var"


def postgres_in(var):
    """A private stack with PostgreSQL alone."""
    return Stack(var, services=["postgres"])


def query(stack, statement):
    """The first value of the statement's answer, asked as superuser."""
    with psycopg.connect(stack.plan.postgres.url(), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def make_data(var):
    """A data directory with one table, of a server that has been stopped."""
    with postgres_in(var) as stack:
        query(stack, "CREATE TABLE kept AS SELECT 42 AS answer")


def test_data_survives_a_restart(var):
    make_data(var)

    with postgres_in(var) as stack:
        assert query(stack, "SELECT answer FROM kept") == 42


def test_killed_server_comes_back_with_its_data(var):
    with Stack(var, services=["postgres"], throwaway=False) as stack:
        query(stack, "CREATE TABLE kept AS SELECT 42 AS answer")
        first = stack.supervisor.pid("postgres")

        os.kill(first, signal.SIGKILL)

        wait_until(lambda: stack.supervisor.pid("postgres") not in {None, first})
        wait_until(lambda: stack.supervisor.is_ready("postgres"))
        assert query(stack, "SELECT answer FROM kept") == 42


def test_password_is_asked_for(var):
    with postgres_in(var) as stack:
        url = stack.plan.postgres.url().replace(stack.plan.credentials.superuser_password, "guess")

        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url)


def test_locks_suffice_for_thousands_of_partitions(var):
    with postgres_in(var) as stack:
        assert query(stack, "SHOW max_locks_per_transaction") == "1024"
        assert query(stack, "SHOW client_connection_check_interval") == "500ms"


def test_stale_lock_of_a_number_that_another_program_has_now_heals(var):
    make_data(var)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    lock = var / "postgres" / "postmaster.pid"
    lock.write_text(f"{stranger.pid}\n{var / 'postgres'}\n1700000000\n5432\n\n127.0.0.1\n")

    with postgres_in(var) as stack:
        assert query(stack, "SELECT answer FROM kept") == 42

    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_half_made_data_directory_is_made_anew(var):
    partial = var / "postgres.partial"
    partial.mkdir(parents=True)
    (partial / "base").mkdir()

    with postgres_in(var) as stack:
        assert query(stack, "SELECT 42") == 42

    assert not partial.exists()
    assert not (var / "postgres.password").exists()


def test_directory_that_is_no_database_is_not_touched(var):
    (var / "postgres").mkdir(parents=True)
    (var / "postgres" / "letters.txt").write_text("dear")

    with pytest.raises(StartError, match="set it aside"):
        postgres_in(var).start()

    assert (var / "postgres" / "letters.txt").read_text() == "dear"


def test_data_of_another_version_is_refused(var):
    make_data(var)
    (var / "postgres" / "PG_VERSION").write_text("15\n")

    with pytest.raises(StartError, match="written by PostgreSQL 15"):
        postgres_in(var).start()
