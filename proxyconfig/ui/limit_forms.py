"""The form of a tenant's guardrails; a template's form has the same fields."""

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from proxyconfig.domain.codec import fields_of
from proxyconfig.domain.limits import DEFAULT_LIMITS, Limits
from proxyconfig.ui.fields import form_field, shape_at
from proxyconfig.ui.layout import Entry, Section
from proxyconfig.ui.object_forms import ShownEntry, ShownSection

_AS_MANY = _("At most as many addresses as a network of this prefix length.")
LIMIT_SECTIONS: Final = (
    Section(
        _("Ingress"),
        (
            Entry(
                "open_ports_from",
                _("Open ports from"),
                2,
                _("Ports from this one up may be opened to any client. 65536 for none."),
            ),
            Entry("source_prefix_v4", _("IPv4 clients of lower ports"), 2, _AS_MANY),
            Entry("source_prefix_v6", _("IPv6 clients of lower ports"), 2, _AS_MANY),
            Entry(
                "ports",
                _("Ports"),
                3,
                _("Ports or ranges, one per line. Leave empty for any."),
                placeholder="8000-8099",
            ),
            Entry("protocols", _("Protocols"), 3, _("Tick none for any.")),
        ),
        icon="in",
    ),
    Section(
        _("Egress"),
        (
            Entry("destination_prefix_v4", _("IPv4 destinations"), 3, _AS_MANY),
            Entry("destination_prefix_v6", _("IPv6 destinations"), 3, _AS_MANY),
            Entry(
                "destinations",
                _("Destinations"),
                3,
                _("Hosts, *.suffixes and networks, one per line. Leave empty for any."),
                placeholder="*.example.org",
            ),
            Entry("pools", _("SNAT pools"), 3, _("One per line. Leave empty for any.")),
        ),
        icon="out",
    ),
    Section(
        _("Changes"),
        (
            Entry("deletes", _("Deletions"), 3, _("Objects and rules that one change may delete.")),
            Entry(
                "changes_per_hour",
                _("Changes in an hour"),
                3,
                _("Further ones wait for approval. 0: each change waits."),
            ),
        ),
    ),
)


def limit_fields(prefix: str = "") -> dict[str, forms.Field]:
    """The form's fields by name."""
    return {
        f"{prefix}{entry.path}": form_field(
            shape_at((Limits,), entry.path), entry, None, is_required=_is_number(entry.path)
        )
        for section in LIMIT_SECTIONS
        for entry in section.entries
    }


def limit_values(limits: Limits, prefix: str = "") -> dict[str, object]:
    """What the fields show of ``limits``."""
    return {f"{prefix}{field.name}": getattr(limits, field.name) for field in fields_of(Limits)}


def limits_said(cleaned: Mapping[str, Any], prefix: str = "") -> Limits:  # Any: of each field.
    """The limits that a valid form says."""
    return Limits(**{field.name: cleaned[f"{prefix}{field.name}"] for field in fields_of(Limits)})


def shown_sections(
    form: forms.Form, sections: tuple[Section, ...], prefix: str = ""
) -> list[ShownSection]:
    """Sections with the form's bound fields, for the page."""
    shown = []
    for section in sections:
        entries = [_shown(form, entry, f"{prefix}{entry.field}") for entry in section.entries]
        is_open = any(entry.field.errors for entry in entries)
        shown.append(ShownSection(section, entries, is_open=is_open))
    return shown


class GuardrailsForm(forms.Form):
    """What a tenant's changes may do without a second person, and why that changes."""

    auto_apply = forms.BooleanField(
        label=_("Apply changes inside the guardrails automatically"),
        required=False,
        help_text=_("Otherwise every change waits for the approval of another member."),
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Kept in the audit log."),
    )

    def __init__(
        self,
        data: Any = None,  # Any: a QueryDict, or a test's dict.
        *,
        limits: Limits = DEFAULT_LIMITS,
        auto_apply: bool = True,
    ) -> None:
        super().__init__(data, initial={"auto_apply": auto_apply, **limit_values(limits)})
        self.fields.update(limit_fields())

    @property
    def limits(self) -> Limits:
        """The limits that a valid form says."""
        return limits_said(self.cleaned_data)

    def sections(self) -> list[ShownSection]:
        """The fields as the page shows them, the reason last."""
        first = Section("", (Entry("auto_apply", ""),))
        last = Section("", (Entry("reason", ""),))
        return shown_sections(self, (first, *LIMIT_SECTIONS, last))


def _shown(form: forms.Form, entry: Entry, name: str) -> ShownEntry:
    return ShownEntry(entry, form[name], isinstance(form.fields[name], forms.BooleanField))


def _is_number(name: str) -> bool:
    return isinstance(getattr(DEFAULT_LIMITS, name), int)
