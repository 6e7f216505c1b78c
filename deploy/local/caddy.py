"""The local ingress proxy: Caddy with nothing in it. A worker tells it, through its admin socket,
what to let in.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Caddy:
    """One Caddy, driven through the unix socket ``admin``."""

    admin: Path
    configuration: Path

    def command(self) -> tuple[str, ...]:
        """Caddy's command line; the wheel puts the program beside the interpreter."""
        program = Path(sys.executable).with_name("caddy")
        return (str(program), "run", "--config", str(self.configuration))

    def prepare(self) -> None:
        """Write the configuration that denies everything, and clear a killed Caddy's socket."""
        self.admin.unlink(missing_ok=True)
        content = {
            # 0600: whoever can talk to this socket decides what enters. Not persisted: the database
            # is the truth.
            "admin": {"listen": f"unix/{self.admin}|0600", "config": {"persist": False}},
            "apps": {"http": {"servers": {}}},
        }
        self.configuration.write_text(json.dumps(content, indent=2) + "\n")
