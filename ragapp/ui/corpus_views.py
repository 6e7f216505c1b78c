"""Pages of corpora and documents; writes go through the services."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from ragapp.domain.reader import reader_of
from ragapp.models import Chunk, Corpus, Document
from ragapp.models.rights import readable
from ragapp.services import corpora
from ragapp.ui.forms import CorpusForm
from tenants.access import TenantRequest, tenant_page
from tenants.domain.roles import Action
from tenants.errors import NotVisibleError, SluiceError
from tenants.ui.forms import refuse
from tenants.ui.paging import PAGE_SIZE, page_of

# More than a page shows well; the REST API lists them all.
MOST_SOURCES = 200


@tenant_page(Action.VIEW)
def corpus_list(request: TenantRequest) -> HttpResponse:
    """What the tenant's agent has read."""
    context = {
        "page": page_of(request, Corpus.objects.all()),
        "can_train": request.actor.may(Action.TRAIN),
    }
    return render(request, "ragapp/corpus_list.html", context)


@tenant_page(Action.TRAIN)
def corpus_create(request: TenantRequest) -> HttpResponse:
    """A new corpus."""
    return _corpus_page(request, None)


@tenant_page(Action.TRAIN)
def corpus_edit(request: TenantRequest, name: str) -> HttpResponse:
    """A corpus's name, description and sources."""
    return _corpus_page(request, corpora.visible_corpus(name))


@tenant_page(Action.VIEW)
def corpus_detail(request: TenantRequest, name: str) -> HttpResponse:
    """One corpus: its sources, its training and its documents."""
    corpus = corpora.visible_corpus(name)
    operation = corpora.latest_training(corpus)
    if operation is not None:
        operation.tenant = request.tenant
    documents = Document.objects.filter(readable(reader_of(request.actor)), corpus=corpus).defer(
        "text"
    )
    context = {
        "corpus": corpus,
        "sources": corpus.sources.all()[:MOST_SOURCES],
        "operation": operation,
        "live_url": operation.get_absolute_url() if operation else "",
        "is_training": operation is not None and not operation.has_ended,
        "page": page_of(request, documents),
        "can_train": request.actor.may(Action.TRAIN),
    }
    return render(request, "ragapp/corpus_detail.html", context)


@require_POST
@tenant_page(Action.TRAIN)
def corpus_train(request: TenantRequest, name: str) -> HttpResponse:
    """Start a training run; the corpus's page shows it live."""
    corpus = corpora.visible_corpus(name)
    try:
        corpora.start_training(corpus, actor=request.actor)
    except SluiceError as error:
        messages.error(request, error.message)
    return redirect(corpus)


@require_POST
@tenant_page(Action.TRAIN)
def document_delete(request: TenantRequest, pk: int) -> HttpResponse:
    """Take one document out of retrieval, and its source out of the corpus."""
    document = _document(request, pk)
    corpora.delete_document(document, actor=request.actor)
    messages.success(request, gettext("%(name)s is deleted.") % {"name": document})
    return redirect("ragapp:corpus-detail", request.tenant.slug, document.corpus.name)


@tenant_page(Action.VIEW)
def document_detail(request: TenantRequest, pk: int) -> HttpResponse:
    """One document as the agent reads it: its passages in order."""
    document = _document(request, pk)
    chunks = Chunk.objects.defer("embedding").filter(document_id=document.pk).order_by("ordinal")
    asked = request.GET.get("passage", "")
    passage = int(asked) if asked.isdecimal() and len(asked) < 9 else None
    # The page that a citation means, wherever in the document its passage stands.
    start = 1 if passage is None else passage // PAGE_SIZE + 1
    context = {
        "document": document,
        "page": page_of(request, chunks, start=start),
        "passage": passage,
        "can_train": request.actor.may(Action.TRAIN),
    }
    return render(request, "ragapp/document_detail.html", context)


def _corpus_page(request: TenantRequest, corpus: Corpus | None) -> HttpResponse:
    form = CorpusForm(request.POST or None, initial=_initial(corpus))
    if request.method == "POST" and form.is_valid():
        try:
            saved = _save(request, form, corpus)
        except SluiceError as error:
            refuse(form, error)
        else:
            return redirect("ragapp:corpus-detail", request.tenant.slug, saved.name)
    return render(request, "ragapp/corpus_form.html", {"form": form, "corpus": corpus})


def _save(request: TenantRequest, form: CorpusForm, corpus: Corpus | None) -> Corpus:
    """Save, and train where that was asked for: both or neither."""
    with transaction.atomic():
        saved = corpora.save_corpus(
            request.tenant, **form.cleaned_data, actor=request.actor, corpus=corpus
        )
        if request.POST.get("then") == "train":
            corpora.start_training(saved, actor=request.actor)
    return saved


def _initial(corpus: Corpus | None) -> dict[str, str] | None:
    if corpus is None:
        return None
    urls = corpus.sources.values_list("url", flat=True)
    return {
        "name": corpus.name,
        "description": corpus.description,
        "urls": "\n".join(urls),
    }


def _document(request: TenantRequest, pk: int) -> Document:
    readable_ones = Document.objects.filter(readable(reader_of(request.actor)))
    document = readable_ones.select_related("corpus").filter(pk=pk).first()
    if document is None:
        raise NotVisibleError(
            f"There is no document {pk} in this tenant; it may have been deleted. See the corpora."
        )
    return document
