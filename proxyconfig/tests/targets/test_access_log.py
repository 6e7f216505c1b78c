"""Lines of Caddy's access log, and what is not one."""

import json
from datetime import UTC, datetime

import pytest

from proxyconfig.domain.connections import ConnectionStage
from proxyconfig.targets.local.access_log import parse_line
from tenants.domain.states import Direction, Verdict

LINE = {
    "level": "info",
    "ts": 1795490680.5,
    "logger": "http.log.access.sluice",
    "request": {
        "remote_ip": "127.0.0.1",
        "remote_port": "39356",
        "method": "POST",
        "host": "spoofed.example",
        "uri": "/ask?question=secret",
    },
    "bytes_read": 12,
    "duration": 0.5,
    "size": 193,
    "status": 200,
    "tenant": "acme",
    "rule": "acme/people",
    "verdict": "Allowed",
    "trace": "E7BD7388-a049-441f-b784-8a5adf5e36b5",
    "destination": "[::1]:8080",
}


def encoded(**changes: object) -> bytes:
    return json.dumps(LINE | changes).encode() + b"\n"


def test_a_served_request():
    event = parse_line(encoded())

    assert event.trace_id == "e7bd7388a049441fb7848a5adf5e36b5"
    assert (event.direction, event.stage) == (Direction.IN, ConnectionStage.CLOSED)
    assert (event.tenant, event.rule_id, event.verdict) == ("acme", "acme/people", Verdict.ALLOWED)
    assert (event.source_address, event.destination_host, event.destination_port) == (
        "127.0.0.1",
        "::1",
        8080,
    )
    assert (event.bytes_sent, event.bytes_received) == (12, 193)
    assert event.detail == "POST /ask 200"
    assert event.closed_at == datetime.fromtimestamp(1795490680.5, UTC)
    assert (event.closed_at - event.opened_at).total_seconds() == 0.5
    assert event.message == ""


def test_each_line_is_a_report_of_its_own():
    assert parse_line(encoded()).proxy_id != parse_line(encoded()).proxy_id


@pytest.mark.parametrize(
    ("changes", "verdict", "stage"),
    [
        ({"verdict": "Denied", "status": 403}, Verdict.DENIED, ConnectionStage.DENIED),
        ({"status": 403}, Verdict.ALLOWED, ConnectionStage.CLOSED),
        ({"status": 502}, Verdict.ERROR, ConnectionStage.CLOSED),
    ],
)
def test_verdicts(changes, verdict, stage):
    event = parse_line(encoded(**changes))

    assert (event.verdict, event.stage) == (verdict, stage)


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[]",
        b"{}",
        encoded(trace="x"),
        encoded(verdict="Perhaps"),
        encoded(destination="nowhere"),
        encoded(request=None),
    ],
)
def test_other_lines_are_refused(line):
    with pytest.raises((ValueError, KeyError, TypeError)):
        parse_line(line)
