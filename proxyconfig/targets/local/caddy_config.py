"""Prints the base configuration for ``caddy run --config``; needs neither Django nor a network.

``python -m proxyconfig.targets.local.caddy_config --admin PATH --access-log PATH``
"""

import argparse
import json
import sys
from collections.abc import Sequence

from proxyconfig.targets.local.caddy_base import base_config


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the configuration to standard output."""
    parser = argparse.ArgumentParser(description="Print Caddy's base configuration.")
    parser.add_argument("--admin", required=True, metavar="PATH", help="admin socket")
    parser.add_argument(
        "--access-log", required=True, metavar="PATH", help="log collector's socket"
    )
    options = parser.parse_args(arguments)
    config = base_config(admin_socket=options.admin, access_log_socket=options.access_log)
    json.dump(config, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
