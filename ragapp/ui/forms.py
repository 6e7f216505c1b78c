"""What people type on the agent's pages, checked before any service sees it."""

from typing import Any

from django import forms
from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ragapp.domain import source_lines
from ragapp.domain.answering import Answering
from ragapp.domain.passage import Source
from ragapp.domain.source_lines import Wanted
from ragapp.models import (
    Channel,
    Corpus,
    Document,
    DocumentState,
    LanguageModel,
    Schedule,
    SearchProvider,
    SourceKind,
)
from ragapp.models.corpus import MOST_PASSAGES
from ragapp.services.corpora import MOST_INSTRUCTIONS
from ragapp.services.runs import MOST_CHARACTERS
from tenants.domain.quota import KINDS
from tenants.domain.states import AnswerEnd, OperationState
from tenants.models.tenant import DNS_LABEL
from tenants.models.token import ApiToken
from tenants.services.quotas import MOST as MOST_LIMIT
from tenants.ui.forms import FilterForm

MOST_CHOICES = 200


def model_choices(now: str) -> list[tuple[str, str | Promise]]:
    """The allowed models; ``now``, the one in use, also where it is allowed no more."""
    allowed = LanguageModel.objects.filter(is_allowed=True).order_by("name")
    names = list(allowed.values_list("name", flat=True)[:MOST_CHOICES])
    names += [name for name in [now] if name and name not in names]
    return [("", _("The platform's default")), *((name, name) for name in names)]


class MultipleFileInput(forms.ClearableFileInput):
    """Takes several files at once."""

    allow_multiple_selected = True


class MultipleFileField(forms.FileField):
    """Several files, each checked like one."""

    widget = MultipleFileInput

    def clean(self, data: Any, initial: Any = None) -> list[Any]:  # Any: Django's own signature.
        """The files, in the order in which they were chosen."""
        return [super(MultipleFileField, self).clean(file, initial) for file in data or [None]]


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
        help_text=_("URLs, one a line: pages, PDF, Word, slides, CSV, Markdown or plain text."),
    )
    sources = forms.CharField(
        label=_("Sitemaps and crawls"),
        required=False,
        widget=forms.Textarea(
            attrs={
                "rows": 4,
                "class": "mono",
                "spellcheck": "false",
                "placeholder": "sitemap https://docs.example.org/sitemap.xml\n"
                "crawl https://docs.example.org/guide/ 500",
            }
        ),
        help_text=_(
            "One a line: “sitemap URL” or “crawl URL”, and then, if you like, the most pages that"
            " it may add. A crawl follows links below its URL's folder, or “below” another prefix:"
            " crawl URL 500 below PREFIX. It keeps to robots.txt."
        ),
    )
    schedule = forms.ChoiceField(
        label=_("Train by itself"), choices=Schedule.choices, required=False
    )
    dense_weight = forms.FloatField(
        label=_("Dense weight"),
        min_value=0,
        max_value=1,
        required=False,
        widget=forms.NumberInput(attrs={"step": "0.05"}),
        help_text=_(
            "0 ranks by words alone, 1 by meaning alone. An evaluation tells what is best."
        ),
    )
    passages = forms.IntegerField(
        label=_("Passages"),
        min_value=1,
        max_value=MOST_PASSAGES,
        required=False,
        help_text=_("Most that the model reads for an answer."),
    )
    model = forms.ChoiceField(
        label=_("Model"),
        required=False,
        help_text=_("Of those that the platform's administrators allow."),
    )
    instructions = forms.CharField(
        label=_("Instructions"),
        max_length=MOST_INSTRUCTIONS,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("The corpus's own prompt; it stands before the general one."),
    )
    rerank = forms.BooleanField(
        label=_("Order the best passages anew by a cross-encoder"), required=False
    )
    web = forms.BooleanField(
        label=_("The web may be tried where the corpus has no answer"), required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's own signature.
        super().__init__(*args, **kwargs)
        choices = model_choices(self.initial.get("model", ""))
        self.fields["model"].choices = choices  # type: ignore[attr-defined]  # it is a ChoiceField

    def clean_urls(self) -> list[str]:
        """The URLs, each once, in order."""
        return list(dict.fromkeys(_lines(self.cleaned_data["urls"])))

    def clean_sources(self) -> list[Wanted]:
        """The sitemaps and crawls.

        Raises:
            ValidationError: a line is neither; each is named by its number.
        """
        wanted, complaints = source_lines.read(str(self.cleaned_data["sources"]))
        if complaints:
            raise forms.ValidationError(complaints)
        return wanted

    def answering(self, now: Answering) -> Answering:
        """How questions shall be answered; what was left empty stays as it is ``now``."""
        values = self.cleaned_data
        number = values["dense_weight"]
        return Answering(
            dense_weight=now.dense_weight if number is None else number,
            passages=values["passages"] or now.passages,
            instructions=values["instructions"],
            model=values["model"],
            rerank=values["rerank"],
            web=values["web"],
        )

    @classmethod
    def values_of(cls, corpus: Corpus | None) -> dict[str, Any]:  # Any: each field's own.
        """What the form shows of the corpus; of a new one, how it would be."""
        row = corpus or Corpus()
        sources = list(corpus.sources.all()) if corpus else []
        pages = [source for source in sources if source.kind == SourceKind.PAGE]
        lines = [source.wanted for source in sources if source.kind != SourceKind.PAGE]
        return {
            **{
                name: getattr(row, name)
                for name in cls.base_fields
                if name not in {"urls", "sources"}
            },
            "urls": "\n".join(source.url for source in pages),
            "sources": source_lines.as_text(lines),
        }


class DocumentFilter(FilterForm):
    """Which documents of a corpus."""

    state = forms.ChoiceField(
        label=_("State"), choices=[("", _("Any state")), *DocumentState.choices]
    )
    text = forms.CharField(label=_("Title or URL"), max_length=200)

    def condition(self) -> Q:
        """The filters as one condition on documents."""
        condition = Q()
        if state := self.value("state"):
            condition &= Q(state=state)
        if text := self.value("text"):
            condition &= Q(title__icontains=text) | Q(url__icontains=text)
        return condition


class RightsForm(forms.Form):
    """Who may read a document, and its labels."""

    readers = forms.CharField(
        label=_("Who may read it"),
        required=False,
        widget=forms.Textarea(
            attrs={
                "rows": 4,
                "class": "mono",
                "spellcheck": "false",
                "placeholder": "role:devops\nuser:alice",
            }
        ),
        help_text=_(
            "One a line: role:reader, role:devops, role:mlops, role:netops, or user:NAME. Empty:"
            " everybody in the tenant. Whoever may train corpora reads it always."
        ),
    )
    labels = forms.CharField(
        label=_("Labels"),
        required=False,
        widget=forms.Textarea(
            attrs={"rows": 4, "class": "mono", "spellcheck": "false", "placeholder": "team:net"}
        ),
        help_text=_("One a line, as name:value. Searches can be narrowed to them."),
    )

    def clean_readers(self) -> list[str]:
        """The readers, each once, in order."""
        return list(dict.fromkeys(_lines(self.cleaned_data["readers"])))

    def clean_labels(self) -> dict[str, str]:
        """The labels by name.

        Raises:
            ValidationError: a line has no colon, or a name stands there twice.
        """
        labels: dict[str, str] = {}
        for line in _lines(self.cleaned_data["labels"]):
            name, colon, value = (part.strip() for part in line.partition(":"))
            if not colon:
                raise forms.ValidationError(f"{line[:80]!r} is no label: write it as name:value.")
            if name in labels:
                raise forms.ValidationError(f"The label {name[:80]!r} stands here twice.")
            labels[name] = value
        return labels

    @classmethod
    def values_of(cls, document: Document) -> dict[str, str]:
        """What the form shows of the document."""
        labels = (f"{name}:{value}" for name, value in sorted(document.labels.items()))
        return {"readers": "\n".join(document.readers), "labels": "\n".join(labels)}


class UploadForm(forms.Form):
    """Files for a corpus, several at once."""

    file = MultipleFileField(label=_("Files"))


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


def _lines(text: object) -> list[str]:
    lines = (line.strip() for line in str(text).splitlines())
    return [line for line in lines if line]
