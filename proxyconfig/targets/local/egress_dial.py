"""From destination to socket: resolve once, check every address, bind the SNAT address."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from proxyconfig.domain.destinations import unmapped
from proxyconfig.targets.local.egress_rules import (
    Decision,
    Destination,
    NoSourceError,
    TenantPolicy,
    decide,
    decide_unresolved,
    denied_by_default,
    source_address,
)
from tenants.domain.notation import IpAddress
from tenants.domain.states import Verdict

Resolver = Callable[[str, int], Awaitable[Sequence[IpAddress]]]

# Linux chooses the port at connect, so one SNAT address serves 28,000 connections per destination.
_IP_BIND_ADDRESS_NO_PORT: Final = 24


class DialError(Exception):
    """No connection was made, and not because of a rule.

    Attributes:
        status: of the answer to the client.
        error: name of the error in RFC 9209, section 2.3.
    """

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = error


@dataclass(frozen=True, slots=True)
class Route:
    """An address that may be connected to, why, and from where."""

    address: IpAddress
    decision: Decision
    snat: IpAddress | None


async def system_resolver(host: str, port: int) -> Sequence[IpAddress]:
    """Every address that the system's resolver gives, in its order."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = (ipaddress.ip_address(sockaddr[0]) for *_, sockaddr in found)
    return list(dict.fromkeys(addresses))


async def routes(
    policy: TenantPolicy,
    destination: Destination,
    *,
    resolver: Resolver,
    timeout_seconds: float,
    now: datetime,
) -> list[Route] | Decision:
    """Ways to the destination, or the denial.

    One denied address among several denies all: which of them a client gets must not be luck. An
    address of a family that the tenant has no SNAT address for is no way; without any other, that
    is the denial.

    Raises:
        DialError: the name does not resolve.
    """
    certain = decide_unresolved(policy, destination, now=now)
    if certain is not None:
        return certain
    addresses = [destination.address] if destination.address else []
    if not addresses:
        addresses = [*await _resolved(destination, resolver, timeout_seconds)]
    found = []
    sourceless = denied_by_default(policy, destination)
    for address in addresses:
        decision = decide(policy, destination, address, now=now)
        if not decision.is_allowed:
            return decision
        try:
            snat = source_address(decision.snat, address)
        except NoSourceError as error:
            sourceless = Decision(Verdict.DENIED, decision.rule_id, str(error))
        else:
            found.append(Route(unmapped(address), decision, snat))
    return found or sourceless


async def _resolved(
    destination: Destination, resolver: Resolver, timeout_seconds: float
) -> Sequence[IpAddress]:
    try:
        async with asyncio.timeout(timeout_seconds):
            addresses = await resolver(destination.host, destination.port)
    except TimeoutError:
        message = f"The name {destination.host} was not resolved in {timeout_seconds:g} s."
        raise DialError(504, "dns_timeout", message) from None
    except (OSError, UnicodeError) as error:
        message = f"The name {destination.host} does not resolve."
        raise DialError(502, "dns_error", message) from error
    if not addresses:
        raise DialError(502, "dns_error", f"The name {destination.host} has no address.")
    return addresses


async def connect(route: Route, port: int, *, timeout_seconds: float) -> socket.socket:
    """A connected, non-blocking socket.

    Raises:
        DialError: refused, unreachable, too slow, or the SNAT address is not on this machine.
    """
    family = socket.AF_INET if route.address.version == 4 else socket.AF_INET6
    far = socket.socket(family, socket.SOCK_STREAM)
    far.setblocking(False)
    try:
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _bind(far, route)
        async with asyncio.timeout(timeout_seconds):
            await asyncio.get_running_loop().sock_connect(far, (str(route.address), port))
    except BaseException as error:
        far.close()
        match error:
            case TimeoutError():
                message = f"{route.address} port {port} did not answer in {timeout_seconds:g} s."
                raise DialError(504, "connection_timeout", message) from None
            case ConnectionRefusedError():
                message = f"{route.address} refuses connections on port {port}."
                raise DialError(502, "connection_refused", message) from error
            case OSError():
                message = f"{route.address} port {port} cannot be reached: {error.strerror}."
                raise DialError(502, "destination_ip_unroutable", message) from error
        raise
    return far


def _bind(far: socket.socket, route: Route) -> None:
    if route.snat is None:
        return
    if far.family == socket.AF_INET:
        far.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    try:
        far.bind((str(route.snat), 0))
    except OSError as error:
        message = f"The SNAT address {route.snat} is not on this machine; add it to an interface."
        raise DialError(502, "proxy_configuration_error", message) from error
