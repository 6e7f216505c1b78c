"""What people type or upload to judge a corpus, checked before any service sees it."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from ragapp.domain.judged import MOST_CHARACTERS, Judged, Relevant
from ragapp.models import Corpus
from tenants.models.tenant import DNS_LABEL

_HOW_UPLOAD = _("JSON lines or CSV, at most 4 MiB; taken whole or not at all.")
_HOW_JUDGEMENTS = _("For BEIR's queries.jsonl: its qrels, tab-separated.")


class UploadForm(forms.Form):
    """A file of questions."""

    file = forms.FileField(label=_("File"), help_text=_HOW_UPLOAD)
    judgements = forms.FileField(label=_("Judgements"), required=False, help_text=_HOW_JUDGEMENTS)

    def content(self, name: str) -> bytes:
        """The bytes of one of its files; empty if it was not given."""
        given = self.cleaned_data.get(name)
        return bytes(given.read()) if given else b""


class QuestionSetForm(forms.Form):
    """A set's name and what it is for."""

    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        validators=[DNS_LABEL],
        help_text=_("Lower-case letters, digits and hyphens."),
    )
    description = forms.CharField(label=_("About"), max_length=300, required=False)


class NewSetForm(QuestionSetForm, UploadForm):
    """A new set, with its questions at once where there is a file."""

    corpus: forms.ModelChoiceField[Corpus] = forms.ModelChoiceField(
        label=_("Corpus"), queryset=None, to_field_name="name", empty_label=None
    )
    field_order = ["name", "corpus", "description", "file", "judgements"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's own signature.
        super().__init__(*args, **kwargs)
        corpora = Corpus.objects.all()
        self.fields["corpus"].queryset = corpora  # type: ignore[attr-defined]  # a choice of rows
        self.fields["file"].required = False


class QuestionForm(forms.Form):
    """One judged question."""

    text = forms.CharField(
        label=_("Question"), max_length=MOST_CHARACTERS, widget=forms.Textarea(attrs={"rows": 2})
    )
    is_answerable = forms.BooleanField(
        label=_("The corpus holds the answer"),
        required=False,
        initial=True,
        help_text=_("If not, the right thing is to say so: a refusal counts as right."),
    )
    answers = forms.CharField(
        label=_("Reference answers"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("One a line, as short as they can be: an answer that contains one is right."),
    )
    relevant = forms.CharField(
        label=_("Relevant documents"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "class": "mono", "spellcheck": "false"}),
        help_text=_("Addresses, one a line; a number behind one is its grade, from 1 to 10."),
    )

    def clean_relevant(self) -> tuple[Relevant, ...]:
        """The judgements; a line is an address or a passage's hash, and maybe a grade."""
        return tuple(_relevant(line) for line in self._lines("relevant"))

    def clean_answers(self) -> tuple[str, ...]:
        """The reference answers, each once."""
        return tuple(dict.fromkeys(" ".join(line.split()) for line in self._lines("answers")))

    @property
    def judged(self) -> Judged:
        """What was typed, as the services know it."""
        values = self.cleaned_data
        return Judged(
            " ".join(values["text"].split()),
            values["answers"],
            values["is_answerable"],
            values["relevant"],
        )

    def _lines(self, name: str) -> list[str]:
        return [line.strip() for line in self.cleaned_data[name].splitlines() if line.strip()]


def as_typed(judged: Judged) -> dict[str, object]:
    """The question as its form shows it."""
    return {
        "text": judged.text,
        "is_answerable": judged.is_answerable,
        "answers": "\n".join(judged.answers),
        "relevant": "\n".join(_line(entry) for entry in judged.relevant),
    }


def _relevant(line: str) -> Relevant:
    name, _space, last = line.rpartition(" ")
    if name and last.isdecimal() and len(last) < 4:
        line, grade = name.strip(), int(last)
    else:
        grade = 1
    if len(line) == 64 and not set(line) - set("0123456789abcdef"):
        return Relevant("", line, grade)
    return Relevant(line, grade=grade)


def _line(entry: Relevant) -> str:
    return entry.unit if entry.grade == 1 else f"{entry.unit} {entry.grade}"
