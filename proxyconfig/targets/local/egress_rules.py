"""What the egress proxy may let through: pure matching, no sockets and no clock of its own.

The process asks twice: ``decide_unresolved`` before it looks a name up, so that a name which no
rule can allow never reaches a DNS server, and ``decide`` for every address that came back.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self, cast

from proxyconfig.domain.destinations import is_public, unmapped
from proxyconfig.domain.fields import Action, JsonValue, Mode, PortRange
from proxyconfig.domain.notation import is_host_name, is_numeric_host
from tenants.domain.notation import IpAddress, IpNetwork, as_network
from tenants.domain.states import Verdict
from tenants.errors import InvalidError

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a client wants to go.

    Attributes:
        host: lower case without final dot; an address in its shortest form, IPv6 without brackets.
        address: set when the client named an address and not a name.
    """

    host: str
    port: int
    address: IpAddress | None = None

    @classmethod
    def parse(cls, authority: str, *, default_port: int | None = None) -> Self:
        """Read ``host:port`` or ``[v6]:port``.

        Raises:
            ValueError: it is not that, or has user information, a numeric form that some resolvers
                take for an address (0x7f.1), a zone, or characters outside ASCII.
        """
        host, port = _split(authority, default_port)
        if not host.isascii() or re.search(r"[^A-Za-z0-9._:-]", host):
            raise ValueError(f"{authority!r} is not a plain host name or address")
        try:
            address = unmapped(ipaddress.ip_address(host))
        except ValueError:
            name = host.lower().removesuffix(".")
            if is_numeric_host(name) or not is_host_name(name):
                raise ValueError(f"{authority!r} is not a plain host name or address") from None
            return cls(name, port)
        return cls(str(address), port, address)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _split(authority: str, default_port: int | None) -> tuple[str, int]:
    if authority.startswith("["):
        host, closed, rest = authority[1:].partition("]")
        port = rest.removeprefix(":")
        if not closed or ":" not in host or (rest and not rest.startswith(":")):
            raise ValueError(f"{authority!r} is not a plain host name or address")
    else:
        host, _, port = authority.partition(":")
    if not port and default_port is not None:
        return host, default_port
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError(f"{authority!r} has no port from 1 to 65535")
    return host, int(port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule as the compiler wrote it; ``host`` or ``networks`` is set."""

    id: str
    action: Action
    mode: Mode
    host: str | None
    networks: tuple[IpNetwork, ...]
    ports: tuple[PortRange, ...]
    granted: bool
    snat: tuple[IpAddress, ...]
    expires_at: datetime | None

    @classmethod
    def parse(cls, body: Mapping[str, JsonValue]) -> Self:
        """Read one rule of an ``EgressTenant`` body.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        host, expires = body["host"], body["expires_at"]
        ranges = cast("list[list[int]]", body["ports"])
        networks = cast("list[str]", body["networks"])
        snat = cast("list[str]", body["snat"])
        return cls(
            id=str(body["id"]),
            action=Action(str(body["action"])),
            mode=Mode(str(body["mode"])),
            host=None if host is None else str(host),
            networks=tuple(as_network(text) for text in networks),
            ports=tuple(PortRange(int(first), int(last)) for first, last in ranges),
            granted=body["granted"] is True,
            snat=tuple(ipaddress.ip_address(text) for text in snat),
            expires_at=None if expires is None else datetime.fromisoformat(str(expires)),
        )

    def is_live(self, now: datetime) -> bool:
        """True until it expires."""
        return self.expires_at is None or now < self.expires_at

    def names_host(self, destination: Destination) -> bool:
        """True when its host rule fits a destination that was asked for by name."""
        if self.host is None or destination.address is not None:
            return False
        if self.host.startswith("*."):
            return destination.host.endswith(self.host[1:])
        return destination.host == self.host

    def holds_address(self, address: IpAddress) -> bool:
        """True when one of its networks has the address."""
        return any(
            address.version == network.version and address in network for network in self.networks
        )

    def takes_port(self, port: int) -> bool:
        """True when the port is one of its ports."""
        return any(port in ports for ports in self.ports)


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to a connection to one address.

    Attributes:
        rule_id: the rule that decided; ``tenant/default-deny`` when none did.
        message: for people, when it is not let through; "" otherwise.
        snat: the deciding rule's source addresses.
    """

    verdict: Verdict
    rule_id: str
    message: str = ""
    snat: tuple[IpAddress, ...] = ()

    @property
    def is_allowed(self) -> bool:
        """True when the connection is made; a staged denial only marks it."""
        return self.verdict in (Verdict.ALLOWED, Verdict.WOULD_DENY)


@dataclass(frozen=True, slots=True)
class TenantPolicy:
    """What the egress proxy knows of one tenant; ``body`` is what it was told, for observing."""

    tenant: str
    credential_sha256: str
    rules: tuple[Rule, ...]
    body: Mapping[str, JsonValue]

    @classmethod
    def parse(cls, tenant: str, body: JsonValue) -> Self:
        """Read an ``EgressTenant`` body.

        Raises:
            InvalidError: it is not one, or another tenant's.
        """
        try:
            mapping = cast("dict[str, JsonValue]", body)
            credential = str(mapping["credential_sha256"])
            rules = cast("list[dict[str, JsonValue]]", mapping["rules"])
            if mapping["tenant"] != tenant or not _SHA256.fullmatch(credential):
                raise ValueError(f"tenant or credential_sha256 does not fit {tenant}")
            parsed = tuple(Rule.parse(rule) for rule in rules)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"The entry of {tenant} cannot be read: {type(error).__name__}: {error}"
            raise InvalidError(message, code="egress.entry-invalid") from error
        return cls(tenant, credential, parsed, mapping)

    @property
    def default_rule_id(self) -> str:
        """Id of what decides when no rule does."""
        return f"{self.tenant}/default-deny"

    def next_expiry(self, now: datetime) -> datetime | None:
        """When the next rule expires; None when none will."""
        moments = (rule.expires_at for rule in self.rules)
        return min((moment for moment in moments if moment and moment > now), default=None)


def decide_unresolved(
    policy: TenantPolicy, destination: Destination, *, now: datetime
) -> Decision | None:
    """The denial that is certain before the name is looked up; None when addresses are needed."""
    if destination.address is not None:
        return None
    for rule in policy.rules:
        if rule.mode is not Mode.ENFORCED or not rule.is_live(now):
            continue
        if not rule.takes_port(destination.port):
            continue
        if rule.names_host(destination) and rule.action is Action.DENY:
            return _denied_by(rule, policy, destination)
        if rule.action is Action.ALLOW and (rule.networks or rule.names_host(destination)):
            return None
    return denied_by_default(policy, destination)


def decide(
    policy: TenantPolicy, destination: Destination, address: IpAddress, *, now: datetime
) -> Decision:
    """What the tenant's rules say about connecting to ``address`` for ``destination``.

    The first enforced rule that fits decides. An address that is not public is opened only by a
    granted rule whose network has it: a rule by name, or one without grant, does not fit it. Staged
    rules allow nothing; a staged denial that would have come first marks the verdict.
    """
    plain = unmapped(address)
    staged = withheld = ""
    for rule in policy.rules:
        if not _fits(rule, destination, plain, now):
            continue
        if rule.mode is Mode.STAGED:
            staged = staged or (rule.id if rule.action is Action.DENY else "")
        elif rule.action is Action.DENY:
            return _denied_by(rule, policy, destination)
        elif is_public(plain) or (rule.granted and rule.holds_address(plain)):
            verdict = Verdict.WOULD_DENY if staged else Verdict.ALLOWED
            return Decision(verdict, staged or rule.id, snat=rule.snat)
        else:
            withheld = withheld or rule.id
    return denied_by_default(policy, destination, address=plain, withheld=withheld)


def _denied_by(rule: Rule, policy: TenantPolicy, destination: Destination) -> Decision:
    message = f"Rule {rule.id} of tenant {policy.tenant} denies {destination}."
    return Decision(Verdict.DENIED, rule.id, message)


def _fits(rule: Rule, destination: Destination, address: IpAddress, now: datetime) -> bool:
    return (
        rule.is_live(now)
        and rule.takes_port(destination.port)
        and (rule.names_host(destination) or rule.holds_address(address))
    )


def denied_by_default(
    policy: TenantPolicy,
    destination: Destination,
    *,
    address: IpAddress | None = None,
    withheld: str = "",
) -> Decision:
    """The default deny, in words that say who can change it.

    Args:
        address: the address that was looked at, if there was one.
        withheld: a rule that names the destination but may not open a private address.
    """
    message = (
        f"No egress policy of tenant {policy.tenant} allows {destination}. "
        f"NetOps can add one under Policies."
    )
    if withheld:
        message = (
            f"Rule {withheld} names {destination}, but {address} is not a public address. Only a "
            f"rule by CIDR that a platform administrator granted can open it."
        )
    return Decision(Verdict.DENIED, policy.default_rule_id, message)


class NoSourceError(ValueError):
    """No SNAT address can be the source of a connection, which is then not made."""


def source_address(snat: Sequence[IpAddress], address: IpAddress) -> IpAddress | None:
    """The SNAT address to bind for a connection to ``address``; None to leave it to the system.

    The first of the destination's family is taken. A loopback address reaches nothing beyond the
    machine: it is bound for loopback destinations only, and a pool of nothing else, which is a
    demonstration on one machine, leaves public destinations to the operating system.

    Raises:
        NoSourceError: there is none: traffic must not leave from an address that is not the
            tenant's.
    """
    plain = unmapped(address)
    for source in snat:
        if source.version == plain.version and (plain.is_loopback or not source.is_loopback):
            return source
    is_demonstration = bool(snat) and all(source.is_loopback for source in snat)
    if is_demonstration and is_public(plain):
        return None
    raise NoSourceError(
        f"No SNAT address of this tenant for IPv{plain.version} destinations. "
        f"Ask NetOps to add one."
    )
