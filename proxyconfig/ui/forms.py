"""What people type on the front door's pages beside objects, checked before any service sees it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.db.models import Q
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from proxyconfig.models import Plan
from proxyconfig.ui import words
from tenants.domain.states import ChangeState, Direction, Verdict, spaced
from tenants.ui.forms import FilterForm


def with_value(data: Mapping[str, Any], name: str, value: str) -> Mapping[str, Any]:
    """A form's data with one field's value in place of what was sent."""
    changed: QueryDict | dict[str, Any] = data.copy() if isinstance(data, QueryDict) else {**data}
    changed[name] = value
    return changed


class _SeenDecoder(json.JSONDecoder):
    """Whatever cannot be read, or not be shown again, is no JSON to the form's field."""

    def decode(self, s: str, *args: Any) -> Any:  # Any: JSON, and the base's own arguments.
        try:
            found = super().decode(s, *args)
            json.dumps(found, ensure_ascii=False).encode()
        except (RecursionError, ValueError) as error:
            raise json.JSONDecodeError(str(error), s, 0) from error
        return found


class ReviewForm(forms.Form):
    """Why, and with which change set: what a review asks for.

    Args:
        change_sets: the actor's own plans that wait, which the change can join.
    """

    into = forms.ChoiceField(
        label=_("Change set"),
        required=False,
        help_text=_("A change set is approved as a whole."),
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Kept with the revision and in the audit log."),
    )
    seen = forms.JSONField(required=False, widget=forms.HiddenInput, decoder=_SeenDecoder)
    reviewed = forms.CharField(required=False, max_length=20, widget=forms.HiddenInput)

    def __init__(
        self, *args: Any, change_sets: Sequence[Plan], **kwargs: Any
    ) -> None:  # Any: Django's own.
        super().__init__(*args, **kwargs)
        self.change_sets = change_sets
        yours = [
            (
                str(plan.pk),
                gettext("Add to #%(number)s (yours): %(title)s")
                % {"number": plan.pk, "title": words.plan_title(plan)},
            )
            for plan in change_sets
        ]
        choices = [("", gettext("New change set")), *yours]
        self.fields["into"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField

    @property
    def change_set(self) -> Plan | None:
        """The plan that was chosen."""
        if not self.is_bound or "into" in self.errors:
            return None
        return self._own(self.cleaned_data["into"])

    @property
    def shown(self) -> Plan | None:
        """The plan whose whole content the person saw with their change."""
        return self._own(self.cleaned_data["reviewed"])

    def _own(self, pk: str) -> Plan | None:
        return next((plan for plan in self.change_sets if str(plan.pk) == pk), None)

    def clean_seen(self) -> dict[str, str]:
        """Versions by object; anything else is nothing that was seen."""
        seen = self.cleaned_data["seen"]
        if not isinstance(seen, dict):
            return {}
        return {name: version for name, version in seen.items() if isinstance(version, str)}

    def show(self, seen: Mapping[str, str], joined: Plan | None) -> None:
        """Carry the versions of the plan that is shown, and the change set that it is of."""
        reviewed = str(joined.pk) if joined else ""
        self.initial.update(seen=dict(seen), reviewed=reviewed)
        if self.is_bound:
            # A review that is shown again is of the plan as it is now.
            shown = self.fields["seen"].prepare_value(dict(seen))
            self.data = with_value(with_value(self.data, "seen", shown), "reviewed", reviewed)


class ReplanForm(forms.Form):
    """Why a stale plan is made again."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Kept with the plan and in the audit log."),
    )


class DecisionForm(forms.Form):
    """What a second person says to a plan."""

    comment = forms.CharField(
        label=_("Comment"),
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Kept with the plan and in the audit log."),
    )
    grant = forms.BooleanField(
        label=_("Grant the private networks that it reaches"),
        required=False,
        help_text=_("Without a grant nothing passes to a private or loopback network."),
    )

    def __init__(self, *args: Any, can_grant: bool, **kwargs: Any) -> None:  # Any: Django's own.
        super().__init__(*args, **kwargs)
        if not can_grant:
            del self.fields["grant"]


class PlanFilter(FilterForm):
    """Which plans."""

    state = forms.ChoiceField(
        label=_("State"),
        choices=[("", _("Any state")), *((state.value, spaced(state)) for state in ChangeState)],
    )
    author = forms.CharField(label=_("Author"), max_length=150)

    def condition(self) -> Q:
        """The filters as one condition on plans."""
        named = (("state", self.value("state")), ("author_name", self.value("author")))
        return Q(**{name: value for name, value in named if value})


class ConnectionFilter(FilterForm):
    """Which connections."""

    direction = forms.ChoiceField(
        label=_("Direction"),
        choices=[("", _("In and out")), *((way.value, way.value) for way in Direction)],
    )
    verdict = forms.ChoiceField(
        label=_("Verdict"),
        choices=[
            ("", _("Any verdict")),
            *((verdict.value, spaced(verdict)) for verdict in Verdict),
        ],
    )
    host = forms.CharField(label=_("Destination"), max_length=253)
    rule = forms.CharField(label=_("Rule begins with"), max_length=200)
    trace = forms.RegexField(label=_("Trace id"), regex=r"\A[0-9a-f]{32}\Z")

    def condition(self) -> Q:
        """The filters as one condition on connections."""
        named = (
            ("direction", self.value("direction")),
            ("verdict", self.value("verdict")),
            ("destination_host", self.value("host").lower()),
            ("rule_id__startswith", self.value("rule")),
            ("trace_id", self.value("trace")),
        )
        return Q(**{name: value for name, value in named if value})
