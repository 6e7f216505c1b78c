"""The local ingress proxy: Caddy with nothing in it. A worker tells it, through its admin socket,
what to let in.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from proxyconfig.targets.local.caddy_base import base_config, caddy_environment


@dataclass(frozen=True, slots=True)
class Caddy:
    """One Caddy, driven through the unix socket ``admin``."""

    admin: Path
    access_log: Path
    configuration: Path

    def command(self) -> tuple[str, ...]:
        """Caddy's command line; the wheel puts the program beside the interpreter."""
        program = Path(sys.executable).with_name("caddy")
        return (str(program), "run", "--config", str(self.configuration))

    def environment(self) -> dict[str, str]:
        """What Caddy must find in its environment, to stay on its socket in any case."""
        return caddy_environment(str(self.admin))

    def prepare(self) -> None:
        """Write the configuration that denies everything, and clear a killed Caddy's socket."""
        self.admin.unlink(missing_ok=True)
        content = base_config(admin_socket=str(self.admin), access_log_socket=str(self.access_log))
        self.configuration.write_text(json.dumps(content, indent=2) + "\n")
