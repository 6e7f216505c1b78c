"""Pages of corpora and documents; writes go through the services."""

from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import content_disposition_header
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST

from ragapp.domain.reader import reader_of
from ragapp.models import Chunk, Corpus, Document, SourceKind
from ragapp.models.rights import readable
from ragapp.services import corpora, rights, uploads
from ragapp.ui.forms import CorpusForm, DocumentFilter, RightsForm, UploadForm
from ragapp.ui.legible import Block, blocks
from tenants.access import TenantRequest, tenant_page
from tenants.domain.numbers import whole_number
from tenants.domain.roles import Action
from tenants.errors import InvalidError, NotVisibleError, SluiceError
from tenants.ui.forms import refuse, status_of
from tenants.ui.paging import PAGE_SIZE, page_of

# More than a page shows well; the REST API lists them all.
MOST_SOURCES = 200
MOST_STRIPPED = 20_000
_MOST_PASSAGES = 100_000_000


@dataclass(frozen=True, slots=True)
class Legible:
    """A passage, and its text as people read it."""

    chunk: Chunk
    blocks: list[Block]


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
    """A corpus's sources, and how its questions are answered."""
    return _corpus_page(request, corpora.visible_corpus(name))


@tenant_page(Action.VIEW)
def corpus_detail(request: TenantRequest, name: str) -> HttpResponse:
    """One corpus: its sources, its training and its documents."""
    corpus = corpora.visible_corpus(name)
    operation = corpora.latest_training(corpus)
    if operation is not None:
        operation.tenant = request.tenant
    form = DocumentFilter(request.GET)
    documents = _readable(request).filter(form.condition(), corpus=corpus)
    context = {
        "corpus": corpus,
        "form": form,
        "leading": corpus.sources.exclude(kind=SourceKind.PAGE)[:MOST_SOURCES],
        "sources": corpus.sources.filter(kind=SourceKind.PAGE)[:MOST_SOURCES],
        "counts": corpora.source_counts(corpus),
        "operation": operation,
        "live_url": operation.get_absolute_url() if operation else "",
        "is_training": operation is not None and not operation.has_ended,
        "page": page_of(request, documents.defer("text", "stripped")),
        "can_ask": request.actor.may(Action.ASK),
        "can_train": request.actor.may(Action.TRAIN),
        "most_bytes": settings.UPLOAD_BYTES,
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
def corpus_upload(request: TenantRequest, name: str) -> HttpResponse:
    """Keep files, all or none, and train where that was asked for."""
    corpus = corpora.visible_corpus(name)
    form = UploadForm(request.POST, request.FILES)
    try:
        if not form.is_valid():
            raise InvalidError(" ".join(map(str, form.errors["file"])))
        with transaction.atomic():
            for file in form.cleaned_data["file"]:
                uploads.save_upload(corpus, file, actor=request.actor)
        # A training that is under way is no reason to lose the files.
        if request.POST.get("then") == "train":
            corpora.start_training(corpus, actor=request.actor)
    except SluiceError as error:
        messages.error(request, error.message)
    else:
        count = len(form.cleaned_data["file"])
        said = ngettext("%(count)d file is kept.", "%(count)d files are kept.", count)
        messages.success(request, said % {"count": count})
    return redirect(corpus)


@require_POST
@tenant_page(Action.TRAIN)
def corpus_documents_delete(request: TenantRequest, name: str) -> HttpResponse:
    """Take the chosen documents out of retrieval, once somebody has seen which they are."""
    corpus = corpora.visible_corpus(name)
    given = (whole_number(key) for key in request.POST.getlist("document"))
    keys = [key for key in given if key is not None][:PAGE_SIZE]
    chosen = _readable(request).filter(corpus=corpus, pk__in=keys)
    if not _is_confirmed(request) and chosen.exists():
        return _confirm(request, corpus, list(chosen.defer("text", "stripped")))
    count = corpora.delete_documents(corpus, keys, actor=request.actor)
    if count:
        said = ngettext("%(count)d document is deleted.", "%(count)d documents are deleted.", count)
        messages.success(request, said % {"count": count})
    else:
        messages.error(request, gettext("Choose the documents first, then delete them."))
    return redirect(corpus)


@require_POST
@tenant_page(Action.TRAIN)
def document_retry(request: TenantRequest, pk: int) -> HttpResponse:
    """Have a worker read the document anew."""
    document = _document(request, pk)
    try:
        corpora.retry_document(document, actor=request.actor)
    except SluiceError as error:
        messages.error(request, error.message)
    return redirect("ragapp:corpus-detail", request.tenant.slug, document.corpus.name)


@tenant_page(Action.VIEW)
def document_original(request: TenantRequest, pk: int) -> HttpResponse:
    """A file as it was handed over, to keep; never shown as a page of this site."""
    upload = uploads.original(_document(request, pk))
    return HttpResponse(
        bytes(upload.content),
        content_type="application/octet-stream",
        headers={"Content-Disposition": content_disposition_header(True, upload.name) or ""},
    )


@require_POST
@tenant_page(Action.TRAIN)
def document_delete(request: TenantRequest, pk: int) -> HttpResponse:
    """Take one document out of retrieval, and its source out of the corpus, once confirmed."""
    document = _document(request, pk)
    if not _is_confirmed(request):
        return _confirm(request, document.corpus, [document])
    corpora.delete_document(document, actor=request.actor)
    messages.success(request, gettext("%(name)s is deleted.") % {"name": document})
    return redirect("ragapp:corpus-detail", request.tenant.slug, document.corpus.name)


@tenant_page(Action.VIEW)
def document_detail(request: TenantRequest, pk: int) -> HttpResponse:
    """One document as the agent reads it: its passages in order."""
    document = _document(request, pk)
    chunks = Chunk.objects.defer("embedding").filter(document_id=document.pk).order_by("ordinal")
    asked = request.GET.get("passage", "")
    passage = whole_number(asked, most=_MOST_PASSAGES)
    # The page that a citation means, wherever in the document its passage stands.
    start = 1 if passage is None else passage // PAGE_SIZE + 1
    page = page_of(request, chunks, start=start)
    context = {
        "document": document,
        "is_upload": document.url.startswith("upload:"),
        "stripped": document.stripped[:MOST_STRIPPED],
        "page": page,
        "passages": [Legible(chunk, blocks(chunk.text)) for chunk in page],
        "passage": passage,
        "can_train": request.actor.may(Action.TRAIN),
    }
    return render(request, "ragapp/document_detail.html", context)


@tenant_page(Action.TRAIN)
def document_edit(request: TenantRequest, pk: int) -> HttpResponse:
    """Who may read a document, and which labels searches can be narrowed to."""
    document = _document(request, pk)
    form = RightsForm(request.POST or None, initial=RightsForm.values_of(document))
    if request.method == "POST" and form.is_valid():
        try:
            rights.set_rights(document, **form.cleaned_data, actor=request.actor)
        except SluiceError as error:
            refuse(form, error)
        else:
            messages.success(request, gettext("Saved. Searches follow it from now on."))
            return redirect("ragapp:document-detail", request.tenant.slug, document.pk)
    return render(
        request,
        "ragapp/document_form.html",
        {"form": form, "document": document},
        status=status_of(form),
    )


def _corpus_page(request: TenantRequest, corpus: Corpus | None) -> HttpResponse:
    form = CorpusForm(request.POST or None, initial=CorpusForm.values_of(corpus))
    if request.method == "POST" and form.is_valid():
        try:
            saved = _save(request, form, corpus)
        except SluiceError as error:
            refuse(form, error)
        else:
            return redirect("ragapp:corpus-detail", request.tenant.slug, saved.name)
    return render(
        request, "ragapp/corpus_form.html", {"form": form, "corpus": corpus}, status=status_of(form)
    )


def _save(request: TenantRequest, form: CorpusForm, corpus: Corpus | None) -> Corpus:
    """Save, and train where that was asked for: both or neither."""
    given = form.cleaned_data
    with transaction.atomic():
        saved = corpora.save_corpus(
            request.tenant,
            name=given["name"],
            description=given["description"],
            urls=given["urls"],
            sources=given["sources"],
            actor=request.actor,
            corpus=corpus,
        )
        corpora.configure(
            saved,
            answering=form.answering(saved.answering),
            schedule=given["schedule"] or saved.schedule,
            actor=request.actor,
        )
        if request.POST.get("then") == "train":
            corpora.start_training(saved, actor=request.actor)
    return saved


def _is_confirmed(request: TenantRequest) -> bool:
    return request.POST.get("confirmed") == "yes"


def _confirm(request: TenantRequest, corpus: Corpus, documents: list[Document]) -> HttpResponse:
    """Ask before deleting: a file is kept nowhere else, and a click is soon done."""
    context = {
        "corpus": corpus,
        "documents": documents,
        "uploads": sum(document.url.startswith("upload:") for document in documents),
    }
    return render(request, "ragapp/document_delete.html", context)


def _readable(request: TenantRequest) -> QuerySet[Document]:
    return Document.objects.filter(readable(reader_of(request.actor)))


def _document(request: TenantRequest, pk: int) -> Document:
    document = _readable(request).select_related("corpus").filter(pk=pk).first()
    if document is None:
        raise NotVisibleError(
            f"There is no document {pk} in this tenant; it may have been deleted. See the corpora."
        )
    return document
