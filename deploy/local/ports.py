"""Which TCP ports the services listen on: chosen once, remembered in ``var/ports.json``, chosen
anew when taken.
"""

import json
import random
import socket
from pathlib import Path

from deploy.local.errors import StartError

# Below the kernel's ephemeral range, so that no outgoing connection takes a port between its choice
# and its use.
FIRST_PORT, LAST_PORT = 20_000, 32_000
PORTAL_PORT = 8000
LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a service could listen on ``port`` of the loopback address right now."""
    with socket.socket() as probe:
        # As servers do: connections in TIME_WAIT do not count, a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


class PortBook:
    """The ports of one instance by service name, kept in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._port_by_name = _read(file)

    def claim(self, name: str, *, preferred: int | None = None) -> int:
        """The port of ``name``: the remembered one, else ``preferred``, else any; only ever a free
        one.
        """
        others = {port for other, port in self._port_by_name.items() if other != name}
        for port in (self._port_by_name.get(name), preferred):
            if port is not None and port not in others and is_free(port):
                break
        else:
            port = _any_free(others)
        self._remember(name, port)
        return port

    def insist(self, name: str, port: int) -> int:
        """The port that the user asked for by name.

        Raises:
            StartError: something else listens there.
        """
        if not is_free(port):
            raise StartError(
                f"Port {port}, which PORT asks for, is taken by another program: "
                "stop that program, choose another PORT, or leave PORT out to get a free one."
            )
        self._remember(name, port)
        return port

    def _remember(self, name: str, port: int) -> None:
        if self._port_by_name.get(name) == port:
            return
        self._port_by_name[name] = port
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(self._port_by_name, indent=2, sort_keys=True) + "\n")
        partial.replace(self._file)


def _read(file: Path) -> dict[str, int]:
    """What the file remembers; a damaged one is worth no more than a missing one."""
    try:
        content = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {str(name): port for name, port in content.items() if isinstance(port, int)}


def _any_free(taken: set[int]) -> int:
    candidates = range(FIRST_PORT, LAST_PORT)
    for port in random.sample(candidates, 200):
        if port not in taken and is_free(port):
            return port
    raise StartError(
        f"None of 200 ports tried between {FIRST_PORT} and {LAST_PORT} is free on {LOOPBACK}; "
        "stop some of the programs that listen there."
    )
