"""Boot checks of the database: does it hold what Sluice promises about tenants?

``manage.py check --database default`` runs them; ``make up`` does so before it opens the door.
"""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error
from django.db import connection

OLDEST_PGVECTOR = (0, 8, 4)

_OWN_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
  AND pg_has_role(current_user, c.relowner, 'MEMBER')
ORDER BY 1
"""

# Every table with a tenant_id, partitions too; and the tenants themselves.
_UNGUARDED_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
  AND (c.relname = 'tenants_tenant' OR EXISTS (
      SELECT FROM pg_attribute a
      WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
  AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
ORDER BY 1
"""

# A parent's policies do not guard a partition that is named directly.
_OPEN_PARTITIONS = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relispartition AND c.relkind = 'r'
  AND has_table_privilege(current_user, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
ORDER BY 1
"""

# A view runs with its owner's rights unless told otherwise.
_OPEN_VIEWS = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('v', 'm')
  AND NOT coalesce(c.reloptions @> ARRAY['security_invoker=true'], false)
ORDER BY 1
"""


def check_database(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,  # Any: Django's own signature.
) -> list[CheckMessage]:
    """Everything that is wrong with the application's database, as errors that stop the boot."""
    if "default" not in (databases or ()):
        return []
    return [*_pgvector(), *_role(), *_tables()]


def _pgvector() -> list[CheckMessage]:
    needed = ".".join(map(str, OLDEST_PGVECTOR))
    found = _names("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    if not found:
        hint = "As a superuser, in this database: CREATE EXTENSION vector."
        return [Error("The database has no pgvector.", hint=hint, id="portal.E001")]
    if tuple(int(part) for part in found[0].split(".")) >= OLDEST_PGVECTOR:
        return []
    says = f"The database has pgvector {found[0]}; Sluice needs {needed} or later."
    hint = "Older ones lose rows under row-level security. ALTER EXTENSION vector UPDATE."
    return [Error(says, hint=hint, id="portal.E001")]


def _role() -> list[CheckMessage]:
    powerful = _names(
        "SELECT rolname FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)"
    )
    if powerful:
        says = f"The application's role {powerful[0]} passes row-level security."
        hint = "Point DATABASE_URL at a role that is NOSUPERUSER and NOBYPASSRLS."
        return [Error(says, hint=hint, id="portal.E002")]
    if owned := _names(_OWN_TABLES):
        says = f"The application's role owns tables: {', '.join(owned[:5])}."
        hint = "Only DATABASE_OWNER_URL's role may own them: an owner can switch security off."
        return [Error(says, hint=hint, id="portal.E003")]
    return []


def _tables() -> list[CheckMessage]:
    rules = (
        ("portal.E004", "Tables without forced row-level security", _UNGUARDED_TABLES),
        ("portal.E005", "Partitions that the application's role can name", _OPEN_PARTITIONS),
        ("portal.E006", "Views that run with their owner's rights", _OPEN_VIEWS),
    )
    return [
        Error(
            f"{says}: {', '.join(names)}.",
            hint="Another tenant's rows could be read. Run manage.py migrate --database=owner.",
            id=check_id,
        )
        for check_id, says, query in rules
        if (names := _names(query))
    ]


def _names(query: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [str(row[0]) for row in cursor.fetchall()]
