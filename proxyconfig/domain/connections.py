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
    """One report; an opened one is followed by a closed one with the same ``proxy_id``.

    A denied or failed connection has one report (stage denied), an ingress request one (closed).

    Attributes:
        proxy_id: 32 lower-case hex digits, unique per connection.
        trace_id: 32 lower-case hex digits; links click, request, task, connection and answer.
        tenant: slug.
        source_address: the client's address; "" when unknown.
        snat_address: address that the far side saw; "" for ingress or when none was bound.
        destination_host: name or address as it was asked for; of ingress the virtual address.
        destination_address: the address that was connected to; "" when none was.
        detail: method, path and status of an HTTP request, or CONNECT; never query or headers.
        bytes_sent, bytes_received: payload from and to the source so far.
        rule_id: ``tenant/policy/order``, ``tenant/policy`` for ingress, ``tenant/default-deny``.
        message: for people, why it was denied or failed; "" otherwise.
        opened_at, closed_at: aware; closed_at is None while open.
    """

    proxy_id: str
    trace_id: str
    stage: ConnectionStage
    direction: Direction
    tenant: str
    source_address: str
    destination_host: str
    destination_port: int
    verdict: Verdict
    rule_id: str
    opened_at: datetime
    closed_at: datetime | None = None
    snat_address: str = ""
    destination_address: str = ""
    detail: str = ""
    bytes_sent: int = 0
    bytes_received: int = 0
    message: str = ""
