"""The egress process: what may leave the cluster leaves through here, and nothing else.

``serve`` (run by ``manage.py run_egress``) listens for tenants' clients over TCP, for reconciling
on the admin socket and for Caddy's access log on a third. It starts with no tenant at all, which
denies everything, until reconciling has filled it.
"""

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from proxyconfig.targets.local.access_log import LINE_LIMIT_BYTES, collect
from proxyconfig.targets.local.egress_admin import admin_client
from proxyconfig.targets.local.egress_dial import Resolver, system_resolver
from proxyconfig.targets.local.egress_proxy import EgressProxy, Limits
from proxyconfig.targets.local.event_queue import EventQueue, EventSink
from tenants.errors import PermanentError

logger = logging.getLogger(__name__)

HEAD_LIMIT_BYTES: Final = 16 * 1024
_BACKLOG: Final = 1024

ClientCallback = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class _Clients:
    """Accepts clients in tasks of their own, so that stopping can wait for every one.

    Not a coroutine function on purpose: the streams of Python 3.11 would log each cancelled one.
    """

    def __init__(self, serve_one: ClientCallback) -> None:
        self._serve_one = serve_one
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve_one(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, writer))

    def _ended(self, writer: asyncio.StreamWriter, task: asyncio.Task[None]) -> None:
        writer.close()  # Also when it was cancelled before its first step.
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("A client ended in an unforeseen way", exc_info=task.exception())

    async def stop(self) -> None:
        """Cancel all and wait for their ends."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressConfig:
    """Where the process listens, and its bounds.

    Attributes:
        host, port: of the proxy itself; port 0 takes a free one.
        admin_socket, access_log_socket: paths; "" for no access log.
        drain_seconds: how long stopping waits for the ledger.
    """

    host: str
    port: int
    admin_socket: str
    access_log_socket: str = ""
    limits: Limits = field(default_factory=Limits)
    resolver: Resolver = system_resolver
    drain_seconds: float = 5.0


async def serve(
    config: EgressConfig,
    on_events: EventSink,
    *,
    on_ready: Callable[[str, int], None] = lambda host, port: None,
) -> None:
    """Run until cancelled; then cut what is open and deliver the last reports.

    Args:
        on_events: stores a batch of reports; offered again when it raises, so idempotent.
        on_ready: called with the bound host and port once all sockets listen.

    Raises:
        PermanentError: an address or socket is taken; the message says which.
    """
    queue = EventQueue(on_events)
    proxy = EgressProxy(queue, limits=config.limits, resolver=config.resolver)
    delivering = asyncio.create_task(queue.run())
    try:
        async with contextlib.AsyncExitStack() as listening:
            clients = _Clients(proxy.client)
            server = await _tcp(config, clients)
            listening.push_async_callback(clients.stop)
            listening.callback(proxy.stop)
            listening.callback(server.close)
            await _unix(listening, config.admin_socket, partial(admin_client, proxy))
            if config.access_log_socket:
                collecting = partial(collect, queue=queue)
                await _unix(listening, config.access_log_socket, collecting, limit=LINE_LIMIT_BYTES)
            host, port = server.sockets[0].getsockname()[:2]
            logger.info("The egress proxy listens on %s port %d", host, port)
            on_ready(host, port)
            await asyncio.Event().wait()
    finally:
        await queue.drain(timeout_seconds=config.drain_seconds)
        delivering.cancel()
        await asyncio.gather(delivering, return_exceptions=True)


async def _tcp(config: EgressConfig, clients: _Clients) -> asyncio.Server:
    try:
        return await asyncio.start_server(
            clients, config.host, config.port, limit=HEAD_LIMIT_BYTES, backlog=_BACKLOG
        )
    except OSError as error:
        message = (
            f"The egress proxy cannot listen on {config.host} port {config.port}: "
            f"{error.strerror}. Stop what holds it, or set SLUICE_EGRESS_ADDRESS."
        )
        raise PermanentError(message, code="egress.address-taken") from error


async def _unix(
    listening: contextlib.AsyncExitStack,
    path: str,
    serve_one: ClientCallback,
    *,
    limit: int = HEAD_LIMIT_BYTES,
) -> None:
    """Listen on a unix socket until the stack ends."""
    _remove_stale(path)
    clients = _Clients(serve_one)
    before = os.umask(0o177)  # From its first moment only our own user can open it.
    try:
        server = await asyncio.start_unix_server(clients, path, limit=limit)
    except OSError as error:
        message = f"The socket {path} cannot be made: {error.strerror}. See that its folder exists."
        raise PermanentError(message, code="egress.socket") from error
    finally:
        os.umask(before)
    listening.push_async_callback(clients.stop)
    listening.callback(_close_unix, server, path)


def _remove_stale(path: str) -> None:
    """Delete the socket file of a process that is gone."""
    file = Path(path)
    if not file.exists():
        return
    if not stat.S_ISSOCK(file.stat().st_mode):
        raise PermanentError(f"{path} is not a socket; move it away.", code="egress.socket")
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.settimeout(1.0)
        probe.connect(path)
        message = f"Another egress process already listens on {path}; stop it first."
        raise PermanentError(message, code="egress.socket")
    file.unlink(missing_ok=True)


def _close_unix(server: asyncio.Server, path: str) -> None:
    server.close()
    Path(path).unlink(missing_ok=True)
