"""What people say of answers, and what whoever reviews it makes of that."""

from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ragapp.models import Corpus, QuestionSet, Reason, Review, Thumb
from ragapp.services.feedback import MOST_CHARACTERS
from ragapp.ui.question_forms import QuestionForm
from tenants.ui.forms import FilterForm


class OpinionForm(forms.Form):
    """A thumb, and why."""

    thumb = forms.ChoiceField(choices=Thumb.choices)
    reason = forms.ChoiceField(choices=[("", ""), *Reason.choices], required=False)
    comment = forms.CharField(max_length=MOST_CHARACTERS, required=False)


class ReviewForm(QuestionForm):
    """The judged question that an opinion becomes."""

    question_set: forms.ModelChoiceField[QuestionSet] = forms.ModelChoiceField(
        label=_("Into the set"), queryset=None, to_field_name="name", empty_label=None
    )
    field_order = ["question_set", "text", "is_answerable", "answers", "relevant"]

    def __init__(self, *args: Any, corpus: Corpus | None, **kwargs: Any) -> None:  # Any: Django's.
        super().__init__(*args, **kwargs)
        sets = QuestionSet.objects.select_related("corpus").filter(frozen_at__isnull=True)
        # A run on one corpus belongs to that corpus's sets; one on all of them to any.
        sets = sets.filter(corpus=corpus) if corpus is not None else sets
        self.fields["question_set"].queryset = sets  # type: ignore[attr-defined]  # a choice of rows

    @property
    def has_set(self) -> bool:
        """Whether there is a set to take it."""
        choices = self.fields["question_set"].queryset  # type: ignore[attr-defined]  # as above
        return bool(choices.exists())


class FeedbackFilter(FilterForm):
    """Which feedback."""

    review = forms.ChoiceField(label=_("Review"), choices=[("", _("Any")), *Review.choices])
    thumb = forms.ChoiceField(label=_("Thumb"), choices=[("", _("Either")), *Thumb.choices])

    def condition(self) -> Q:
        """The filters as one condition on feedback."""
        named = {name: self.value(name) for name in self.fields}
        return Q(**{name: value for name, value in named.items() if value})
