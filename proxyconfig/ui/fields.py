"""Form fields made from the types of the intent: each reads text and writes it back unchanged."""

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from proxyconfig.domain.codec import FieldShape, Shape, fields_of, limit_complaint
from proxyconfig.domain.fields import Advertised, Limits, Mode, PortRange, Protocol
from proxyconfig.domain.intent import EgressRule, Subnet
from proxyconfig.ui import rules
from proxyconfig.ui.layout import Entry
from tenants.domain.notation import sentence

Choices = Sequence[tuple[str, str]]
MOST_LINES = 1000

_CHOICE_WORDS: Mapping[StrEnum, Any] = {  # Any: lazy text.
    Protocol.HTTP: "HTTP",
    Protocol.TCP: "TCP",
    Protocol.UDP: "UDP",
    Mode.ENFORCED: _("Enforced"),
    Mode.STAGED: _("Staged: only shown"),
    Advertised.VIRTUAL_ADDRESSES: _("Virtual addresses"),
    Advertised.SNAT_ADDRESSES: _("SNAT addresses"),
    Advertised.SUBNETS: _("Subnets"),
}


def shape_at(kinds: Iterable[type], path: str) -> FieldShape:
    """The field at a path such as ``vlan.tag``, in the first of ``kinds`` that has it."""
    head, _dot, rest = path.partition(".")
    for kind in kinds:
        for field in fields_of(kind):
            if field.name == head:
                return shape_at((field.shape.base,), rest) if rest else field
    raise LookupError(f"no field {path}")


def form_field(
    field: FieldShape, entry: Entry, choices: Choices | None, *, is_required: bool
) -> forms.Field:
    """The form's field for one of the intent's.

    Args:
        choices: values and labels, for a reference; None for what is typed.
        is_required: False for what its type requires but a person may leave out.
    """
    shape = field.shape
    kwargs: dict[str, Any] = {  # Any: each field class has keywords of its own.
        "label": entry.label,
        "help_text": entry.help or shape.description,
        "required": is_required,
    }
    if shape.is_list:
        return _list_field(shape, entry, choices, kwargs)
    if choices is not None:
        return ReferenceField(choices=choices, is_optional=not field.is_required, **kwargs)
    if shape.base is bool:
        return forms.BooleanField(**{**kwargs, "required": False})
    if shape.base is int:
        return forms.IntegerField(
            min_value=shape.limits.minimum, max_value=shape.limits.maximum, **kwargs
        )
    if shape.base is datetime:
        return MomentField(**kwargs)
    if issubclass(shape.base, StrEnum):
        return EnumField(shape.base, **kwargs)
    return TextField(shape.limits, placeholder=entry.placeholder, **kwargs)


def _list_field(
    shape: Shape,
    entry: Entry,
    choices: Choices | None,
    kwargs: dict[str, Any],  # Any: as above.
) -> forms.Field:
    if choices is not None:
        return ReferencesField(choices=choices, **kwargs)
    if shape.base is EgressRule:
        return RulesField(placeholder=entry.placeholder, **kwargs)
    if shape.base is Subnet:
        return LinesField(
            _read_subnet, _write_subnet, placeholder=entry.placeholder, per_line=True, **kwargs
        )
    if shape.base is PortRange:
        return LinesField(PortRange.parse, str, placeholder=entry.placeholder, **kwargs)
    if issubclass(shape.base, StrEnum):
        return EnumsField(shape.base, **kwargs)
    return LinesField(
        _word_reader(shape.limits),
        str,
        placeholder=entry.placeholder,
        inline=entry.inline,
        **kwargs,
    )


class TextField(forms.CharField):
    """One text under the intent's limits; free text keeps its blanks, names lose them."""

    def __init__(
        self, limits: Limits, *, placeholder: str = "", **kwargs: Any
    ) -> None:  # Any: Django's own.
        is_free = not limits.pattern and not limits.form
        attrs: dict[str, object] = {"spellcheck": "true" if is_free else "false"}
        if placeholder:
            attrs["placeholder"] = placeholder
        widget = forms.Textarea(attrs={**attrs, "rows": 2}) if is_free else forms.TextInput(attrs)
        super().__init__(max_length=limits.longest, strip=not is_free, widget=widget, **kwargs)
        self._limits = limits

    def to_python(self, value: object) -> str:
        """The text with plain line ends, host names in lower case."""
        text = (super().to_python(value) or "").replace("\r\n", "\n")
        return _with_lower_host(self._limits, text)

    def validate(self, value: str) -> None:
        """Refuse what the intent's own limits refuse, in their words."""
        super().validate(value)
        if value and (wrong := limit_complaint(self._limits, value)):
            raise ValidationError(sentence(wrong))


class ReferenceField(forms.ChoiceField):
    """One of the tenant's objects, or none; a choice of its own can say what none means."""

    def __init__(
        self, *, choices: Choices, is_optional: bool, **kwargs: Any
    ) -> None:  # Any: Django's own.
        if is_optional and not any(value == "" for value, _label in choices):
            choices = [("", gettext("None")), *choices]
        super().__init__(choices=choices, **kwargs)


class EnumField(forms.TypedChoiceField):
    """One word of an enum."""

    is_always_set = True  # The template then writes no "(optional)" beside it.

    def __init__(self, enum: type[StrEnum], **kwargs: Any) -> None:  # Any: Django's own.
        super().__init__(choices=_words_of(enum), coerce=enum, empty_value=None, **kwargs)


class _ChoicesField(forms.TypedMultipleChoiceField):
    """Any of a few choices; those that were chosen come first, in their own order."""

    is_always_set = True

    def prepare_value(self, value: Any) -> Any:  # Any: Django's own.
        """What the boxes compare with."""
        return [str(item) for item in value] if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> tuple[Any, ...]:  # Any: Django's own.
        """The choices as a tuple, in the order of the boxes."""
        return tuple(super().clean(value))


class EnumsField(_ChoicesField):
    """Some words of an enum."""

    def __init__(self, enum: type[StrEnum], **kwargs: Any) -> None:  # Any: Django's own.
        self.words = _words_of(enum)
        super().__init__(
            choices=self.words, coerce=enum, widget=forms.CheckboxSelectMultiple, **kwargs
        )


class ReferencesField(_ChoicesField):
    """Some of the tenant's objects."""

    def __init__(self, *, choices: Choices, **kwargs: Any) -> None:  # Any: Django's own.
        super().__init__(choices=choices, widget=forms.CheckboxSelectMultiple, **kwargs)


class MomentField(forms.CharField):
    """A time in UTC, without a zone as the browser's own control gives it."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"})

    def prepare_value(self, value: object) -> object:
        """As the control wants it: no zone, seconds only where there are some."""
        if not isinstance(value, datetime):
            return value
        text = value.astimezone(UTC).replace(tzinfo=None).isoformat()
        return text.removesuffix(":00") if value.second == value.microsecond == 0 else text

    def to_python(self, value: object) -> datetime | None:  # type: ignore[override]  # a moment, not text
        """The moment; a zone is taken where one is written."""
        text = str(super().to_python(value)).strip()
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValidationError(
                gettext("“%(text)s” is not a time such as 2027-01-31T12:00.") % {"text": text[:40]}
            ) from None
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)

    def run_validators(self, value: object) -> None:
        """None of text's."""


class LinesField(forms.CharField):
    """A list: one item per line, or on one line with commas."""

    def __init__(
        self,
        read: Callable[[str], object],
        write: Callable[[Any], str],  # Any: of the items' own type.
        *,
        placeholder: str = "",
        per_line: bool = False,
        inline: bool = False,
        **kwargs: Any,  # Any: Django's own.
    ) -> None:
        attrs = {"class": "mono", "placeholder": placeholder, "spellcheck": "false"}
        box = forms.TextInput(attrs) if inline else forms.Textarea(attrs={**attrs, "rows": 3})
        super().__init__(widget=box, **kwargs)
        self._read, self._write = read, write
        self._per_line, self._separator = per_line, ", " if inline else "\n"

    def prepare_value(self, value: object) -> object:
        """The text of a tuple of items; text as it was typed."""
        if isinstance(value, tuple):
            return self._separator.join(map(self._write, value))
        return value

    def to_python(self, value: object) -> tuple[object, ...]:  # type: ignore[override]  # items, not text
        """The items; each complaint has its line's number."""
        lines = str(super().to_python(value)).splitlines()
        if len(lines) > MOST_LINES:
            raise ValidationError(gettext("At most %(most)s lines.") % {"most": MOST_LINES})
        items, complaints = [], []
        for number, line in enumerate(lines, start=1):
            for word in [line.strip()] if self._per_line else line.replace(",", " ").split():
                if not word:
                    continue
                try:
                    items.append(self._read(word))
                except ValueError as error:
                    complaints.append(_at_line(number, str(error), is_only=len(lines) == 1))
        if complaints:
            raise ValidationError(complaints)
        return tuple(items)

    def line_of(self, place: int, text: str) -> int | None:
        """The number of the line that has the item at ``place``, from 0; None for a single line."""
        lines = text.splitlines()
        count = 0
        for number, line in enumerate(lines, start=1):
            words = [line.strip()] if self._per_line else line.replace(",", " ").split()
            count += sum(map(bool, words))
            if count > place:
                return number if len(lines) > 1 else None
        return None

    def run_validators(self, value: object) -> None:
        """None of text's."""


class RulesField(forms.CharField):
    """Egress rules, one per line; gives ``rules.Line``s, whose orders are still open."""

    def __init__(self, *, placeholder: str = "", **kwargs: Any) -> None:  # Any: Django's own.
        attrs = {"rows": 5, "class": "mono", "placeholder": placeholder, "spellcheck": "false"}
        super().__init__(widget=forms.Textarea(attrs=attrs), **kwargs)

    def prepare_value(self, value: object) -> object:
        """The lines of rules; text as it was typed."""
        return rules.write(value) if isinstance(value, tuple) else value

    def to_python(self, value: object) -> tuple[rules.Line, ...]:  # type: ignore[override]  # lines, not text
        """The rules that the lines name."""
        return rules.parse(str(super().to_python(value)))

    def run_validators(self, value: object) -> None:
        """None of text's."""


def _words_of(enum: type[StrEnum]) -> list[tuple[str, Any]]:  # Any: lazy text.
    return [(member.value, _CHOICE_WORDS.get(member, member.value)) for member in enum]


def _at_line(number: int, said: str, *, is_only: bool) -> str:
    if is_only:
        return sentence(said)
    return gettext("Line %(number)s: %(why)s.") % {"number": number, "why": said}


def _with_lower_host(limits: Limits, text: str) -> str:
    """Hosts have no case; an address that is not in its one spelling is refused with it."""
    is_host = limits.form == "host" or (limits.form == "destination" and ":" not in text)
    return text.lower() if is_host else text


def _word_reader(limits: Limits) -> Callable[[str], str]:
    def read(word: str) -> str:
        word = _with_lower_host(limits, word)
        if wrong := limit_complaint(limits, word):
            raise ValueError(wrong)
        return word

    return read


_CIDR, _GATEWAY = (field.shape.limits for field in fields_of(Subnet))


def _read_subnet(line: str) -> Subnet:
    cidr, *more = line.replace(",", " ").split()
    if len(more) > 1:
        raise ValueError(
            gettext("“%(line)s” has more than a prefix and a gateway") % {"line": line[:80]}
        )
    if wrong := limit_complaint(_CIDR, cidr):
        raise ValueError(wrong)
    gateway = more[0] if more else None
    if gateway and (wrong := limit_complaint(_GATEWAY, gateway)):
        raise ValueError(wrong)
    return Subnet(cidr=cidr, gateway=gateway)


def _write_subnet(subnet: Subnet) -> str:
    return f"{subnet.cidr} {subnet.gateway}" if subnet.gateway else subnet.cidr


def host_count(prefix: str) -> int:
    """How many addresses of a prefix a host can have."""
    network = ipaddress.ip_network(prefix)
    if network.version == 6 or network.prefixlen >= network.max_prefixlen - 1:
        return network.num_addresses
    return network.num_addresses - 2
