"""Grants of private destinations: bound to policy name, network and ports, and never silent.

A rule reaches private space only with a platform administrator's ``Grant``. These functions decide
which grants of an intent are new, put in those that are asked for, and take out the others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from proxyconfig.domain.address_sets import AddressSet, network_of
from proxyconfig.domain.destinations import can_be_granted
from proxyconfig.domain.fields import Action, PortRange, Transport
from proxyconfig.domain.intent import EgressPolicy, EgressRule, Grant, Intent
from proxyconfig.domain.openings import port_lists, resolved_ports


@dataclass(frozen=True, slots=True)
class _Held:
    """What one granted rule of the intent before opens."""

    policy: str
    action: Action
    transport: Transport
    ports: tuple[PortRange, ...]
    networks: AddressSet
    grant: Grant | None


def ungranted(intent: Intent) -> Iterator[tuple[EgressPolicy, EgressRule]]:
    """The rules that reach into private space without a platform administrator's grant.

    Staged policies count too: enforcing one later must not be a way around the grant. A network
    that is not wholly private does not count: no proxy opens its private part for it. Nor does an
    address list, which cannot be granted.
    """
    for policy in intent.egress_policies:
        for rule in policy.rules:
            if rule.granted is None and _is_private(rule):
                yield policy, rule


def new_grants(before: Intent, after: Intent) -> Iterator[tuple[EgressPolicy, EgressRule]]:
    """The granted rules of ``after`` whose network and ports ``before`` does not grant."""
    held, lists = _held(before), port_lists(after)
    for policy in after.egress_policies:
        for rule in policy.rules:
            if rule.granted is not None and _covering(held, policy, rule, lists) is None:
                yield policy, rule


def with_grants(before: Intent, after: Intent, *, by: str, at: datetime) -> Intent:
    """``after`` with every private rule granted; those that ``before`` grants keep who and when."""
    new = Grant(by=by, at=at)
    kept = with_kept_grants(before, without_new_grants(before, after))
    return _with_rules(
        kept, lambda _, rule: new if rule.granted is None and _is_private(rule) else rule.granted
    )


def with_kept_grants(before: Intent, after: Intent) -> Intent:
    """``after`` with the grants that ``before`` has for the same policy, network and ports.

    For edits whose form or document says nothing about grants.
    """
    held, lists = _held(before), port_lists(after)
    return _with_rules(
        after, lambda policy, rule: rule.granted or _covering(held, policy, rule, lists)
    )


def without_new_grants(before: Intent, after: Intent) -> Intent:
    """``after`` with no grant that ``before`` does not have, so that none arrives silently.

    A granted rule keeps its grant when the policy of the same name has its network and ports
    granted in ``before``, by one rule or by several; who and when are from there.
    """
    held, lists = _held(before), port_lists(after)
    return _with_rules(
        after, lambda policy, rule: rule.granted and _covering(held, policy, rule, lists)
    )


def _is_private(rule: EgressRule) -> bool:
    if rule.cidr is None or rule.action is Action.DENY:
        return False
    network = network_of(rule.cidr)
    return network is not None and can_be_granted(network)


def _held(intent: Intent) -> tuple[_Held, ...]:
    lists = port_lists(intent)
    return tuple(
        _Held(
            policy=policy.name,
            action=rule.action,
            transport=rule.protocol,
            ports=resolved_ports(rule, lists),
            networks=AddressSet.of((rule.cidr,)),
            grant=rule.granted,
        )
        for policy in intent.egress_policies
        for rule in policy.rules
        if rule.granted is not None and rule.cidr is not None
    )


def _covering(
    held: tuple[_Held, ...],
    policy: EgressPolicy,
    rule: EgressRule,
    lists: dict[str, tuple[PortRange, ...]],
) -> Grant | None:
    """The grant of the rule's whole network on all of its ports; None where a part has none."""
    wanted = (policy.name, rule.action, rule.protocol)
    usable = [entry for entry in held if (entry.policy, entry.action, entry.transport) == wanted]
    ranges = resolved_ports(rule, lists)
    if rule.cidr is None or not ranges or not usable:
        return None
    network = AddressSet.of((rule.cidr,))
    edges = {
        edge for entry in usable for ports in entry.ports for edge in (ports.first, ports.last + 1)
    }
    starts = {ports.first for ports in ranges} | {
        edge for edge in edges if any(edge in ports for ports in ranges)
    }
    for start in starts:
        here = [entry for entry in usable if any(start in ports for ports in entry.ports)]
        if not network <= AddressSet.union(entry.networks for entry in here):
            return None
    same = (entry.grant for entry in usable if entry.networks == network)
    wider = (entry.grant for entry in usable if entry.networks & network)
    return next(same, None) or next(wider, None)


def _with_rules(
    intent: Intent, granted: Callable[[EgressPolicy, EgressRule], Grant | None]
) -> Intent:
    policies = tuple(
        replace(
            policy,
            rules=tuple(replace(rule, granted=granted(policy, rule)) for rule in policy.rules),
        )
        for policy in intent.egress_policies
    )
    return replace(intent, egress_policies=policies)
