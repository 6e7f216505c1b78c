"""What may go out: ordered rules over destinations. What no rule allows is denied."""

from dataclasses import dataclass
from typing import Annotated

from proxyconfig.domain.fields import (
    Action,
    Cidr,
    Host,
    Mode,
    Moment,
    Name,
    Order,
    PortRange,
    Says,
    Text,
    Transport,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressRule:
    """One destination and what happens to connections there.

    Exactly one of ``host``, ``cidr`` and ``address_list`` is set.
    """

    order: Annotated[
        Order, Says("Unique in the policy, lower first; rule id is tenant/policy/order.")
    ]
    host: Annotated[Host | None, Says("Exact name, or *.suffix for any name below it.")] = None
    cidr: Annotated[Cidr | None, Says("Network, or one address as /32 or /128.")] = None
    address_list: Annotated[Name | None, Says("Address list of this tenant.")] = None
    ports: Annotated[tuple[PortRange, ...], Says('443 or "8000-8099".')] = ()
    port_lists: Annotated[tuple[Name, ...], Says("Port lists of this tenant.")] = ()
    protocol: Annotated[Transport, Says("tcp or udp.")] = Transport.TCP
    action: Annotated[Action, Says("allow or deny.")] = Action.ALLOW
    granted: Annotated[
        bool,
        Says("A platform admin allowed this private or loopback network."),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressPolicy:
    """Rules under one name, with an owner and a source address."""

    name: Annotated[Name, Says("Unique in the tenant; part of the rule id.")]
    rules: Annotated[tuple[EgressRule, ...], Says("Matched in order; the first match decides.")]
    order: Annotated[Order, Says("Lower policies are matched first; then the name.")] = 100
    snat_pool: Annotated[
        Name | None, Says("Source addresses; empty: the tenant's only pool, if it has one.")
    ] = None
    mode: Annotated[
        Mode, Says("Staged rules allow nothing; what they would deny is let through and marked.")
    ] = Mode.ENFORCED
    owner: Annotated[Text, Says("Who answers for it.")] = ""
    expires_at: Annotated[Moment | None, Says("From then on it matches nothing; UTC.")] = None
    description: Annotated[Text, Says("For people.")] = ""
