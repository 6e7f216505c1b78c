"""Readiness: each probe asks the service for what it is there for, and raises NotReadyError until
it gives it.
"""

import http.client
import socket
from pathlib import Path

import celery
import kombu.exceptions
import psycopg
import redis

from deploy.local.ports import LOOPBACK
from deploy.local.unit import NotReadyError, Probe

_TIMEOUT_SECONDS = 2.0


def postgres(url: str) -> Probe:
    """Ready when a query is answered."""

    def probe() -> None:
        try:
            with psycopg.connect(url, connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error as error:
            raise NotReadyError(str(error)) from error

    return probe


def redis_server(url: str) -> Probe:
    """Ready when it accepts writes, which is after it has read its file."""

    def probe() -> None:
        try:
            with redis.Redis.from_url(url, socket_timeout=_TIMEOUT_SECONDS) as client:
                client.ping()
        except redis.RedisError as error:
            raise NotReadyError(str(error)) from error

    return probe


def http_port(port: int, path: str, *, host: str = LOOPBACK) -> Probe:
    """Ready when ``path`` is answered with anything but a server error."""

    def probe() -> None:
        _ask(http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS), path)

    return probe


def http_socket(socket_path: Path, path: str) -> Probe:
    """As ``http_port``, over a unix socket."""

    def probe() -> None:
        _ask(_UnixConnection(socket_path), path)

    return probe


def celery_worker(broker_url: str, node: str) -> Probe:
    """Ready when the worker called ``node`` answers a ping through the broker: it consumes, it does
    not only run.
    """
    # Unlike the workers' own app this one needs no Django, so the supervisor stays small.
    app = celery.Celery("probe", broker=broker_url, set_as_current=False)

    def probe() -> None:
        try:
            replies = app.control.ping(destination=[node], timeout=0.5)
        except (kombu.exceptions.OperationalError, redis.RedisError) as error:
            raise NotReadyError(str(error)) from error
        if not replies:
            raise NotReadyError(f"{node} does not answer yet")

    return probe


def holds_a_file(directory: Path) -> Probe:
    """Ready when the service has written something into ``directory``."""

    def probe() -> None:
        if not any(directory.iterdir()):
            raise NotReadyError(f"{directory} is still empty")

    return probe


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_SECONDS)
        self.sock.connect(str(self._path))


def _ask(connection: http.client.HTTPConnection, path: str) -> None:
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise NotReadyError(str(error)) from error
    finally:
        connection.close()
    if status >= 500:
        raise NotReadyError(f"{path} answers {status}")
