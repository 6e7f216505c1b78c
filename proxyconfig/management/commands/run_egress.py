"""``manage.py run_egress``: the tenants' way out, and the collector of Caddy's access log.

One asyncio process. It starts with no tenant, which denies everything, and workers fill it; what it
let through or refused goes to the ledger in batches, which wait while the database is away.
"""

import asyncio
import contextlib
import logging
import signal
from argparse import ArgumentParser
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, close_old_connections, connections

from proxyconfig.domain.connections import ConnectionEvent
from proxyconfig.services.connections import close_left_open, record
from proxyconfig.targets.local.egress_server import EgressConfig, serve
from tenants.errors import SluiceError

logger = logging.getLogger(__name__)

_LEFT_OPEN = "The egress proxy was restarted while this connection was open."


class Command(BaseCommand):
    """Serve until SIGTERM or SIGINT; then cut what is open and deliver the last reports."""

    help = "Run the egress proxy and the collector of Caddy's access log."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """None: every address comes from the settings."""

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's own signature.
        """Run it.

        Raises:
            CommandError: an address is not free, or a setting cannot be read.
        """
        with contextlib.suppress(KeyboardInterrupt):
            try:
                asyncio.run(_run(_config()))
            except SluiceError as error:
                raise CommandError(error.message) from error


def _config() -> EgressConfig:
    host, colon, port = settings.EGRESS_ADDRESS.rpartition(":")
    if not colon or not port.isdigit():
        raise CommandError(
            f"SLUICE_EGRESS_ADDRESS is {settings.EGRESS_ADDRESS!r}; write host:port."
        )
    return EgressConfig(
        host=host.strip("[]"),
        port=int(port),
        admin_socket=settings.EGRESS_ADMIN_SOCKET,
        access_log_socket=settings.ACCESS_LOG_SOCKET,
    )


async def _run(config: EgressConfig) -> None:
    loop = asyncio.get_running_loop()
    # One thread, so that batches are written in their order.
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger") as ledger:

        async def store(events: Sequence[ConnectionEvent]) -> None:
            await loop.run_in_executor(ledger, _store, events)

        await loop.run_in_executor(ledger, _close_left_open)
        serving = asyncio.create_task(serve(config, store))
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, serving.cancel)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await serving
        finally:
            await loop.run_in_executor(ledger, connections.close_all)


def _store(events: Sequence[ConnectionEvent]) -> None:
    # A connection that broke while the database was away is let go, or it would be kept for ever.
    close_old_connections()
    try:
        record(events)
    finally:
        close_old_connections()


def _close_left_open() -> None:
    try:
        closed = close_left_open(_LEFT_OPEN)
    except DatabaseError as error:
        # Letting nothing out because of old rows would be worse than old rows.
        logger.warning("Connections left open were not looked for: %s", error)
    else:
        if closed:
            logger.info("%d connections left open by the last process were ended", closed)
    finally:
        close_old_connections()
