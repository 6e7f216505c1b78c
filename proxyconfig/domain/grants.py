"""Grants of private destinations: bound to policy name, network and ports, and never silent.

A rule reaches private space only with a platform administrator's ``Grant``. These functions decide
which grants of an intent are new, put in those that are asked for, and take out the others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from proxyconfig.domain.address_sets import AddressSet, network_of
from proxyconfig.domain.destinations import can_be_granted
from proxyconfig.domain.fields import Action, PortRange, Transport
from proxyconfig.domain.intent import EgressPolicy, EgressRule, Grant, Intent
from proxyconfig.domain.openings import port_lists, resolved_ports

# Stands for the grant that somebody asks for, until ``with_grants`` says who and when.
_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)
ASKED: Final = Grant(by="", at=_BEFORE_ALL)


@dataclass(frozen=True, slots=True)
class _Opening:
    """What one private rule of an intent opens, or would open once it is granted.

    Attributes:
        until: when its policy expires; None for never.
    """

    policy: str
    action: Action
    transport: Transport
    ports: tuple[PortRange, ...]
    networks: AddressSet
    until: datetime | None
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


def new_ungranted(before: Intent, after: Intent) -> Iterator[tuple[EgressPolicy, EgressRule]]:
    """The ungranted rules of ``after`` that ask for more than those of ``before`` did.

    By policy, ports, transport, network and expiry, so that none is granted along with another.
    """
    known, lists = _openings(before, is_granted=False), port_lists(after)
    for policy, rule in ungranted(after):
        if not _covering(known, policy, rule, lists):
            yield policy, rule


def new_grants(before: Intent, after: Intent) -> Iterator[tuple[EgressPolicy, EgressRule]]:
    """The granted rules of ``after`` of which ``before`` does not grant the whole."""
    held, lists = _openings(before, is_granted=True), port_lists(after)
    for policy in after.egress_policies:
        for rule in policy.rules:
            if rule.granted is not None and not _covering(held, policy, rule, lists):
                yield policy, rule


def with_grants(before: Intent, after: Intent, *, by: str, at: datetime) -> Intent:
    """``after`` with what it asks for granted; what ``before`` grants keeps who and when.

    Asked for is what is new, and what is marked with ``ASKED``. A rule that was there before,
    ungranted, stays so: whoever grants a change has not read the rest.
    """
    marked = {
        (policy.name, rule)
        for policy in after.egress_policies
        for rule in policy.rules
        if rule.granted == ASKED
    }
    kept = with_kept_grants(before, without_new_grants(before, after))
    asked = {(policy.name, rule) for policy, rule in new_ungranted(before, kept)}
    asked |= {(name, replace(rule, granted=None)) for name, rule in marked if _is_private(rule)}
    new = Grant(by=by, at=at)
    return _with_rules(
        kept, lambda policy, rule: new if (policy.name, rule) in asked else rule.granted
    )


def with_kept_grants(before: Intent, after: Intent) -> Intent:
    """``after`` with the grants that ``before`` has for the same policy, network and ports."""
    held, lists = _openings(before, is_granted=True), port_lists(after)
    return _with_rules(
        after, lambda policy, rule: rule.granted or _grant(held, policy, rule, lists)
    )


def without_new_grants(before: Intent, after: Intent) -> Intent:
    """``after`` with no grant that ``before`` does not have, so that none arrives silently.

    A granted rule keeps its grant when the policy of the same name has its network and ports
    granted in ``before``, by one rule or by several; who and when are from there.
    """
    held, lists = _openings(before, is_granted=True), port_lists(after)
    return _with_rules(
        after, lambda policy, rule: rule.granted and _grant(held, policy, rule, lists)
    )


def asking(before: Intent, after: Intent, name: str) -> Intent:
    """``after`` with a grant for each private rule of one policy: that of ``before``, or ``ASKED``.

    For edits of one policy whose form or document says nothing about grants.
    """
    kept = with_kept_grants(before, after)
    rules = {
        rule: kept_rule.granted or (ASKED if _is_private(rule) else None)
        for policy, kept_policy in zip(after.egress_policies, kept.egress_policies, strict=True)
        for rule, kept_rule in zip(policy.rules, kept_policy.rules, strict=True)
        if policy.name == name
    }
    return _with_rules(
        after, lambda policy, rule: rules[rule] if policy.name == name else rule.granted
    )


def as_asked(before: Intent, after: Intent) -> Intent:
    """``after`` as an approval that grants what it asks for would make it."""
    return with_grants(before, after, by="", at=_BEFORE_ALL)


def _is_private(rule: EgressRule) -> bool:
    if rule.cidr is None or rule.action is Action.DENY:
        return False
    network = network_of(rule.cidr)
    return network is not None and can_be_granted(network)


def _openings(intent: Intent, *, is_granted: bool) -> tuple[_Opening, ...]:
    lists = port_lists(intent)
    return tuple(
        _Opening(
            policy=policy.name,
            action=rule.action,
            transport=rule.protocol,
            ports=resolved_ports(rule, lists),
            networks=AddressSet.of((rule.cidr,)),
            until=policy.expires_at,
            grant=rule.granted,
        )
        for policy in intent.egress_policies
        for rule in policy.rules
        if rule.cidr is not None
        and (rule.granted is not None if is_granted else rule.granted is None and _is_private(rule))
    )


def _covering(
    known: tuple[_Opening, ...],
    policy: EgressPolicy,
    rule: EgressRule,
    lists: dict[str, tuple[PortRange, ...]],
) -> tuple[_Opening, ...]:
    """What opens the rule's whole network on all of its ports for as long; () where a part is new.

    Openings of the same policy, action and transport count.
    """
    wanted = (policy.name, rule.action, rule.protocol)
    usable = tuple(
        entry
        for entry in known
        if (entry.policy, entry.action, entry.transport) == wanted
        and _lives_to(entry.until, policy.expires_at)
    )
    ranges = resolved_ports(rule, lists)
    if rule.cidr is None or not ranges or not usable:
        return ()
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
            return ()
    same = tuple(entry for entry in usable if entry.networks == network)
    return (*same, *(entry for entry in usable if entry.networks & network))


def _grant(
    held: tuple[_Opening, ...],
    policy: EgressPolicy,
    rule: EgressRule,
    lists: dict[str, tuple[PortRange, ...]],
) -> Grant | None:
    """Whose grant the rule stands on, that of the same network before wider ones."""
    return next((entry.grant for entry in _covering(held, policy, rule, lists)), None)


def _lives_to(until: datetime | None, moment: datetime | None) -> bool:
    """True for what does not expire before ``moment``; None stands for the end of time."""
    return until is None or (moment is not None and until >= moment)


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
