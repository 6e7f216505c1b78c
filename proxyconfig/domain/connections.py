"""What a proxy reports about one connection, in or out: the raw entry of the ledger.

The local proxy's processes make these, ``services`` store them as ``Connection`` rows.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tenants.domain.states import Direction, Verdict


class ConnectionStage(StrEnum):
    """Which moment of a connection is reported."""

    OPENED = "opened"
    CLOSED = "closed"
    DENIED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionEvent:
    """One report; an opened one is followed by a closed one with the same ``connection_id``.

    A denied or failed connection has one report only (stage denied), an ingress request one (closed).

    Attributes:
        connection_id: 32 lower-case hex digits, unique per connection.
        trace_id: 32 lower-case hex digits; links click, request, task, connection and answer.
        tenant: slug.
        source: client, ``address:port`` (IPv6 in brackets); "" when unknown.
        snat_address: source address that the far side saw; "" for ingress or when none was bound.
        destination: ``host:port`` as it was asked for; of ingress the virtual address.
        resolved_address: address that was connected to; "" when none was.
        bytes_up, bytes_down: payload from and to the client, so far.
        rule_id: ``tenant/policy/order``, ``tenant/policy`` for ingress, ``tenant/default-deny``.
        message: for people: why it was denied or failed, or what an HTTP request was; no secrets.
        opened_at, closed_at: aware; closed_at is None while open.
    """

    connection_id: str
    trace_id: str
    stage: ConnectionStage
    direction: Direction
    tenant: str
    source: str
    destination: str
    verdict: Verdict
    rule_id: str
    opened_at: datetime
    closed_at: datetime | None = None
    snat_address: str = ""
    resolved_address: str = ""
    bytes_up: int = 0
    bytes_down: int = 0
    message: str = ""
