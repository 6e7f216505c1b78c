"""What people type on the search page, read from the URL, so that a search can be sent on."""

from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ragapp.domain.filters import Filters
from ragapp.models import Corpus

MOST_CHARACTERS = 1000
_CONTENT_TYPES = (
    ("", _("Any kind")),
    ("text/html", _("Web page")),
    ("application/pdf", "PDF"),
    ("text/markdown", "Markdown"),
    ("text/plain", _("Plain text")),
    ("text/csv", "CSV"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "Word"),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", _("Slides")),
)


class SearchForm(forms.Form):
    """A question, where to look, and what to leave out."""

    use_required_attribute = False

    q = forms.CharField(
        label=_("Search for"),
        max_length=MOST_CHARACTERS,
        widget=forms.TextInput(
            attrs={"type": "search", "placeholder": _("Words, a question, or an identifier")}
        ),
    )
    corpus: forms.ModelChoiceField[Corpus] = forms.ModelChoiceField(
        label=_("Look in"),
        queryset=None,
        to_field_name="name",
        required=False,
        empty_label=_("All corpora"),
    )
    title = forms.CharField(label=_("Title has"), max_length=200, required=False)
    url = forms.CharField(label=_("URL begins with"), max_length=500, required=False)
    kind = forms.ChoiceField(label=_("Kind"), choices=_CONTENT_TYPES, required=False)
    first_page = forms.IntegerField(label=_("From page"), min_value=1, required=False)
    last_page = forms.IntegerField(label=_("To page"), min_value=1, required=False)
    since = forms.DateField(
        label=_("Read since"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    label = forms.CharField(
        label=_("Label"),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "team:net"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's own signature.
        super().__init__(*args, **kwargs)
        corpora = Corpus.objects.all()
        self.fields["corpus"].queryset = corpora  # type: ignore[attr-defined]  # a choice of rows

    def clean_label(self) -> str:
        """Name and value with a colon between.

        Raises:
            ValidationError: it has no colon.
        """
        label = str(self.cleaned_data["label"])
        if label and ":" not in label:
            raise ValidationError(gettext("Write a label as name:value."))
        return label

    def filters(self) -> Filters:
        """What a valid form narrows the search to."""
        values = self.cleaned_data
        name, _colon, value = str(values["label"]).partition(":")
        since = values["since"]
        return Filters(
            title=values["title"],
            url=values["url"],
            content_type=values["kind"],
            first_page=values["first_page"],
            last_page=values["last_page"],
            fetched_since=datetime.combine(since, time.min, UTC) if since else None,
            labels={name: value} if name else {},
        )
