"""Vector indexes of large partitions: built by the owner, without holding a reader up.

Up to some ten thousand chunks an exact search is as quick and always right; so only partitions
past ``settings.VECTOR_INDEX_ROWS`` get an HNSW index. ``CREATE INDEX CONCURRENTLY`` runs in no
transaction and needs the owner of the table, whose password no web process and no worker has. So
this is for the command that migrations' operator runs, by hand or on a schedule.
"""

import re
from collections.abc import Sequence

from django.conf import settings
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

_SUFFIX = "_vectors"
_PARTITION = re.compile(r"ragapp_chunk_t(\d+)")
# Enough for the graph of about 200,000 chunks; a larger one is built more slowly and not wrongly.
_MEMORY = "512MB"
# More than the legs' depth, or the index would return fewer rows than it was asked for.
LEAST_SEARCH, MOST_SEARCH = 100, 1000

_PARTITIONS = """
SELECT child.relname, child.reltuples, index.indisvalid
FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
LEFT JOIN pg_class AS named ON named.relname = child.relname || %s
LEFT JOIN pg_index AS index ON index.indexrelid = named.oid
WHERE inhparent = 'ragapp_chunk'::regclass ORDER BY child.relname
"""


def build(owner: BaseDatabaseWrapper) -> list[str]:
    """Index every large partition that has none, and give their names; again: nothing.

    An index that a killed build has left behind unfinished is dropped and built anew.

    Args:
        owner: Connection of the role that owns the tables, outside any transaction.
    """
    built = []
    for name, is_built in _large(owner):
        if is_built:
            continue
        index = sql.Identifier(name + _SUFFIX)
        _run(owner, sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(index))
        _run(owner, sql.SQL("SET maintenance_work_mem = {}").format(sql.Literal(_MEMORY)))
        statement = "CREATE INDEX CONCURRENTLY {} ON {} USING hnsw (embedding halfvec_ip_ops)"
        _run(owner, sql.SQL(statement).format(index, sql.Identifier(name)))
        built.append(name)
    return built


def serves(tenant_id: int, chunks: int) -> bool:
    """True when a search of so many of the tenant's chunks may go by its index.

    A small corpus in a large partition is searched exactly: the index would pass by it.
    """
    if chunks < settings.VECTOR_INDEX_ROWS:
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
            " WHERE relname = %s AND indisvalid)",
            [f"ragapp_chunk_t{int(tenant_id)}{_SUFFIX}"],
        )
        return bool(cursor.fetchone()[0])


def prepare(depth: int) -> None:
    """Let the running transaction's index scans find ``depth`` rows, whatever filter follows."""
    breadth = min(max(LEAST_SEARCH, 2 * depth), MOST_SEARCH)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('hnsw.ef_search', %s, true),"
            " set_config('hnsw.iterative_scan', 'strict_order', true)",
            [str(breadth)],
        )


def _large(owner: BaseDatabaseWrapper) -> list[tuple[str, bool]]:
    """Partitions past the bound, by PostgreSQL's own estimate, and whether each is indexed."""
    rows: Sequence[tuple[str, float, bool | None]]
    with owner.cursor() as cursor:
        cursor.execute(_PARTITIONS, [_SUFFIX])
        rows = cursor.fetchall()
    return [
        (name, bool(is_valid))
        for name, estimate, is_valid in rows
        if _PARTITION.fullmatch(name) and estimate >= settings.VECTOR_INDEX_ROWS
    ]


def _run(owner: BaseDatabaseWrapper, statement: sql.Composed) -> None:
    with owner.cursor() as cursor:
        cursor.execute(statement)
