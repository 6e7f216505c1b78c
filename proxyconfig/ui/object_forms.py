"""One form for each kind of object: a dataclass of the intent to fields that people fill in, and
back without loss.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from django import forms
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from proxyconfig.domain import edits, objects
from proxyconfig.domain.codec import camel, fields_of, is_record
from proxyconfig.domain.edits import Edit, IngressDraft
from proxyconfig.domain.intent import EgressPolicy, EgressRule, Intent
from proxyconfig.domain.objects import BY_NAME, Collection, IntentObject, Key, key_of
from proxyconfig.ui import rules
from proxyconfig.ui.fields import (
    Choices,
    EnumsField,
    LinesField,
    form_field,
    shape_at,
)
from proxyconfig.ui.layout import Entry, Layout, Section, Words, kinds_of, layout_of
from tenants.domain.actor import Actor
from tenants.domain.claims import DEFAULT_VRF
from tenants.domain.roles import Action

_PATH = re.compile(r"spec\.(?P<field>[A-Za-z]+)(?:\[(?P<name>[^\]]*)\])?(?P<rest>.*)")
_STEP = re.compile(r"\.([A-Za-z]+)(?:\[([^\]]*)\])?")


@dataclass(frozen=True, slots=True)
class Context:
    """What the forms of one tenant's page choose from.

    Attributes:
        intent: what the object is edited in: what is in force, or a change set's proposal.
        clusters: names of all clusters.
        vrfs: names of those that the tenant has a grant in, or to itself; not the default one.
        home: the tenant's own cluster, which a new object begins with; "" where it has none.
        now: a new expiry is later; None where dates are not judged.
    """

    intent: Intent
    clusters: Sequence[str]
    actor: Actor
    vrfs: Sequence[str] = ()
    home: str = ""
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """A field with what its place on the page says."""

    entry: Entry
    field: forms.BoundField
    is_check: bool
    complaint: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field as it is now, and as somebody typed it."""

    label: Words
    now: str
    typed: str


@dataclass(frozen=True, slots=True)
class ShownSection:
    """A section with its bound fields."""

    section: Section
    entries: Sequence[ShownEntry]
    is_open: bool


class ObjectForm(forms.Form):
    """An object of any collection.

    Args:
        existing: the object that is changed; None for a new one.
        typed: what the fields show of a form that is not to be checked yet, by name.
        complaints: why nothing could be suggested for a field, by name.
    """

    version = forms.CharField(required=False, max_length=16, widget=forms.HiddenInput)

    def __init__(
        self,
        collection: Collection,
        context: Context,
        data: Any = None,  # Any: a QueryDict, or a test's dict.
        *,
        existing: IntentObject | None = None,
        typed: Mapping[str, object] | None = None,
        complaints: Mapping[str, str] | None = None,
    ) -> None:
        self.collection, self.context, self.existing = collection, context, existing
        self._complaints = complaints or {}
        self.layout: Layout = layout_of(collection.name)
        self.shown_version = objects.version_in(context.intent, existing)
        initial = {"version": self.shown_version, **self._initial(), **(typed or {})}
        super().__init__(data, initial=initial)
        for entry in self.layout.entries:
            self.fields[entry.field] = self._field(entry)

    @property
    def is_new(self) -> bool:
        """True for an object that is not there yet."""
        return self.existing is None

    @property
    def title(self) -> str:
        """What the change is about: ``Segment web``."""
        if self.existing is not None:
            return title_of(key_of(self.existing))
        names = (self.data.get(name, "") for name in ("name", "address"))
        return capfirst(f"{self.collection.label} {next(filter(None, names), '')}".strip())

    @property
    def item(self) -> IntentObject:
        """The object that a valid form says."""
        return self._record(self.collection.kind, "")

    def edit(self) -> Edit:
        """The change of the intent that a valid form says."""
        if self.existing is None:
            return edits.create(self.item)
        return edits.change(key_of(self.existing), self.item)

    @property
    def wants_grant(self) -> bool:
        """True when a platform administrator grants private networks with this change."""
        return False

    def sections(self) -> list[ShownSection]:
        """The fields as the page shows them; a folded section opens where it has an error."""
        return [self._section(section) for section in self.layout.sections]

    def typed(self) -> dict[str, object]:
        """What stands in the fields now, by name, checked or not."""
        return {name: self[name].value() for name in self.fields}

    def differences(self) -> list[Difference]:
        """Where the fields differ from the object as it is now: somebody else changed it."""
        if self.existing is None:
            return []
        shown = self._shown(self.existing)
        found = []
        for entry in self.layout.entries:
            if entry.field not in shown:
                continue
            now = _as_text(self.fields[entry.field].prepare_value(shown[entry.field]))
            typed = _as_text(self[entry.field].value())
            if now != typed:
                found.append(Difference(entry.label, now, typed))
        return found

    def field_for(self, path: str) -> str | None:
        """The field that people filled in for a path of the manifest, or a field's own name.

        None for another object's path, and for the object as a whole.
        """
        if path in self.fields:
            return path
        found = _PATH.fullmatch(path)
        if found is None or not self._is_mine(found["field"], found["name"] or ""):
            return None
        steps = [_snake(step) for step, _place in _STEP.findall(found["rest"])]
        by_path = {entry.path: entry.field for entry in self.layout.entries}
        for end in range(len(steps), 0, -1):
            wanted = ".".join(steps[:end])
            for known, field in by_path.items():
                if known == wanted or known.startswith(f"{wanted}."):
                    return field
        return None

    def line_of(self, path: str) -> int | None:
        """The line of a list's field that a path is about, from 1; None where there is no such."""
        field = self.field_for(path)
        found = _PATH.fullmatch(path)
        steps = _STEP.findall(found["rest"]) if found else []
        places = [place for _step, place in steps if place.isdecimal()]
        shown = self.fields.get(field or "")
        if not places or field is None or not isinstance(shown, LinesField):
            return None
        return shown.line_of(int(places[-1]), str(self.data.get(field, "")))

    def clean(self) -> dict[str, Any]:  # Any: Django's own signature.
        """A part that is optional is there when the field that decides says so, else empty.

        A part that is there has what its type requires.
        """
        values = super().clean() or self.cleaned_data
        for part, deciding in self.layout.deciding.items():
            field = self._name(deciding)
            others = [
                entry
                for entry in self.layout.entries
                if entry.path.startswith(f"{part}.") and entry.path != deciding
            ]
            is_there = values.get(field) is not None or field in self.errors
            for entry in others if is_there else ():
                self._require(entry, values)
            if not is_there and any(entry.field in self.changed_data for entry in others):
                self.add_error(
                    field,
                    gettext("Give the %(field)s, or leave the fields below as they were.")
                    % {"field": self.fields[field].label},
                )
        return values

    def _require(self, entry: Entry, values: Mapping[str, object]) -> None:
        """Ask for what the type of a part requires, and its form may leave empty."""
        shape = shape_at(kinds_of(self.collection.name), entry.path)
        if shape.is_required and values.get(entry.field) == "":
            label = str(entry.label)
            is_word = label[1:].islower()
            says = gettext("Enter the %(field)s.")
            self.add_error(entry.field, says % {"field": label.lower() if is_word else label})

    def _initial(self) -> dict[str, object]:
        initial: dict[str, object] = {}
        for entry in self.layout.entries:
            shape = shape_at(kinds_of(self.collection.name), entry.path)
            default = None if shape.is_required else shape.default
            initial[entry.field] = default if entry.initial is None else entry.initial
            if entry.refers == "clusters":
                initial[entry.field] = self.context.home
        if self.existing is not None:
            initial.update(self._shown(self.existing))
        return initial

    def _shown(self, item: IntentObject) -> dict[str, object]:
        """The fields' values of an object; a part that is not there keeps a new one's."""
        values: dict[str, object] = {}
        for entry in self.layout.entries:
            *parts, name = entry.path.split(".")
            holder = item
            for part in parts:
                holder = getattr(holder, part) if holder is not None else None
            if holder is not None:
                values[entry.field] = getattr(holder, name)
        return values

    def _field(self, entry: Entry) -> forms.Field:
        shape = shape_at(kinds_of(self.collection.name), entry.path)
        part = entry.path.partition(".")[0] if "." in entry.path else ""
        is_required = shape.is_required and part not in self.layout.deciding
        chosen = self.initial.get(entry.field)
        choices = _with_chosen(self._choices(entry), chosen) if entry.refers else None
        field = form_field(shape, entry, choices, is_required=is_required)
        if isinstance(field, EnumsField):
            field.choices = _with_chosen(field.words, chosen)
        return field

    def _choices(self, entry: Entry) -> Choices:
        intent = self.context.intent
        if entry.refers == "clusters":
            known = [(name, name) for name in self.context.clusters]
            # A list without a first choice would choose the first of the alphabet.
            is_open = self.existing is None and not self.context.home
            return [("", gettext("Choose a cluster")), *known] if is_open else known
        if entry.refers == "vrfs":
            used = {
                *(item.vrf for item in intent.segments),
                *(item.vrf for item in intent.virtual_addresses),
                *(item.vrf for item in intent.snat_pools),
            }
            names = sorted({*self.context.vrfs, *(name for name in used if name)})
            return [("", DEFAULT_VRF), *((name, name) for name in names)]
        items = getattr(intent, BY_NAME[entry.refers].field)
        if entry.refers == "virtual-addresses":
            names = [item.address for item in items]
        else:
            names = [item.name for item in items]
        return [(name, name) for name in dict.fromkeys(names)]

    def _name(self, path: str) -> str:
        return next(entry.field for entry in self.layout.entries if entry.path == path)

    def _record(self, kind: type[Any], prefix: str) -> Any:  # Any: any of the intent's dataclasses.
        content: dict[str, object] = {}
        for field in fields_of(kind):
            path = f"{prefix}{field.name}"
            if is_record(field.shape.base) and not field.shape.is_list:
                content[field.name] = self._part(field.shape.base, path)
                continue
            value = self._value(path)
            content[field.name] = field.default if value in (None, "") else value
        return kind(**content)

    def _part(self, kind: type[Any], path: str) -> object:
        deciding = self.layout.deciding.get(path)
        if deciding is not None and self.cleaned_data[self._name(deciding)] is None:
            return None
        return self._record(kind, f"{path}.")

    def _value(self, path: str) -> object:
        return self.cleaned_data[self._name(path)]

    def _is_mine(self, field: str, name: str) -> bool:
        if field != camel(self.collection.field):
            return False
        if not name or name.isdecimal():  # Objects without a name stand by their place.
            return True
        known = self._known()
        names = {getattr(item, "name", "") for item in known}
        return name in names | {key_of(item).name for item in known}

    def _known(self) -> list[IntentObject]:
        return [item for item in (self.existing, self._said()) if item is not None]

    def _said(self) -> IntentObject | None:
        try:
            return self.item
        except (KeyError, AttributeError):  # Some fields did not pass.
            return None

    def _section(self, section: Section) -> ShownSection:
        shown = [
            ShownEntry(
                entry,
                self[entry.field],
                _is_check(self.fields[entry.field]),
                self._complaints.get(entry.field, ""),
            )
            for entry in section.entries
        ]
        return ShownSection(section, shown, is_open=any(entry.field.errors for entry in shown))


class EgressForm(ObjectForm):
    """An egress policy; only who may grant private networks sees that box."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: as ObjectForm's.
        super().__init__(*args, **kwargs)
        if not self.context.actor.may(Action.GRANT_PRIVATE):
            return
        self.fields["grant"] = forms.BooleanField(
            label=_("Grant the private networks named above"),
            required=False,
            help_text=_("Without a grant nothing passes to a private or loopback network."),
        )
        self.initial.setdefault("grant", self._was_granted)

    def clean_expires_at(self) -> datetime | None:
        """A date to come; one that was there before stays as it is."""
        until: datetime | None = self.cleaned_data["expires_at"]
        now, known = self.context.now, getattr(self.existing, "expires_at", None)
        if until is not None and now is not None and until <= now and until != known:
            raise forms.ValidationError(
                gettext(
                    "This is in the past (now: %(now)s UTC), so the policy would allow nothing."
                )
                % {"now": f"{now.astimezone(UTC):%Y-%m-%d %H:%M}"}
            )
        return until

    @property
    def wants_grant(self) -> bool:
        """True when the box is ticked, and there is a network that needs it."""
        policy: EgressPolicy = self.item
        return bool(self.cleaned_data.get("grant")) and any(map(rules.is_private, policy.rules))

    def sections(self) -> list[ShownSection]:
        """The grant stands below the destinations."""
        shown = super().sections()
        if "grant" not in self.fields:
            return shown
        entry = ShownEntry(Entry("grant", self.fields["grant"].label or ""), self["grant"], True)
        return [
            replace(part, entries=[*part.entries, entry])
            if any(known.entry.path == "rules" for known in part.entries)
            else part
            for part in shown
        ]

    def line_of(self, path: str) -> int | None:
        """A path has a rule's order, or its place where the order is not known yet."""
        found = re.search(r"\.rules\[([0-9]+)\]", path)
        lines = self.cleaned_data.get("destinations") or ()
        if found is None or not lines:
            return None
        orders = [rule.order for rule in self._rules()]
        wanted = int(found[1])
        place = orders.index(wanted) if wanted in orders else wanted
        return lines[place].number if place < len(lines) else None

    @property
    def _was_granted(self) -> bool:
        private = [rule for rule in self._old_rules() if rules.is_private(rule)]
        return bool(private) and all(rule.granted for rule in private)

    def _old_rules(self) -> Sequence[EgressRule]:
        return self.existing.rules if self.existing is not None else ()

    def _rules(self) -> tuple[EgressRule, ...]:
        lines: Sequence[rules.Line] = self.cleaned_data["destinations"]
        numbered = rules.renumber(self._old_rules(), [line.rule for line in lines])
        if self._was_granted and "grant" in self.fields and not self.cleaned_data["grant"]:
            return tuple(replace(rule, granted=None) for rule in numbered)  # It was unticked.
        return numbered

    def _value(self, path: str) -> object:
        return self._rules() if path == "rules" else super()._value(path)


class IngressForm(ObjectForm):
    """An ingress policy together with the listener that it opens, which the edit finds or makes."""

    @property
    def draft(self) -> IngressDraft:
        """What a valid form says."""
        said = {entry.field: self.cleaned_data[entry.field] for entry in self.layout.entries}
        given = {name: value for name, value in said.items() if value not in (None, "")}
        cluster, address = self._addresses()[said["virtual_address"]]
        return IngressDraft(**{**given, "cluster": cluster, "virtual_address": address})

    def edit(self) -> Edit:
        """The policy saved, with its listener."""
        name = self.existing.name if self.existing is not None else None
        return edits.save_ingress(self.draft, name=name)

    def field_for(self, path: str) -> str | None:
        """A complaint about the listener as a whole is one about its port."""
        found = super().field_for(path)
        return "port" if found is None and path.startswith("spec.listeners[") else found

    def _shown(self, item: IntentObject) -> dict[str, object]:
        draft = edits.draft_of(self.context.intent, item)
        shown = {entry.field: getattr(draft, entry.field) for entry in self.layout.entries}
        place = (draft.cluster, draft.virtual_address)
        known = self._addresses()
        value = next((value for value, held in known.items() if held == place), place[1])
        return {**shown, "virtual_address": value}

    def _choices(self, entry: Entry) -> Choices:
        if entry.refers != "virtual-addresses":
            return super()._choices(entry)
        shows_cluster = len(self.context.intent.clusters) > 1
        return [
            (value, f"{address} ({cluster})" if shows_cluster else address)
            for value, (cluster, address) in self._addresses().items()
        ]

    def _addresses(self) -> dict[str, tuple[str, str]]:
        """Cluster and address by the choice's value: the address, with its cluster where needed."""
        held = self.context.intent.virtual_addresses
        bare = [entry.address for entry in held]
        return {
            entry.address
            if bare.count(entry.address) == 1
            else f"{entry.cluster}:{entry.address}": (entry.cluster, entry.address)
            for entry in held
        }

    def _is_mine(self, field: str, name: str) -> bool:
        if field == "listeners":
            return True
        return field == "ingressPolicies" and name in {
            self.data.get("name", ""),
            self.existing.name if self.existing is not None else "",
        }


_FORMS: Final[Mapping[str, Callable[..., ObjectForm]]] = {
    "ingress-policies": IngressForm,
    "egress-policies": EgressForm,
}


def object_form(
    collection: Collection,
    context: Context,
    data: Any = None,  # Any: as in ObjectForm.
    **kwargs: Any,  # Any: the others of ObjectForm.
) -> ObjectForm:
    """The form of a collection."""
    return _FORMS.get(collection.name, ObjectForm)(collection, context, data, **kwargs)


def action_of(collection: Collection) -> Action:
    """The right that changing an object of the collection needs."""
    return Action.EDIT_NETWORK if collection.is_network else Action.EDIT_POLICY


def title_of(key: Key) -> str:
    """``Segment web``."""
    return capfirst(str(key))


def _with_chosen(choices: Choices, chosen: object) -> Choices:
    """What is chosen comes first, in its own order, whether or not it is still there."""
    if isinstance(chosen, str):
        names = [] if not chosen or chosen in dict(choices) else [chosen]
    else:
        names = [str(name) for name in chosen] if isinstance(chosen, tuple | list) else []
    words = dict(choices)
    first = [(name, words.get(name, name)) for name in names]
    return [*first, *(choice for choice in choices if choice[0] not in names)]


def _is_check(field: forms.Field) -> bool:
    return isinstance(field, forms.BooleanField)


def _as_text(value: object) -> str:
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value))
    if value in (True, "on", "True"):
        return gettext("yes")
    if value in (False, None, "", "False"):
        return gettext("no") if value in (False, "False") else ""
    return str(value).replace("\r\n", "\n").strip()


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)
