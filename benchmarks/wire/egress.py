"""The product's egress proxy as a process, with a ledger that only counts.

python -m benchmarks.wire.egress ADMIN_SOCKET    prints its port
"""

import asyncio
import sys
from collections.abc import Sequence

from proxyconfig.domain.connections import ConnectionEvent
from proxyconfig.targets.local.egress_server import EgressConfig, serve


async def _count(events: Sequence[ConnectionEvent]) -> None:
    """Take the reports; what a database would cost is another benchmark's question."""


def _ready(host: str, port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    config = EgressConfig(host="127.0.0.1", port=0, admin_socket=sys.argv[1])
    asyncio.run(serve(config, _count, on_ready=_ready))
