"""From a directory and an environment to a plan: secrets, ports, embedded or outside services."""

import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from deploy.local import credentials, database, demo
from deploy.local.credentials import Credentials
from deploy.local.errors import StartError
from deploy.local.layout import Layout
from deploy.local.ports import PORTAL_PORT, PortBook
from deploy.local.postgres import Postgres
from deploy.local.redis_server import RedisServer
from deploy.local.services import Plan


def make_plan(
    layout: Layout, environment: Mapping[str, str], *, debug: bool = False, throwaway: bool = False
) -> Plan:
    """Decide everything about one run; afterwards only processes are started.

    Args:
        throwaway: the data need not survive a power cut (tests).

    Raises:
        StartError: a port or a URL that the user asked for cannot be had.
    """
    secrets_of_instance = credentials.load_or_create(layout.var / "secrets.json")
    book = PortBook(layout.var / "ports.json")
    postgres = _postgres(layout, environment, secrets_of_instance, book, throwaway=throwaway)
    redis = _redis(layout, environment, secrets_of_instance, book)
    return Plan(
        layout=layout,
        credentials=secrets_of_instance,
        stack=secrets.token_hex(8),
        portal_port=_portal_port(environment, book, preferred=None if throwaway else PORTAL_PORT),
        egress_port=book.claim("egress"),
        postgres=postgres,
        redis=redis,
        database_url=(
            postgres.url(database.DEFAULT_DATABASE) if postgres else _database_url(environment)
        ),
        redis_url=redis.url if redis else environment["REDIS_URL"],
        debug=debug,
        demo=demo.is_wanted(environment) and not throwaway and not demo.obstacle(),
        base=environment,
    )


def _portal_port(environment: Mapping[str, str], book: PortBook, *, preferred: int | None) -> int:
    wanted = environment.get("PORT")
    if not wanted:
        return book.claim("portal", preferred=preferred)
    if not wanted.isdecimal() or not 0 < int(wanted) < 65_536:
        raise StartError(f"PORT is {wanted!r}; write a number from 1 to 65535, or leave it out.")
    return book.insist("portal", int(wanted))


def _postgres(
    layout: Layout,
    environment: Mapping[str, str],
    secrets_of_instance: Credentials,
    book: PortBook,
    *,
    throwaway: bool,
) -> Postgres | None:
    if environment.get("DATABASE_URL"):
        return None
    return Postgres(
        data=layout.postgres,
        port=book.claim("postgres"),
        superuser_password=secrets_of_instance.superuser_password,
        throwaway=throwaway,
    )


def _redis(
    layout: Layout, environment: Mapping[str, str], secrets_of_instance: Credentials, book: PortBook
) -> RedisServer | None:
    if environment.get("REDIS_URL"):
        return None
    return RedisServer(
        directory=layout.redis,
        port=book.claim("redis"),
        password=secrets_of_instance.redis_password,
    )


def _database_url(environment: Mapping[str, str]) -> str:
    url = environment["DATABASE_URL"]
    parts = urlsplit(url)
    if (
        parts.scheme not in {"postgres", "postgresql"}
        or not parts.hostname
        or not parts.path.strip("/")
    ):
        raise StartError("DATABASE_URL must look like postgresql://user:password@host:5432/name.")
    return url
