"""Policies arranged for their page."""

from collections.abc import Sequence
from dataclasses import dataclass

from proxyconfig.domain.intent import Intent, Listener
from proxyconfig.ui import rules
from proxyconfig.ui.networks import ObjectRow, View


@dataclass(frozen=True, slots=True)
class IngressRow:
    """An ingress policy with the listener that it opens; None when that is gone."""

    row: ObjectRow
    listener: Listener | None


@dataclass(frozen=True, slots=True)
class RuleText:
    """One rule as it is typed, and whether a platform administrator granted it."""

    text: str
    is_granted: bool


@dataclass(frozen=True, slots=True)
class EgressRow:
    """An egress policy with its rules in words."""

    row: ObjectRow
    rules: Sequence[RuleText]


def ingress_rows(view: View, intent: Intent) -> list[IngressRow]:
    """The ingress policies in force."""
    listeners = {listener.name: listener for listener in intent.listeners}
    return [
        IngressRow(row, listeners.get(row.item.listener)) for row in view.rows("ingress-policies")
    ]


def egress_rows(view: View) -> list[EgressRow]:
    """The egress policies in force."""
    return [
        EgressRow(
            row, [RuleText(rules.write_rule(rule), bool(rule.granted)) for rule in row.item.rules]
        )
        for row in view.rows("egress-policies")
    ]
