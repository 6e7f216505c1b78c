"""What people choose on the pages of evaluations."""

from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ragapp.domain.answering import Answering
from ragapp.models import LanguageModel, Purpose
from ragapp.models.corpus import MOST_PASSAGES
from ragapp.services.corpora import MOST_INSTRUCTIONS
from ragapp.ui.forms import MOST_CHOICES
from tenants.ui.forms import FilterForm

# What a page of answers may be narrowed to, as conditions on their stored metrics.
CONDITION_BY_CHOICE: dict[str, Q] = {
    "missed": Q(metrics__recall_at_10=0),
    "wrong": Q(metrics__match=0),
    "unsupported": Q(metrics__groundedness__lt=1),
    "refused": Q(metrics__refused_wrongly=1),
    "invented": Q(metrics__refused_rightly=0),
    "error": ~Q(error=""),
}


class EvaluationForm(forms.Form):
    """A way to answer, and what shall be measured of it."""

    purpose = forms.ChoiceField(label=_("Measure"), choices=Purpose.choices)
    note = forms.CharField(
        label=_("What it shall find out"),
        max_length=200,
        required=False,
        help_text=_("A few words, for the list: five passages instead of three."),
    )
    dense_weight = forms.FloatField(
        label=_("Dense weight"),
        min_value=0,
        max_value=1,
        widget=forms.NumberInput(attrs={"step": "0.05"}),
        help_text=_("0 ranks by words alone, 1 by meaning alone."),
    )
    passages = forms.IntegerField(
        label=_("Passages"),
        min_value=1,
        max_value=MOST_PASSAGES,
        help_text=_("Most that the model reads."),
    )
    instructions = forms.CharField(
        label=_("Instructions"),
        max_length=MOST_INSTRUCTIONS,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("The corpus's own prompt, before the general one."),
    )
    model = forms.ChoiceField(
        label=_("Model"), required=False, help_text=_("One of the platform's list.")
    )
    rerank = forms.BooleanField(
        label=_("Order the best passages anew by a cross-encoder"), required=False
    )
    web = forms.BooleanField(
        label=_("Let it try the web"),
        required=False,
        help_text=_("Off unless you measure that: questions would leave the cluster."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's own signature.
        super().__init__(*args, **kwargs)
        allowed = LanguageModel.objects.filter(is_allowed=True).order_by("name")
        names = allowed.values_list("name", flat=True)[:MOST_CHOICES]
        choices = [("", _("The default")), *((name, name) for name in names)]
        self.fields["model"].choices = choices  # type: ignore[attr-defined]  # it is a ChoiceField

    @property
    def answering(self) -> Answering:
        """The way to answer."""
        given = {name: self.cleaned_data[name] for name in Answering.__dataclass_fields__}
        return Answering(**given)


class EvaluationFilter(FilterForm):
    """Which evaluations."""

    set = forms.CharField(label=_("Question set"), max_length=63)
    purpose = forms.ChoiceField(
        label=_("Measured"), choices=[("", _("Anything")), *Purpose.choices]
    )

    def condition(self) -> Q:
        """The filters as one condition on evaluations."""
        condition = Q()
        if name := self.value("set"):
            condition &= Q(question_set__name=name)
        if purpose := self.value("purpose"):
            condition &= Q(purpose=purpose)
        return condition


class AnswerFilter(FilterForm):
    """Which questions of an evaluation."""

    show = forms.ChoiceField(
        label=_("Show"),
        choices=[
            ("", _("All questions")),
            ("missed", _("Nothing relevant among ten")),
            ("wrong", _("Answer matches no reference")),
            ("unsupported", _("A sentence without support")),
            ("refused", _("Refused wrongly")),
            ("invented", _("Answered where there is no answer")),
            ("error", _("Could not be measured")),
        ],
    )

    def condition(self) -> Q:
        """The filter as a condition on answers."""
        return CONDITION_BY_CHOICE.get(self.value("show"), Q())
