"""Caddy's own admin API, as somebody with a shell on the machine would use it."""

import httpx2

_SERVERS = "http://caddy/config/apps/http/servers"


def _client(socket: str) -> httpx2.Client:
    return httpx2.Client(transport=httpx2.HTTPTransport(uds=socket), timeout=10)


def servers(socket: str) -> dict[str, object]:
    """What Caddy serves now, by name."""
    with _client(socket) as client:
        return client.get(_SERVERS).json() or {}


def add_server_by_hand(socket: str, name: str, server: dict[str, object]) -> None:
    """Write over one server's configuration."""
    with _client(socket) as client:
        client.post(f"{_SERVERS}/{name}", json=server).raise_for_status()
