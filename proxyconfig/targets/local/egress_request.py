"""One client's request to the egress proxy: understood, identified, or refused with reasons."""

import base64
import binascii
import contextlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from proxyconfig.domain.fields import JsonValue
from proxyconfig.targets.local.egress_http import (
    Framing,
    Head,
    answer,
    body_framing,
    proxy_status,
    split_absolute,
)
from proxyconfig.targets.local.egress_rules import Destination, TenantPolicy
from tenants.domain.states import Verdict


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked for, once it is clear what that is and whose.

    Attributes:
        complaint: why the destination is no plain host and port; "" when it is.
        origin: origin form of a plain http request; "" for CONNECT.
    """

    policy: TenantPolicy
    destination: Destination
    complaint: str
    source_address: str
    trace_id: str
    detail: str
    head: Head
    framing: Framing
    origin: str
    arrived_at: datetime
    proxy_id: str


class RefusedError(Exception):
    """The answer to a client that gets no connection."""

    def __init__(self, status: int, error: str, message: str, *, rule: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.rule = rule
        self.verdict = Verdict.DENIED if status in (403, 407) else Verdict.ERROR


def understood(head: Head, policy: TenantPolicy, *, source_address: str) -> Request:
    """What an identified tenant asks for.

    Raises:
        ValueError: the request could be read in more than one way.
    """
    method, target, _ = head.first
    if method == "CONNECT":
        authority, origin = target, ""
        detail = "CONNECT"
    else:
        authority, origin = split_absolute(target)
        detail = f"{method} {origin.partition('?')[0]}"
    complaint = ""
    try:
        destination = Destination.parse(authority, default_port=80 if origin else None)
    except ValueError as error:
        # No rule takes port 0; the text is kept for the report.
        destination, complaint = Destination(authority[:253], 0), str(error)
    trace = head.value("x-sluice-trace").lower()
    return Request(
        policy=policy,
        destination=destination,
        complaint=complaint,
        source_address=source_address,
        trace_id=trace if re.fullmatch(r"[0-9a-f]{32}", trace) else uuid4().hex,
        detail=detail[:300],
        head=head,
        framing=body_framing(head) if origin else 0,
        origin=origin,
        arrived_at=datetime.now(UTC),
        proxy_id=uuid4().hex,
    )


def credential(value: str) -> tuple[str, bytes]:
    """Tenant and password of a Basic credential; empty ones where it is none."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return "", b""
    with contextlib.suppress(binascii.Error, UnicodeDecodeError):
        user, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return user.decode("ascii"), password
    return "", b""


def refusal_answer(refusal: RefusedError, request: Request | None) -> bytes:
    body: dict[str, JsonValue] = {
        "verdict": refusal.verdict.value,
        "rule": refusal.rule,
        "destination": str(request.destination) if request else "",
        "trace": request.trace_id if request else "",
        "message": str(refusal),
    }
    details = f"{refusal.rule}: {refusal}" if refusal.rule else str(refusal)
    fields = [proxy_status(refusal.error, details)]
    if refusal.status == 407:
        fields.append(("Proxy-Authenticate", 'Basic realm="sluice"'))
    # Clients' libraries show the reason of a failed CONNECT and nothing else, so it names the rule.
    reason = f"Forbidden by {refusal.rule}" if refusal.status == 403 else ""
    return answer(refusal.status, body, reason=reason, fields=fields)
