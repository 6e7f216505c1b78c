"""Collects Caddy's access log: each JSON line becomes one report for the ledger."""

import asyncio
import json
import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from proxyconfig.domain.connections import ConnectionEvent, ConnectionStage
from proxyconfig.targets.local.event_queue import EventQueue
from tenants.domain.states import Direction, Verdict

logger = logging.getLogger(__name__)

LINE_LIMIT_BYTES: Final = 1024 * 1024


async def collect(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, queue: EventQueue
) -> None:
    """Read one connection of Caddy's log writer until it ends; other lines are skipped."""
    try:
        async for line in reader:
            try:
                queue.put(parse_line(line))
            except (ValueError, KeyError, TypeError) as error:
                logger.warning("An access log line was skipped: %s", type(error).__name__)
    except (OSError, ValueError) as error:  # ValueError: a line beyond the limit.
        logger.warning("Caddy's log connection ended: %s", error)
    finally:
        writer.close()


def parse_line(line: bytes) -> ConnectionEvent:
    """The report of one access log line, as the compiled servers' ``log_append`` shapes it.

    Caddy writes when the response has ended, so one report says it all.

    Raises:
        ValueError, KeyError, TypeError: it is not such a line.
    """
    entry: Any = json.loads(line)  # Foreign JSON; every value is converted below.
    request = entry["request"]
    host, _, port = str(entry["destination"]).rpartition(":")
    closed_at = datetime.fromtimestamp(float(entry["ts"]), UTC)
    verdict = Verdict(entry["verdict"])
    status = int(entry["status"])
    failed = verdict is Verdict.ALLOWED and status in (502, 503, 504)
    path = urlsplit(str(request["uri"])).path
    return ConnectionEvent(
        proxy_id=uuid4().hex,
        trace_id=_trace(str(entry["trace"])),
        stage=ConnectionStage.DENIED if verdict is Verdict.DENIED else ConnectionStage.CLOSED,
        direction=Direction.IN,
        tenant=str(entry["tenant"]),
        source_address=str(request["remote_ip"]),
        destination_host=host.strip("[]"),
        destination_port=int(port),
        verdict=Verdict.ERROR if failed else verdict,
        rule_id=str(entry["rule"]),
        opened_at=closed_at - timedelta(seconds=float(entry["duration"])),
        closed_at=closed_at,
        detail=f"{request['method']} {path} {status}"[:300],
        bytes_sent=int(entry["bytes_read"]),
        bytes_received=int(entry["size"]),
        message="No ingress policy lets this client in." if verdict is Verdict.DENIED else "",
    )


def _trace(text: str) -> str:
    trace = text.replace("-", "").lower()
    if not re.fullmatch(r"[0-9a-f]{32}", trace):
        raise ValueError("the trace is not 32 hexadecimal digits")
    return trace
