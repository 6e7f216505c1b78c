"""What people type on the ground's pages, checked before any service sees it."""

from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tenants.domain.actor import Actor
from tenants.domain.roles import GRANTS, PlatformRole, Role
from tenants.errors import FieldError, SluiceError


def refuse(form: forms.Form, error: SluiceError, *, otherwise: str | None = None) -> None:
    """Put a service's refusal on the form: at its field where it names one, else in the summary.

    Args:
        otherwise: the form's field for complaints about a field that the form has not.
    """
    fields = error.fields if isinstance(error, FieldError) else {}
    for name, complaints in fields.items():
        form.add_error(name if name in form.fields else otherwise, complaints)
    if not fields:
        form.add_error(None, error.message)


def status_of(*shown: forms.Form) -> int:
    """The status of a page that shows these forms: 400 where one of them was refused."""
    return 400 if any(form.errors for form in shown) else 200


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
    event = forms.CharField(label=_("Event begins with"), max_length=64)
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

    name = forms.CharField(
        label=_("Name"), max_length=100, help_text=_("Its purpose, such as deploy-pipeline.")
    )
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


_ROLE_WORDS = {
    Role.NETOPS: _("netops: networks, policies, approvals, members"),
    Role.DEVOPS: _("devops: policies inside the guardrails"),
    Role.MLOPS: _("mlops: corpora, training and evaluation"),
    Role.READER: _("reader: reads and asks"),
}
_PLATFORM_WORDS = {
    PlatformRole.ADMIN: _("admin: everything, people included"),
    PlatformRole.NETOPS: _("netops: address space, templates, tenants, approvals"),
    PlatformRole.AUDITOR: _("auditor: reads everything, changes nothing"),
}


class RoleForm(forms.Form):
    """Another role for a member."""

    role = forms.ChoiceField(
        label=_("Role"), choices=[(role.value, words) for role, words in _ROLE_WORDS.items()]
    )


class MemberForm(RoleForm):
    """A new member, by the name of an account."""

    username = forms.CharField(
        label=_("User name"),
        max_length=150,
        help_text=_("An existing account. Platform administrators create accounts."),
        widget=forms.TextInput({"spellcheck": "false", "autocomplete": "off"}),
    )
    field_order = ["username", "role"]


class PauseForm(forms.Form):
    """What a paused tenant's proxies do, why, and until when."""

    is_suspended = forms.TypedChoiceField(
        label=_("Effect"),
        choices=[
            ("", _("Pause: keep serving what is applied")),
            ("1", _("Suspend: serve nothing")),
        ],
        coerce=bool,
        required=False,
        widget=forms.RadioSelect,
        initial="",
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Shown beside the pause and kept in the audit log."),
    )
    until = forms.DateTimeField(
        label=_("Ends"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text=_("UTC. Leave empty to end it by hand."),
    )


class ResumeForm(forms.Form):
    """Why a pause ends."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Kept in the audit log."),
    )


class PersonForm(forms.Form):
    """What an administrator changes of somebody's account.

    Args:
        is_new: with a name, and a password that is not left out.
    """

    username = forms.CharField(
        label=_("User name"),
        max_length=150,
        widget=forms.TextInput({"spellcheck": "false", "autocomplete": "off"}),
    )
    password = forms.CharField(
        label=_("Password"),
        max_length=200,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        help_text=_("At least 8 characters. Pass it on securely."),
    )
    role = forms.ChoiceField(
        label=_("Platform role"),
        required=False,
        choices=[("", _("None")), *((role.value, text) for role, text in _PLATFORM_WORDS.items())],
        help_text=_("Across all tenants. Roles in one tenant are given in its settings."),
    )
    is_active = forms.BooleanField(label=_("May sign in"), required=False, initial=True)

    def __init__(self, *args: Any, is_new: bool, **kwargs: Any) -> None:  # Any: Django's own.
        super().__init__(*args, **kwargs)
        if is_new:
            del self.fields["is_active"]
        else:
            del self.fields["username"]
            self.fields["password"].required = False
            self.fields["password"].label = _("New password")
            self.fields["password"].help_text = _("Leave empty to keep the one they have.")

    @property
    def platform_role(self) -> PlatformRole | None:
        """The role that was chosen."""
        role = self.cleaned_data["role"]
        return PlatformRole(role) if role else None
