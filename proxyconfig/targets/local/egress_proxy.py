"""The heart of the egress proxy: tenants and their policies, clients and their tunnels.

A client is read, identified, judged, connected and reported. Policies come in through ``put`` and
``remove``; both look at every open tunnel again.
"""

import asyncio
import hashlib
import hmac
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from proxyconfig.domain.connections import ConnectionEvent, ConnectionStage
from proxyconfig.domain.fields import JsonValue
from proxyconfig.targets.local.egress_dial import (
    DialError,
    Resolver,
    Route,
    connect,
    routes,
    system_resolver,
)
from proxyconfig.targets.local.egress_http import Head, forwarded_request, parse_request
from proxyconfig.targets.local.egress_relay import Tunnel, Wire, exchange, relay
from proxyconfig.targets.local.egress_request import (
    RefusedError,
    Request,
    credential,
    refusal_answer,
    understood,
)
from proxyconfig.targets.local.egress_rules import (
    Decision,
    NoSourceError,
    TenantPolicy,
    decide,
    source_address,
)
from proxyconfig.targets.local.event_queue import EventQueue
from tenants.domain.states import Direction

RESPONSE_HEAD_LIMIT_BYTES: Final = 64 * 1024
_NOBODY: Final = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds that keep one client or tenant from taking the proxy from the others."""

    head_seconds: float = 10.0
    resolve_seconds: float = 5.0
    connect_seconds: float = 10.0
    idle_seconds: float = 300.0
    tunnels_per_tenant: int = 512
    clients: int = 4096


class EgressProxy:
    """Tenants, their open tunnels, and the clients' side of the proxy.

    Args:
        queue: where every connection is reported.
        resolver: names to addresses.
    """

    def __init__(
        self, queue: EventQueue, *, limits: Limits, resolver: Resolver = system_resolver
    ) -> None:
        self._queue = queue
        self._limits = limits
        self._resolver = resolver
        self._policies: dict[str, TenantPolicy] = {}
        self._tunnels: dict[str, set[Tunnel]] = {}
        self._expiries: dict[str, asyncio.TimerHandle] = {}
        self._clients = 0
        self._busy: Counter[str] = Counter()  # Connecting or open, by tenant.

    # Tenants.

    @property
    def policies(self) -> dict[str, TenantPolicy]:
        """Each known tenant's policy; a copy."""
        return dict(self._policies)

    def open_tunnels(self, tenant: str) -> int:
        """How many of the tenant's tunnels are open."""
        return len(self._tunnels.get(tenant, ()))

    def put(self, tenant: str, body: JsonValue) -> bool:
        """Replace a tenant's entry; tunnels that it no longer allows are cut before this returns.

        Returns:
            True when the tenant was not known before.

        Raises:
            InvalidError: the entry cannot be read; the old one stays.
        """
        policy = TenantPolicy.parse(tenant, body)
        is_new = tenant not in self._policies
        self._policies[tenant] = policy
        self._recheck(tenant)
        return is_new

    def remove(self, tenant: str) -> bool:
        """Forget a tenant and cut all its tunnels; False when it was not known."""
        known = self._policies.pop(tenant, None) is not None
        self._recheck(tenant)
        return known

    def _recheck(self, tenant: str) -> None:
        policy, now = self._policies.get(tenant), datetime.now(UTC)
        for tunnel in list(self._tunnels.get(tenant, ())):
            reason = _no_longer(tunnel, policy, now)
            if reason:
                tunnel.cut(reason)
        timer = self._expiries.pop(tenant, None)
        if timer is not None:
            timer.cancel()
        expiry = policy.next_expiry(now) if policy else None
        if expiry is not None:
            # Wall clock and loop clock drift apart: look again at least once an hour.
            delay = min((expiry - now).total_seconds(), 3600.0)
            loop = asyncio.get_running_loop()
            self._expiries[tenant] = loop.call_later(delay + 0.01, self._recheck, tenant)

    # Clients.

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client connection: one request, then it closes."""
        if self._clients >= self._limits.clients:
            writer.transport.abort()
            return
        self._clients += 1
        try:
            await self._serve(Wire(reader, writer))
        except OSError:
            pass  # The client is gone; there is nobody to tell.
        finally:
            self._clients -= 1
            writer.close()

    def stop(self) -> None:
        """Cut every tunnel; each is reported as its client's task ends."""
        for timer in self._expiries.values():
            timer.cancel()
        for tunnels in list(self._tunnels.values()):
            for tunnel in list(tunnels):
                tunnel.cut("the egress proxy stops")

    async def _serve(self, client: Wire) -> None:
        request: Request | None = None
        try:
            request = await self._request(client)
            await self._admit(request, client)
        except RefusedError as refusal:
            if request is not None:
                self._report_refusal(request, refusal)
            client.writer.write(refusal_answer(refusal, request))
            await client.linger()

    async def _request(self, client: Wire) -> Request:
        """Read, identify, understand.

        Raises:
            RefusedError: it is not a request, not in time, or nobody's.
        """
        try:
            async with asyncio.timeout(self._limits.head_seconds):
                raw = await client.reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise RefusedError(431, "http_request_error", "The request head is too long.") from None
        except TimeoutError:
            raise RefusedError(
                408, "http_request_error", "The request head came too slowly."
            ) from None
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the client left before it had asked") from error
        try:
            head = parse_request(raw)
            policy = self._identify(head)
            return understood(head, policy, source_address=client.peer)
        except ValueError as error:
            message = f"The request is refused: {error}."
            raise RefusedError(400, "http_request_error", message) from error

    def _identify(self, head: Head) -> TenantPolicy:
        """Whose request it is; takes equally long for an unknown tenant and a wrong password."""
        tenant, password = credential(head.value("proxy-authorization"))
        policy = self._policies.get(tenant)
        digest = hashlib.sha256(password).hexdigest()
        fits = hmac.compare_digest(digest, policy.credential_sha256 if policy else _NOBODY)
        if policy is None or not fits:
            message = (
                "The egress proxy does not know this tenant and credential. "
                "It may just have started; otherwise see that the tenant is in sync."
            )
            raise RefusedError(407, "http_request_denied", message)
        return policy

    async def _admit(self, request: Request, client: Wire) -> None:
        """Carry a request that can be read, put on record and afforded."""
        tenant = request.policy.tenant
        if request.complaint:
            message = f"The destination is refused: {request.complaint}."
            rule = request.policy.default_rule_id
            raise RefusedError(403, "http_request_denied", message, rule=rule)
        if self._queue.is_full:
            raise RefusedError(503, "proxy_internal_error", "The ledger is behind; try again soon.")
        if self._busy[tenant] >= self._limits.tunnels_per_tenant:
            message = f"Tenant {tenant} has {self._busy[tenant]} connections, the most it may have."
            raise RefusedError(503, "connection_limit_reached", message)
        self._busy[tenant] += 1
        try:
            await self._carry(request, client)
        finally:
            self._busy[tenant] -= 1

    async def _carry(self, request: Request, client: Wire) -> None:
        policy = request.policy
        tunnel = await self._opened(request, client)
        opened = self._tunnels.setdefault(policy.tenant, set())
        opened.add(tunnel)
        self._report(request, tunnel, ConnectionStage.OPENED)
        message = ""
        try:
            # The policy may have changed while the connection was made.
            stale = _no_longer(tunnel, self._policies.get(policy.tenant), datetime.now(UTC))
            if stale:
                tunnel.cut(stale)
            tunnel.watch()
            await self._run(request, tunnel)
        except (
            OSError,
            ValueError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
        ) as error:
            message = f"The connection ended badly: {str(error) or type(error).__name__}."
        finally:
            tunnel.close()
            opened.discard(tunnel)
            if tunnel.cut_because:
                message = f"Cut: {tunnel.cut_because}."
            self._report(request, tunnel, ConnectionStage.CLOSED, message=message)

    async def _opened(self, request: Request, client: Wire) -> Tunnel:
        """The tunnel to the first address that answers.

        Raises:
            RefusedError: denied by a rule, or no address answers.
        """
        destination = request.destination
        rule = request.policy.default_rule_id
        try:
            ways = await routes(
                request.policy,
                destination,
                resolver=self._resolver,
                timeout_seconds=self._limits.resolve_seconds,
                now=datetime.now(UTC),
            )
            if isinstance(ways, Decision):
                raise RefusedError(403, "http_request_denied", ways.message, rule=ways.rule_id)
            rule = ways[0].decision.rule_id
            route, far = await self._first(ways, destination.port)
        except DialError as error:
            raise RefusedError(error.status, error.error, str(error), rule=rule) from error
        return Tunnel(
            tenant=request.policy.tenant,
            destination=destination,
            address=route.address,
            snat=route.snat,
            decision=route.decision,
            client=client,
            far=far,
            idle_seconds=self._limits.idle_seconds,
        )

    async def _first(self, ways: list[Route], port: int) -> tuple[Route, Wire]:
        failure = DialError(502, "destination_not_found", "There is no address to connect to.")
        for route in ways:
            try:
                far = await connect(route, port, timeout_seconds=self._limits.connect_seconds)
            except DialError as error:
                failure = error
                continue
            reader, writer = await asyncio.open_connection(
                sock=far, limit=RESPONSE_HEAD_LIMIT_BYTES
            )
            return route, Wire(reader, writer)
        raise failure

    async def _run(self, request: Request, tunnel: Tunnel) -> None:
        if request.origin:
            host = str(request.destination).removesuffix(":80")
            raw = forwarded_request(request.head, origin=request.origin, host=host)
            await exchange(tunnel, raw, request.framing)
            return
        # No body and no length: the next byte is the tunnel's (RFC 9110, section 9.3.6).
        established = (
            f"HTTP/1.1 200 Connection Established\r\nX-Sluice-Trace: {request.trace_id}\r\n\r\n"
        )
        tunnel.client.writer.write(established.encode())
        await relay(tunnel)

    # Reports.

    def _report(
        self, request: Request, tunnel: Tunnel, stage: ConnectionStage, *, message: str = ""
    ) -> None:
        decision = tunnel.decision
        self._queue.put(
            ConnectionEvent(
                proxy_id=request.proxy_id,
                trace_id=request.trace_id,
                stage=stage,
                direction=Direction.OUT,
                tenant=request.policy.tenant,
                source_address=request.source_address,
                snat_address=str(tunnel.snat or ""),
                destination_host=request.destination.host,
                destination_port=request.destination.port,
                destination_address=str(tunnel.address),
                detail=request.detail,
                bytes_sent=tunnel.bytes_sent,
                bytes_received=tunnel.bytes_received,
                verdict=decision.verdict,
                rule_id=decision.rule_id,
                opened_at=request.arrived_at,
                closed_at=None if stage is ConnectionStage.OPENED else datetime.now(UTC),
                message=message,
            )
        )

    def _report_refusal(self, request: Request, refusal: RefusedError) -> None:
        self._queue.put(
            ConnectionEvent(
                proxy_id=request.proxy_id,
                trace_id=request.trace_id,
                stage=ConnectionStage.DENIED,
                direction=Direction.OUT,
                tenant=request.policy.tenant,
                source_address=request.source_address,
                destination_host=request.destination.host,
                destination_port=request.destination.port,
                detail=request.detail,
                verdict=refusal.verdict,
                rule_id=refusal.rule or request.policy.default_rule_id,
                opened_at=request.arrived_at,
                closed_at=datetime.now(UTC),
                message=str(refusal),
            )
        )


def _no_longer(tunnel: Tunnel, policy: TenantPolicy | None, now: datetime) -> str:
    """Why an open tunnel must end under ``policy``; "" when it may go on."""
    if policy is None:
        return "the tenant was removed"
    decision = decide(policy, tunnel.destination, tunnel.address, now=now)
    if not decision.is_allowed:
        return f"no longer allowed, now decided by {decision.rule_id}"
    try:
        snat = source_address(decision.snat, tunnel.address)
    except NoSourceError:
        return "its SNAT address was taken away"
    return "" if snat == tunnel.snat else "its SNAT address changed"
