"""Egress rules as people type them, one a line: ``[allow|deny] destination ports[/udp]``.

``docs.example.org:443``, ``*.example.com 443,8443``, ``203.0.113.0/24:8000-8099``,
``[2001:db8::1]:443``, ``deny @partners:@web/udp``. Pure but for the words of its complaints.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from proxyconfig.domain import notation
from proxyconfig.domain.codec import fields_of, limit_complaint
from proxyconfig.domain.destinations import can_be_granted
from proxyconfig.domain.fields import Action, PortRange, Transport
from proxyconfig.domain.policies.egress import EgressRule, Grant
from proxyconfig.domain.policies.lists import AddressList
from tenants.domain.notation import as_network, source_complaint

MOST_RULES = 200
MOST_ORDER = 1_000_000
STEP = 10
_PORT = r"(?:\d{1,5}(?:-\d{1,5})?|@[^\s,/]+)"
_LINE = re.compile(
    r"(?:(?P<action>allow|deny)\s+)?(?P<where>\S+?)(?::|\s)\s*"
    rf"(?P<ports>{_PORT}(?:\s*,\s*{_PORT})*)(?:/(?P<protocol>tcp|udp))?\Z",
    re.IGNORECASE,
)
_NAME = next(field.shape.limits for field in fields_of(AddressList) if field.name == "name")
_HOST = next(field.shape.limits for field in fields_of(EgressRule) if field.name == "host")
# How well an old and a new rule match: the same in every word, or the same destination.
_SAME, _ALIKE = 1000, 1


@dataclass(frozen=True, slots=True)
class Line:
    """A rule and the number, from 1, of the line that says it; its order is still open."""

    number: int
    rule: EgressRule


def parse(text: str) -> tuple[Line, ...]:
    """The rules that the lines name; empty lines are left out.

    Raises:
        ValidationError: with a complaint for each line that is no rule, by its number.
    """
    written = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    written = [(number, line) for number, line in written if line]
    if len(written) > MOST_RULES:
        raise ValidationError(_("At most %(most)s lines.") % {"most": MOST_RULES})
    lines: list[Line] = []
    complaints: list[str] = []
    for number, line in written:
        try:
            lines.append(Line(number, _rule(line, order=len(lines))))
        except ValueError as error:
            complaints.append(
                _("Line %(number)s: %(why)s.") % {"number": number, "why": str(error)}
            )
    if complaints:
        raise ValidationError(complaints)
    return tuple(lines)


def write(rules: Iterable[EgressRule]) -> str:
    """The lines that ``parse`` reads back as these rules."""
    return "\n".join(map(write_rule, rules))


def write_rule(rule: EgressRule) -> str:
    """One rule in its shortest form."""
    action = "deny " if rule.action is Action.DENY else ""
    protocol = "/udp" if rule.protocol is Transport.UDP else ""
    return f"{action}{_destination(rule)}:{_ports(rule)}{protocol}"


def is_private(rule: EgressRule) -> bool:
    """True for a network that a platform administrator has to grant."""
    if rule.cidr is None or rule.action is Action.DENY:
        return False
    return can_be_granted(as_network(rule.cidr))


def renumber(old: Sequence[EgressRule], new: Sequence[EgressRule]) -> tuple[EgressRule, ...]:
    """``new`` with order numbers, where a rule that stays keeps its own: it is part of rule ids.

    A rule stays that says the same, or that has the same destination in the same place. New ones
    get numbers between their neighbours'; where there is no room, all are numbered anew. A grant
    stays with a rule that reaches no further than before.

    Args:
        old: the policy's rules as they are; empty for a new policy.
        new: in the order in which they are matched; their own numbers mean nothing.
    """
    old = sorted(old, key=lambda rule: rule.order)
    kept = dict(_pairs(old, new))
    numbered = [
        replace(rule, order=old[kept[place]].order, granted=_grant(old[kept[place]], rule))
        if place in kept
        else replace(rule, order=-1, granted=None)
        for place, rule in enumerate(new)
    ]
    orders = _filled([rule.order for rule in numbered])
    return tuple(replace(rule, order=order) for rule, order in zip(numbered, orders, strict=True))


def _rule(line: str, *, order: int) -> EgressRule:
    """The rule of one line.

    Raises:
        ValueError: says what is wrong with it.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError(
            _(
                "“%(line)s” names no port. Write a host or a network and its ports, as in"
                " docs.example.org:443"
            )
            % {"line": line[:80]}
        )
    words = [word.strip() for word in found["ports"].split(",")]
    host, cidr, address_list = _where(found["where"])
    return EgressRule(
        order=order,
        host=host,
        cidr=cidr,
        address_list=address_list,
        ports=tuple(PortRange.parse(word) for word in words if not word.startswith("@")),
        port_lists=tuple(_list_name(word[1:]) for word in words if word.startswith("@")),
        protocol=Transport((found["protocol"] or Transport.TCP).lower()),
        action=Action((found["action"] or Action.ALLOW).lower()),
    )


def _where(text: str) -> tuple[str | None, str | None, str | None]:
    """Host, network and address list, of which one is set."""
    if text.startswith("@"):
        return None, None, _list_name(text[1:])
    bare = text.replace("[", "").replace("]", "")
    if "/" in bare or ":" in bare or notation.is_numeric_host(bare):
        if wrong := source_complaint(bare):
            raise ValueError(wrong)
        return None, str(as_network(bare)), None
    host = bare.lower()
    if wrong := limit_complaint(_HOST, host):
        raise ValueError(wrong)
    return host, None, None


def _list_name(text: str) -> str:
    if limit_complaint(_NAME, text):
        raise ValueError(_("“@%(name)s” is not the name of a list") % {"name": text[:63]})
    return text


def _destination(rule: EgressRule) -> str:
    if rule.address_list is not None:
        return f"@{rule.address_list}"
    if rule.cidr is None:
        return rule.host or ""
    return f"[{rule.cidr}]" if ":" in rule.cidr else rule.cidr


def _ports(rule: EgressRule) -> str:
    return ",".join([*map(str, rule.ports), *(f"@{name}" for name in rule.port_lists)])


def _likeness(old: EgressRule, new: EgressRule) -> int:
    if replace(old, order=0, granted=None) == replace(new, order=0, granted=None):
        return _SAME
    return _ALIKE if _target(old) == _target(new) else 0


def _target(rule: EgressRule) -> tuple[object, ...]:
    return (rule.host, rule.cidr, rule.address_list, rule.protocol, rule.action)


def _pairs(old: Sequence[EgressRule], new: Sequence[EgressRule]) -> list[tuple[int, int]]:
    """Places in ``new`` and ``old`` of rules that stay: a common subsequence of most likeness."""
    best = [[0] * (len(old) + 1) for _ in range(len(new) + 1)]
    for i in reversed(range(len(new))):
        for j in reversed(range(len(old))):
            alike = _likeness(old[j], new[i])
            best[i][j] = max(
                best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + alike if alike else 0
            )
    pairs, i, j = [], 0, 0
    while i < len(new) and j < len(old):
        alike = _likeness(old[j], new[i])
        if alike and best[i][j] == best[i + 1][j + 1] + alike:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _grant(old: EgressRule, new: EgressRule) -> Grant | None:
    reaches_no_further = set(new.ports) <= set(old.ports) and set(new.port_lists) <= set(
        old.port_lists
    )
    return old.granted if reaches_no_further else None


def _filled(orders: list[int]) -> list[int]:
    """Rising numbers, those that are set kept where the others (-1) have room between them."""
    anew = [STEP * step for step in range(1, len(orders) + 1)]
    filled: list[int] = []
    place = 0
    while place < len(orders):
        if orders[place] >= 0:
            filled.append(orders[place])
            place += 1
            continue
        end = next((at for at in range(place, len(orders)) if orders[at] >= 0), len(orders))
        count, low = end - place, filled[-1] if filled else 0
        if end == len(orders):
            filled += [low + STEP * step for step in range(1, count + 1)]
        elif orders[end] - low > count:
            room = orders[end] - low
            filled += [low + room * step // (count + 1) for step in range(1, count + 1)]
        else:
            return anew
        place = end
    return filled if not filled or filled[-1] <= MOST_ORDER else anew
