"""What people type on the agent's pages, checked before any service sees it."""

from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ragapp.domain.passage import Source
from ragapp.models import Channel, Corpus, SearchProvider
from ragapp.services.runs import MOST_CHARACTERS
from tenants.domain.quota import KINDS
from tenants.domain.states import AnswerEnd, OperationState
from tenants.models.tenant import DNS_LABEL
from tenants.models.token import ApiToken
from tenants.services.quotas import MOST as MOST_LIMIT
from tenants.ui.forms import FilterForm

MOST_CHOICES = 200


class AskForm(forms.Form):
    """A question, and where to look."""

    question = forms.CharField(
        label=_("Question"),
        max_length=MOST_CHARACTERS,
        widget=forms.Textarea(
            attrs={"rows": 3, "placeholder": _("Ask something; Ctrl+Enter sends it")}
        ),
    )
    corpus: forms.ModelChoiceField[Corpus] = forms.ModelChoiceField(
        label=_("Look in"),
        queryset=None,
        to_field_name="name",
        required=False,
        empty_label=_("All corpora"),
    )
    conversation = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's own signature.
        super().__init__(*args, **kwargs)
        corpora = Corpus.objects.all()
        self.fields["corpus"].queryset = corpora  # type: ignore[attr-defined]  # a choice of rows


class CorpusForm(forms.Form):
    """A corpus and where its documents come from."""

    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        validators=[DNS_LABEL],
        help_text=_("Lower-case letters, digits and hyphens."),
    )
    description = forms.CharField(label=_("About"), max_length=300, required=False)
    urls = forms.CharField(
        label=_("Sources"),
        required=False,
        widget=forms.Textarea(
            attrs={
                "rows": 8,
                "class": "mono",
                "spellcheck": "false",
                "placeholder": "https://docs.example.org/guide.html",
            }
        ),
        help_text=_("URLs, one a line: pages, PDF, Markdown or plain text."),
    )

    def clean_urls(self) -> list[str]:
        """The URLs, each once, in order."""
        lines = (line.strip() for line in str(self.cleaned_data["urls"]).splitlines())
        return list(dict.fromkeys(filter(None, lines)))


class LimitForm(forms.Form):
    """A limit of the tenant, or of one of its API tokens."""

    resource = forms.ChoiceField(
        label=_("What"),
        choices=[(resource.value, kind.label) for resource, kind in KINDS.items()],
    )
    token: forms.ModelChoiceField[ApiToken] = forms.ModelChoiceField(
        label=_("Whose"), queryset=None, required=False, empty_label=_("The whole tenant")
    )
    limit = forms.IntegerField(
        label=_("Limit"),
        required=False,
        min_value=0,
        max_value=MOST_LIMIT,
        help_text=_("Empty: no limit."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's own signature.
        super().__init__(*args, **kwargs)
        tokens = ApiToken.objects.filter(revoked_at__isnull=True)
        self.fields["token"].queryset = tokens  # type: ignore[attr-defined]  # a choice of rows


class RunFilter(FilterForm):
    """Which runs."""

    end = forms.ChoiceField(
        label=_("End"),
        choices=[("", _("Any end")), *((end.value, end.value) for end in AnswerEnd)],
    )
    state = forms.ChoiceField(
        label=_("State"),
        choices=[("", _("Any state")), *((state.value, state.value) for state in OperationState)],
    )
    route = forms.ChoiceField(
        label=_("Route"),
        choices=[("", _("Any route")), *((source.value, source.value) for source in Source)],
    )
    channel = forms.ChoiceField(
        label=_("Came in by"), choices=[("", _("Any way")), *Channel.choices]
    )
    asked_by = forms.CharField(label=_("Asked by"), max_length=150)

    def condition(self) -> Q:
        """The filters as one condition on runs."""
        named = {name: self.value(name) for name in self.fields}
        return Q(**{name: value for name, value in named.items() if value})


class WebSearchForm(forms.Form):
    """Which web search service is asked, and where it is."""

    provider = forms.ChoiceField(label=_("Service"), choices=SearchProvider.choices)
    address = forms.CharField(
        label=_("Address"),
        max_length=500,
        required=False,
        help_text=_("Base URL; leave it empty for the service's own, or the platform's SearXNG."),
    )
