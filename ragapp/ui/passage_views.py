"""The search page: passages with both ranks, before any model has written a word."""

from collections.abc import Sequence

from django.http import HttpResponse
from django.shortcuts import render

from ragapp.domain.reader import reader_of
from ragapp.models import Chunk, Corpus
from ragapp.services import search as service
from ragapp.services.statements import Field
from ragapp.ui.passage_forms import SearchForm
from tenants.access import TenantRequest, tenant_page
from tenants.domain.roles import Action
from tenants.errors import TransientError
from tenants.ui.forms import refuse

RESULTS = 20


@tenant_page(Action.ASK)
def search(request: TenantRequest) -> HttpResponse:
    """The form, and what it finds."""
    form = SearchForm(request.GET if "q" in request.GET else None)
    context = {"form": form, "has_corpus": Corpus.objects.filter(chunk_count__gt=0).exists()}
    if form.is_bound and form.is_valid():
        try:
            context |= _found(request, form)
        except TransientError as error:
            refuse(form, error)
    return render(request, "ragapp/search.html", context)


def _found(request: TenantRequest, form: SearchForm) -> dict[str, object]:
    chosen = form.cleaned_data["corpus"]
    corpora = [chosen] if chosen else list(Corpus.objects.all())
    corpus_ids = [corpus.pk for corpus in corpora]
    field = Field(request.tenant.pk, corpus_ids, reader_of(request.actor), form.filters())
    found = service.results(field, form.cleaned_data["q"], k=RESULTS)
    places = _places(found.results)
    return {
        "found": found,
        "embed_ms": found.embed_seconds * 1000,
        "search_ms": found.search_seconds * 1000,
        "rows": [(result, places.get(result.passage.chunk_id or 0)) for result in found.results],
        "is_filtered": field.filters.are_set or chosen is not None,
    }


def _places(results: Sequence[service.Result]) -> dict[int, int]:
    """Each passage's place in its document, which its page is found by."""
    chunk_ids = [result.passage.chunk_id or 0 for result in results]
    return dict(Chunk.objects.filter(id__in=chunk_ids).values_list("id", "ordinal"))
