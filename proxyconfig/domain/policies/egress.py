"""What may go out: ordered rules over destinations. What no rule allows is denied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from proxyconfig.domain.destinations import can_be_granted
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
from proxyconfig.domain.problems import Problem, Side
from tenants.domain.notation import as_network

if TYPE_CHECKING:
    from proxyconfig.domain.intent import Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A platform administrator's word that a rule may reach its private network."""

    by: Annotated[Text, Says("Who granted it.")]
    at: Annotated[Moment | None, Says("When, UTC; unknown for grants of an earlier version.")] = (
        None
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
        Grant | None,
        Says("Set where a platform administrator allowed this private or loopback network."),
    ] = None


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


def _rules(intent: Intent) -> Iterator[tuple[str, EgressRule]]:
    """Every rule with its path."""
    for policy in intent.egress_policies:
        for rule in policy.rules:
            yield f"spec.egressPolicies[{policy.name}].rules[{rule.order}]", rule


def _rules_numbered(intent: Intent) -> Iterator[Problem]:
    for policy in intent.egress_policies:
        path = f"spec.egressPolicies[{policy.name}].rules"
        orders = [rule.order for rule in policy.rules]
        if not orders:
            yield Problem(path, "empty", f"policy {policy.name} has no rule and allows nothing")
        for order in sorted({order for order in orders if orders.count(order) > 1}):
            yield Problem(path, "order-doubled", f"two rules have order {order}; give each its own")


def _one_destination(intent: Intent) -> Iterator[Problem]:
    for path, rule in _rules(intent):
        named = [name for name in (rule.host, rule.cidr, rule.address_list) if name]
        if len(named) != 1:
            yield Problem(
                path,
                "destination",
                "a rule names one destination, a host, a network or an address list; this one"
                f" names {len(named)}",
            )


def _ports_named(intent: Intent) -> Iterator[Problem]:
    for path, rule in _rules(intent):
        if not rule.ports and not rule.port_lists:
            yield Problem(f"{path}.ports", "no-port", "name at least one port, for example 443")


def _lists_known(intent: Intent) -> Iterator[Problem]:
    addresses = {entry.name for entry in intent.address_lists}
    ports = {entry.name for entry in intent.port_lists}
    for path, rule in _rules(intent):
        if rule.address_list and rule.address_list not in addresses:
            yield Problem(
                f"{path}.addressList", "unknown-list", f"there is no list {rule.address_list}"
            )
        for name in rule.port_lists:
            if name not in ports:
                yield Problem(f"{path}.portLists", "unknown-list", f"there is no port list {name}")


def _grants_narrow(intent: Intent) -> Iterator[Problem]:
    for path, rule in _rules(intent):
        if not rule.granted:
            continue
        if rule.cidr is None:
            yield Problem(
                f"{path}.granted",
                "grant-without-cidr",
                "only a rule with a network can be granted: a name never unlocks a private address",
            )
        elif not can_be_granted(as_network(rule.cidr)):
            yield Problem(
                f"{path}.cidr",
                "grant-too-wide",
                f"{rule.cidr} is not wholly private; a grant names the private network itself",
            )


def _private_ungranted(intent: Intent) -> Iterator[Problem]:
    for path, rule in _rules(intent):
        if rule.cidr is None or rule.granted or rule.action is Action.DENY:
            continue
        if can_be_granted(as_network(rule.cidr)):
            yield Problem(
                f"{path}.granted",
                "grant-missing",
                f"{rule.cidr} is private: nothing passes until a platform administrator grants it",
                "warning",
            )


def _private_listed(intent: Intent) -> Iterator[Problem]:
    lists = {entry.name: entry.addresses for entry in intent.address_lists}
    for path, rule in _rules(intent):
        if rule.action is Action.DENY:
            continue
        texts = lists.get(rule.address_list or "", ())
        private = [text for text in texts if can_be_granted(as_network(text))]
        if private:
            yield Problem(
                f"{path}.addressList",
                "grant-missing",
                f"list {rule.address_list} has private networks ({', '.join(private[:3])}):"
                " nothing passes to them; name each in a rule of its own, which can be granted",
                "warning",
            )


def _pools_known(intent: Intent) -> Iterator[Problem]:
    pools = {pool.name: pool.cluster for pool in intent.snat_pools}
    doubled = {cluster for cluster, count in Counter(pools.values()).items() if count > 1}
    for policy in intent.egress_policies:
        path = f"spec.egressPolicies[{policy.name}].snatPool"
        if policy.snat_pool is not None and policy.snat_pool not in pools:
            yield Problem(path, "unknown-pool", f"there is no SNAT pool {policy.snat_pool}")
        if policy.snat_pool is None and doubled:
            choice = ", ".join(name for name, cluster in pools.items() if cluster in doubled)
            yield Problem(
                path,
                "pool-open",
                f"name one of the tenant's SNAT pools: {choice}",
                sides=tuple(
                    Side(
                        f"spec.snatPools[{name}].cluster",
                        f"cluster {cluster} would have several SNAT pools, and egress policy"
                        f" {policy.name} names none; name one there first",
                    )
                    for name, cluster in pools.items()
                    if cluster in doubled
                ),
            )


CHECKS = (
    _rules_numbered,
    _one_destination,
    _ports_named,
    _lists_known,
    _grants_narrow,
    _private_ungranted,
    _private_listed,
    _pools_known,
)
