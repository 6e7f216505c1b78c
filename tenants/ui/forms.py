"""What people type on the ground's pages, checked before any service sees it."""

from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tenants.domain.actor import Actor
from tenants.domain.roles import GRANTS, Role
from tenants.errors import InvalidError, SluiceError


def refuse(form: forms.Form, error: SluiceError, *, otherwise: str | None = None) -> None:
    """Put a service's refusal on the form: at its field where it names one, else in the summary.

    Args:
        otherwise: the form's field for complaints about a field that the form has not.
    """
    fields = error.fields if isinstance(error, InvalidError) else {}
    for name, complaints in fields.items():
        form.add_error(name if name in form.fields else otherwise, complaints)
    if not fields:
        form.add_error(None, error.message)


class FilterForm(forms.Form):
    """Filters of a list, read from the URL; an unknown value filters nothing."""

    use_required_attribute = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's own signature.
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.required = False
        self.full_clean()

    @property
    def is_filtered(self) -> bool:
        """True when any filter has a value."""
        return any(self.cleaned_data.values())

    def value(self, name: str) -> str:
        """What the filter ``name`` says; "" when it is not set or not understood."""
        return str(self.cleaned_data.get(name) or "")


class AuditFilter(FilterForm):
    """Which audit entries."""

    actor = forms.CharField(label=_("Who"), max_length=150)
    event = forms.CharField(label=_("What begins with"), max_length=64)
    text = forms.CharField(label=_("Object or reason"), max_length=200)

    def condition(self) -> Q:
        """The filters as one condition on audit entries."""
        condition = Q()
        if actor := self.value("actor"):
            condition &= Q(actor=actor)
        if event := self.value("event"):
            condition &= Q(event__startswith=event)
        if text := self.value("text"):
            condition &= Q(object_name__icontains=text) | Q(reason__icontains=text)
        return condition


class TokenForm(forms.Form):
    """A new API token: no more powerful than the person who makes it."""

    name = forms.CharField(label=_("Name"), max_length=100, help_text=_("What it is for."))
    role = forms.ChoiceField(label=_("Role"))
    expires_on = forms.DateField(
        label=_("Expires after"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=_("The end of that day, UTC. Empty: never."),
    )

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:  # Any: Django's own.
        super().__init__(*args, **kwargs)
        roles = [role for role in Role if all(map(actor.may, GRANTS[role]))]
        choices = [(role.value, role.value) for role in reversed(roles)]
        self.fields["role"].choices = choices  # type: ignore[attr-defined]  # it is a ChoiceField

    @property
    def expires_at(self) -> datetime | None:
        """The end of the day that was chosen; None for never."""
        day = self.cleaned_data["expires_on"]
        return None if day is None else datetime.combine(day, time.max, tzinfo=UTC)
