"""Another session of PostgreSQL that locks rows in the wrong order, so that a deadlock is certain.

The other side is always the one that PostgreSQL ends: this one's patience is longer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import psycopg
from django.db import connection
from psycopg import sql

from proxyconfig.tests.targets.local_processes import wait_until


class Rival:
    """Holds ``first`` and, each time somebody waits for it, asks for ``then``, which they hold."""

    def __init__(self, url: str, *, first: tuple[str, int], then: tuple[str, int]) -> None:
        self._session = psycopg.connect(url)
        self._session.execute("SET deadlock_timeout = '60s'")
        self._then = then
        self.deadlocks = 0
        self._lock(*first)
        self._watcher = psycopg.connect(url, autocommit=True)

    def _lock(self, table: str, key: int) -> None:
        query = sql.SQL("SELECT 1 FROM {} WHERE id = %s FOR UPDATE").format(sql.Identifier(table))
        self._session.execute(query, [key])

    def _is_in_the_way(self) -> bool:
        pid = self._session.info.backend_pid
        query = "SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
        return self._watcher.execute(query, [pid]).fetchone() is not None

    def clash(self, times: int) -> None:
        """Have PostgreSQL end ``times`` transactions that wait for this one; then give way."""
        for _ in range(times):
            wait_until(self._is_in_the_way)
            with self._session.transaction():
                self._lock(*self._then)
                self.deadlocks += 1
                raise psycopg.Rollback
        self._session.rollback()

    def close(self) -> None:
        self._session.close()
        self._watcher.close()


@contextmanager
def clashing(
    url: str, times: int, *, first: tuple[str, int], then: tuple[str, int]
) -> Iterator[Rival]:
    """The block's transaction is the victim of ``times`` deadlocks."""
    rival = Rival(url, first=first, then=then)
    thread = Thread(target=rival.clash, args=(times,))
    thread.start()
    try:
        yield rival
    finally:
        thread.join()
        rival.close()


def in_a_thread(work) -> object:
    """Call this from a pool: the thread's own connection is closed behind it."""
    try:
        return work()
    finally:
        connection.close()
