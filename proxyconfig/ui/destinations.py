"""Egress destinations as people write them: one a line, ``host:ports`` or ``network:ports``."""

import ipaddress
import re
from collections.abc import Iterable, Iterator

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from proxyconfig.models import EgressRule
from proxyconfig.services.policies import RuleDraft

MOST_RULES = 200
# The destination, a colon or a space, then ports with commas between: "[2001:db8::]/32 443, 8443".
_LINE = re.compile(r"(?P<where>\S+?)(?::|\s)\s*(?P<ports>\d{1,5}(?:\s*,\s*\d{1,5})*)\Z")


def parse(text: str) -> tuple[RuleDraft, ...]:
    """The rules that the lines name, in order; empty lines are left out.

    Raises:
        ValidationError: with a complaint for each line that is no rule, by its number.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line]
    if len(lines) > MOST_RULES:
        raise ValidationError(_("At most %(most)s lines.") % {"most": MOST_RULES})
    complaints = list(_complaints(lines))
    if complaints:
        raise ValidationError(complaints)
    return tuple(_rule(line) for _number, line in lines)


def write(rules: Iterable[EgressRule]) -> str:
    """The lines that ``parse`` reads back as these rules."""
    return "\n".join(
        f"{rule.destination}:{','.join(str(port) for port in rule.ports)}" for rule in rules
    )


def is_private(rule: RuleDraft) -> bool:
    """True for a network that a platform administrator has to grant."""
    return rule.network is not None and ipaddress.ip_network(rule.network, strict=False).is_private


def _complaints(lines: Iterable[tuple[int, str]]) -> Iterator[str]:
    for number, line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            yield _(
                "Line %(number)s: “%(line)s” names no port. Write a host or a network and its"
                " ports, as in docs.example.org:443."
            ) % {"number": number, "line": line[:80]}
        elif wrong := _wrong_network(found["where"]):
            yield _("Line %(number)s: %(wrong)s.") % {"number": number, "wrong": wrong}


def _wrong_network(where: str) -> str:
    if "/" not in where:
        return ""
    try:
        ipaddress.ip_network(where.strip("[]"))
    except ValueError as error:
        return str(error)
    return ""


def _rule(line: str) -> RuleDraft:
    found = _LINE.fullmatch(line)
    assert found is not None  # noqa: S101 - parse has checked it; for the type checker
    ports = tuple(int(port) for port in found["ports"].split(","))
    where = found["where"].strip("[]").lower()
    if "/" in where:
        return RuleDraft(network=where, ports=ports)
    try:
        address = ipaddress.ip_address(where)
    except ValueError:
        return RuleDraft(host=where, ports=ports)
    return RuleDraft(network=f"{address}/{address.max_prefixlen}", ports=ports)
