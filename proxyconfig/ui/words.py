"""What a plan does, in the words of the forms: objects by title, fields by label."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from proxyconfig.domain import guardrails
from proxyconfig.domain.codec import Unreadable, camel, from_plain
from proxyconfig.domain.fields import JsonValue
from proxyconfig.domain.intent import EgressRule, Subnet
from proxyconfig.domain.objects import BY_NAME, Key
from proxyconfig.domain.problems import Problem
from proxyconfig.models import Plan
from proxyconfig.ui import rules
from proxyconfig.ui.layout import layout_of

Stored = Mapping[str, Any]  # Any: a plan's stored JSON.
_PLACE = re.compile(r"\[([^\]]*)\]")
_VERBS = {
    "add": gettext_lazy("Add"),
    "change": gettext_lazy("Change"),
    "delete": gettext_lazy("Delete"),
}
_ASIDE = frozenset({"listeners"})
_EMPTY: tuple[object, ...] = (None, "", [], {})


@dataclass(frozen=True, slots=True)
class FieldLine:
    """One field before and after; None where it is not set."""

    label: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """What happens to one object: ``add``, ``change`` or ``delete``."""

    action: str
    title: str
    fields: Sequence[FieldLine]
    key: Key


@dataclass(frozen=True, slots=True)
class ProxyEntries:
    """What changes on one cluster's proxy."""

    cluster: str
    entries: Sequence[Stored]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many policies and networks a plan touches."""

    deleted: int
    changed: int
    added: int


def change_lines(changes: Iterable[Stored]) -> list[ChangeLine]:
    """Each change of a plan; deletes first, as they are stored."""
    return [
        ChangeLine(
            change["action"],
            change["title"],
            _field_lines(change["collection"], change["fields"]),
            Key(change["collection"], change["name"]),
        )
        for change in changes
    ]


def counts(plan: Plan) -> Counts:
    """How many objects are deleted, changed and added."""
    actions = [change["action"] for change in plan.changes]
    return Counts(actions.count("delete"), actions.count("change"), actions.count("add"))


def plan_title(plan: Plan) -> str:
    """``Add segment web``, ``Change egress policy docs and 2 more``; else the plan's summary."""
    if plan.rolls_back_to is not None:
        return _("Roll back to revision %(number)s") % {"number": plan.rolls_back_to}
    if not plan.changes:
        return plan.summary
    # A listener comes with its policy, and says less.
    ordered = sorted(plan.changes, key=lambda change: change["collection"] in _ASIDE)
    renamed = _renamed(ordered)
    first, count = (
        (renamed, len(ordered) - 2) if renamed else (_named(ordered[0]), len(ordered) - 1)
    )
    if not count:
        return first
    return _("%(first)s and %(count)s more") % {"first": first, "count": count}


def _named(change: Stored) -> str:
    return f"{_VERBS[change['action']]} {_lower_first(str(change['title']))}"


def _renamed(changes: Sequence[Stored]) -> str:
    """``Rename ingress policy web to site`` where that is what was done; else ""."""
    for gone in changes:
        for new in changes:
            if (gone["action"], new["action"]) == ("delete", "add") and _is_same(gone, new):
                title = _lower_first(str(gone["title"]))
                return _("Rename %(what)s to %(name)s") % {"what": title, "name": new["name"]}
    return ""


def _is_same(gone: Stored, new: Stored) -> bool:
    """True when an object that is gone and a new one differ in nothing but the name."""
    if gone["collection"] != new["collection"]:
        return False
    was = {field["path"]: field["before"] for field in gone["fields"] if field["path"] != "name"}
    now = {field["path"]: field["after"] for field in new["fields"] if field["path"] != "name"}
    return was == now


def approval_title(plan: Plan) -> str:
    """Why a plan waits for a person, in a line."""
    if {found["code"] for found in plan.findings} == {guardrails.APPROVAL_REQUESTED}:
        return _("Approval requested")
    return _("Manual approval required: outside the guardrails")


def proxy_entries(entries: Iterable[Stored]) -> list[ProxyEntries]:
    """A plan's entries by cluster; an older plan's have none."""
    by_cluster: dict[str, list[Stored]] = {}
    for entry in entries:
        by_cluster.setdefault(entry.get("cluster", ""), []).append(entry)
    return [ProxyEntries(cluster, found) for cluster, found in sorted(by_cluster.items())]


def label_of(collection: str, path: str) -> str:
    """A field's label in its form, for a path of the object's JSON."""
    plain = _PLACE.sub("", path)
    labels = dict(_labels(collection))
    known = [name for name in labels if plain == name or plain.startswith(f"{name}.")]
    if not known:
        return capfirst(_plain_words(plain))
    name = max(known, key=len)
    place = _PLACE.search(path)
    rest = _plain_words(plain[len(name) :].strip("."))
    # Which item, where only a part of it differs; a whole one is there to read.
    which = place[1] if place and rest else ""
    return ", ".join(filter(None, (labels[name], which, rest)))


def _field_lines(collection: str, fields: Sequence[Stored]) -> list[FieldLine]:
    """In the order of the form."""
    order = [name for name, _label in _labels(collection)]
    places = {name: place for place, name in enumerate(order)}

    def place(field: Stored) -> int:
        plain = _PLACE.sub("", field["path"])
        known = (places[name] for name in (plain, plain.partition(".")[0]) if name in places)
        return next(known, len(order))

    lines = (_field_line(collection, field) for field in sorted(fields, key=place))
    return [line for line in lines if line is not None]


def _labels(collection: str) -> list[tuple[str, str]]:
    """The paths of a form's fields, as they are in JSON, with their labels."""
    if collection not in BY_NAME:
        return []
    return [
        (".".join(map(camel, entry.path.split("."))), str(entry.label))
        for entry in layout_of(collection).entries
    ]


def _field_line(collection: str, field: Stored) -> FieldLine | None:
    """None for what a new or deleted object leaves empty: it says nothing."""
    before, after = field["before"], field["after"]
    if before in _EMPTY and after in _EMPTY:
        return None
    return FieldLine(
        label_of(collection, field["path"]),
        _text(collection, field["path"], before),
        _text(collection, field["path"], after),
    )


def _text(collection: str, path: str, value: JsonValue) -> str | None:
    if value in _EMPTY:
        return None
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return "\n".join(_text(collection, path, item) or "" for item in value)
    if isinstance(value, dict):
        return _record(collection, path, value)
    return str(value)


def _record(collection: str, path: str, value: dict[str, JsonValue]) -> str:
    kind = path.partition("[")[0]
    problems: list[Problem] = []
    try:
        if kind == "rules":
            return rules.write_rule(
                from_plain(EgressRule, value, path="", problems=problems, is_strict=False)
            )
        if kind == "subnets":
            subnet = from_plain(Subnet, value, path="", problems=problems, is_strict=False)
            return f"{subnet.cidr} {subnet.gateway or ''}".strip()
    except Unreadable:
        pass
    lines = ((name, _text(collection, f"{path}.{name}", part)) for name, part in value.items())
    return "\n".join(
        f"{_part_label(collection, f'{path}.{name}')}: {text}"
        for name, text in lines
        if text is not None
    )


def _part_label(collection: str, path: str) -> str:
    """The label of a part of a field: as in the form where it has a field of its own."""
    plain = _PLACE.sub("", path)
    return dict(_labels(collection)).get(plain) or _plain_words(plain.rpartition(".")[2])


def _plain_words(path: str) -> str:
    """``serverName.port`` as ``server name port``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", path.replace(".", " ")).lower()


def _lower_first(title: str) -> str:
    """``Segment web`` inside a sentence; ``BGP peer`` stays as it is."""
    return title if title[1:2].isupper() else f"{title[:1].lower()}{title[1:]}"
