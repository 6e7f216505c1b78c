"""Corpora: what a tenant's agent may read, and the start of its training."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, F, QuerySet
from django.utils import timezone

from ragapp.domain.answering import Answering
from ragapp.domain.links import normalised
from ragapp.domain.reader import reader_of
from ragapp.domain.schedule import next_at
from ragapp.domain.source_lines import MOST_PAGES, Wanted
from ragapp.models import (
    Corpus,
    Document,
    DocumentState,
    LanguageModel,
    Source,
    SourceKind,
    Upload,
)
from ragapp.models.rights import readable
from ragapp.services import conversations, index
from tenants import audit
from tenants.domain.actor import Actor
from tenants.errors import ConflictError, InvalidError, NotVisibleError
from tenants.models.operation import Operation, OperationKind
from tenants.models.tenant import Tenant
from tenants.services import operations

MOST_SOURCES = 10_000
# As an evaluation takes them: they stand before each question.
MOST_INSTRUCTIONS = 4000
_NAMED = {"name", "description"}


def save_corpus(
    tenant: Tenant,
    *,
    name: str,
    urls: Sequence[str],
    actor: Actor,
    description: str = "",
    sources: Sequence[Wanted] = (),
    corpus: Corpus | None = None,
) -> Corpus:
    """Make a corpus, or change ``corpus``; what changed in its sources shows at the next training.

    Args:
        urls: All of its pages, each fetched through the tenant's egress.
        sources: All of its sitemaps and crawls.

    Raises:
        InvalidError: a field cannot be taken; ``fields`` says which.
        ConflictError: the tenant has another corpus of this name.
    """
    is_new = corpus is None
    row = corpus or Corpus(tenant=tenant)
    row.name, row.description = name, description
    wanted = _wanted(urls, sources)
    _check(row, _NAMED, _source_complaints(wanted))
    try:
        with transaction.atomic():
            # The counters are training's: an instance that was read earlier must not undo them.
            row.save(update_fields=None if is_new else sorted(_NAMED))
    except IntegrityError as error:
        raise ConflictError(
            f"The tenant {tenant.slug} already has a corpus named {name}. Choose another name.",
            code="corpus-exists",
        ) from error
    _set_sources(row, wanted)
    audit.record(actor, "corpus.created" if is_new else "corpus.changed", row)
    return row


def configure(corpus: Corpus, *, answering: Answering, schedule: str, actor: Actor) -> None:
    """Set how questions on the corpus are answered, and how often it is trained by itself.

    Raises:
        InvalidError: a field cannot be taken; ``fields`` says which.
    """
    changed = {
        name: value
        for name, value in {**asdict(answering), "schedule": schedule}.items()
        if value != getattr(corpus, name)
    }
    if not changed:
        return
    if "schedule" in changed:
        corpus.train_at = next_at(schedule, timezone.now())
    for name, value in changed.items():
        setattr(corpus, name, value)
    complaints: dict[str, list[str]] = {}
    if len(corpus.instructions) > MOST_INSTRUCTIONS:
        complaints["instructions"] = [f"At most {MOST_INSTRUCTIONS} characters."]
    models = LanguageModel.objects.filter(name=answering.model, is_allowed=True)
    if changed.get("model") and not models.exists():
        complaints["model"] = [f"{answering.model} is not on the list of allowed models."]
    _check(corpus, set(changed), complaints)
    corpus.save(update_fields=[*changed, "train_at"])
    audit.record(actor, "corpus.configured", corpus, detail={"fields": sorted(changed)})


def delete_corpus(corpus: Corpus, *, actor: Actor) -> None:
    """Delete the corpus with its documents; nothing of them can be retrieved any more.

    Questions that still wait to be answered in it fail, and its conversations are closed.

    Raises:
        ConflictError: it is being trained.
    """
    if open_training(corpus) is not None:
        raise ConflictError(
            f"The corpus {corpus.name} is being trained. Cancel that operation first.",
            code="corpus-in-training",
        )
    with transaction.atomic():
        hold(corpus.pk)
        index.delete_corpus(corpus.tenant_id, corpus.pk)
        conversations.close(corpus)
        audit.record(actor, "corpus.deleted", corpus)
        corpus.delete()


def delete_document(document: Document, *, actor: Actor) -> None:
    """Delete the document and its source: nothing of it can be retrieved or cited any more.

    A duplicate of it is read in its stead, by a training that starts now. A document that a sitemap
    or a crawl led to is found again at the next training, unless it is gone there too.
    """
    with transaction.atomic():
        hold(document.corpus_id)
        pages = Source.objects.filter(kind=SourceKind.PAGE, corpus_id=document.corpus_id)
        pages.filter(url=document.url).delete()
        if document.url.startswith("upload:"):
            name = document.url.removeprefix("upload:")
            Upload.objects.filter(corpus_id=document.corpus_id, name=name).delete()
        audit.record(actor, "document.deleted", document)
        if remove_document(document):
            # Where one is open, that one finds what is queued before it ends.
            with suppress(ConflictError):
                _start(document.corpus, actor=actor, total=1, is_of_some=True)


def delete_documents(corpus: Corpus, ids: Iterable[int], *, actor: Actor) -> int:
    """Delete those of the corpus's documents that the actor may read, all or none; how many."""
    with transaction.atomic():
        hold(corpus.pk)
        mine = Document.objects.filter(readable(reader_of(actor)), corpus=corpus, pk__in=list(ids))
        documents = list(mine.select_related("corpus__tenant").defer("text", "stripped"))
        for document in sorted(documents, key=lambda document: document.pk):
            delete_document(document, actor=actor)
    return len(documents)


def retry_document(document: Document, *, actor: Actor) -> Operation:
    """Have the document read anew, as if it had never been; the operation that will do it.

    Raises:
        ConflictError: the corpus is being trained already.
    """
    audit.record(actor, "document.retried", document)
    return start_training(document.corpus, actor=actor, documents=[document.pk])


def remove_document(document: Document) -> bool:
    """Take the document and its chunks out, and its share out of the corpus's counters.

    Returns:
        Whether a duplicate of it waits to be read now.
    """
    with transaction.atomic():
        hold(document.corpus_id)
        # Locked before its chunks are looked for: a training may be writing them.
        locked = Document.objects.select_for_update().defer("text").filter(pk=document.pk).first()
        if locked is None:
            return False
        count(locked.corpus_id, documents=-1, minus=index.delete(locked))
        locked.delete()
        return free_duplicate(locked.corpus_id, locked.text_hash)


def free_duplicate(corpus_id: int, text_hash: str) -> bool:
    """Queue one of the duplicates of a text that is in use no more; False where there is none.

    To be called by whatever gives a text up, also where it was only about to take its place.
    """
    if not text_hash:
        return False
    same = Document.objects.filter(corpus_id=corpus_id, text_hash=text_hash)
    first = same.filter(state=DocumentState.DUPLICATE).order_by("pk").first()
    if first is None or same.filter(chunk_count__gt=0).exists():
        return False
    queue(Document.objects.filter(pk=first.pk))
    return True


def hold(corpus_id: int) -> bool:
    """Lock the corpus's row until the commit; False where it is gone.

    Whatever writes several rows of a corpus does so first, and then no two wait for each other.
    """
    rows = Corpus.objects.select_for_update(no_key=True).filter(pk=corpus_id)
    return bool(rows.values_list("pk", flat=True))


def queue(documents: QuerySet[Document], **changes: object) -> int:
    """Let the next training read them, whatever it knows of them; how many.

    Args:
        changes: Other columns to set with it.
    """
    return documents.update(
        state=DocumentState.QUEUED,
        content_hash="",
        etag="",
        last_modified="",
        error="",
        trace_id="",
        **changes,
    )


def count(
    corpus_id: int,
    *,
    documents: int = 0,
    plus: index.Size | None = None,
    minus: index.Size | None = None,
) -> None:
    """Change the corpus's counters by what was written and deleted; BM25 reads them."""
    more, less = plus or index.Size(), minus or index.Size()
    Corpus.objects.filter(pk=corpus_id).update(
        document_count=F("document_count") + documents,
        chunk_count=F("chunk_count") + more.chunks - less.chunks,
        lexeme_count=F("lexeme_count") + more.lexemes - less.lexemes,
    )


def start_training(
    corpus: Corpus, *, actor: Actor, documents: Sequence[int] | None = None
) -> Operation:
    """Queue a training run: a worker fetches, extracts, splits, embeds and indexes its sources.

    Args:
        documents: Keys of those to read again, whether they changed or not; None: all sources.

    Raises:
        InvalidError: the corpus has no source, or none of these documents.
        ConflictError: it is being trained already.
    """
    if documents is not None:
        return _start_some(corpus, documents, actor=actor)
    total = corpus.sources.count() + corpus.uploads.count()
    if not total and not corpus.document_count:
        raise InvalidError(
            f"The corpus {corpus.name} has no source. Add a URL or a file, then train it.",
            code="corpus-empty",
        )
    return _start(corpus, actor=actor, total=total, is_of_some=False)


def is_of_some(training: Operation) -> bool:
    """Whether the training is about the documents that are queued, and leaves all others alone."""
    return bool(training.result.get("queued_only"))


def open_training(corpus: Corpus) -> Operation | None:
    """The training that is queued or running; None when there is none."""
    return _trainings(corpus).filter(ended_at__isnull=True).first()


def latest_training(corpus: Corpus) -> Operation | None:
    """The training that was started last; None before the first."""
    return _trainings(corpus).first()


def visible_corpus(name: str) -> Corpus:
    """The scope's corpus of this name.

    Raises:
        NotVisibleError: there is none.
    """
    corpus = Corpus.objects.select_related("tenant").filter(name=name).first()
    if corpus is None:
        raise NotVisibleError(f"No corpus named {name} is here. See the tenant's list of corpora.")
    return corpus


def source_counts(corpus: Corpus) -> dict[str, int]:
    """How many sources of each kind it has, and how many files."""
    counted = corpus.sources.order_by().values_list("kind").annotate(count=Count("pk"))
    return {**dict(counted), "upload": corpus.uploads.count()}


def mark_trained(corpus: Corpus) -> None:
    """A training run has come to its end."""
    Corpus.objects.filter(pk=corpus.pk).update(trained_at=timezone.now())


def _start_some(corpus: Corpus, documents: Sequence[int], *, actor: Actor) -> Operation:
    with transaction.atomic():
        hold(corpus.pk)
        total = queue(Document.objects.filter(corpus=corpus, pk__in=documents))
        if not total:
            raise InvalidError(
                f"The corpus {corpus.name} has none of these documents. See its list of documents.",
                code="documents-missing",
            )
        return _start(corpus, actor=actor, total=total, is_of_some=True)


def _start(corpus: Corpus, *, actor: Actor, total: int, is_of_some: bool) -> Operation:
    operation = operations.start_operation(
        corpus.tenant,
        OperationKind.TRAIN,
        f"Train {total} of {corpus.name}" if is_of_some else f"Train {corpus.name}",
        actor=actor,
        target_id=corpus.pk,
        total=total,
        unit="documents",
    )
    if is_of_some:
        operation.result = {"queued_only": True}
        operation.save(update_fields=["result"])
    return operation


def _trainings(corpus: Corpus) -> QuerySet[Operation]:
    return Operation.objects.filter(kind=OperationKind.TRAIN, target_id=corpus.pk)


def _wanted(urls: Sequence[str], sources: Sequence[Wanted]) -> list[Wanted]:
    """Each once, in order; a URL that is listed twice is what it was listed as last."""
    stripped = (url.strip() for url in urls)
    by_url = {url: Wanted(url) for url in stripped if url}
    by_url |= {source.url: source for source in sources}
    return list(by_url.values())


def _check(corpus: Corpus, given: set[str], fields: dict[str, list[str]]) -> None:
    """Refuse what the fields ``given`` cannot hold, and what was complained about already."""
    try:
        corpus.clean_fields(exclude={f.name for f in Corpus._meta.fields} - given)
    except ValidationError as error:
        fields |= error.message_dict
    if fields:
        raise InvalidError("The corpus has fields that cannot be taken.", fields=fields)


def _source_complaints(wanted: Sequence[Wanted]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for source in wanted:
        name = "urls" if source.kind == "page" else "sources"
        if complaint := _complaint(source):
            fields.setdefault(name, []).append(complaint)
    if len(wanted) > MOST_SOURCES:
        fields.setdefault("urls", []).append(f"At most {MOST_SOURCES} sources.")
    return fields


def _complaint(source: Wanted) -> str:
    """Why it is no source; empty if it is one."""
    for url in filter(None, (source.url, source.prefix)):
        try:
            Source._meta.get_field("url").clean(url, None)
        except ValidationError as error:
            return f"{url[:200]}: {' '.join(error.messages)}"
        if source.kind != "page" and not normalised(url):
            return f"{url[:200]}: Write it with a scheme and a host, without a user name."
    if source.prefix and _site(source.prefix) != _site(source.url):
        return f"{source.prefix[:200]}: A crawl stays on the site where it begins."
    if not 1 <= source.most_pages <= MOST_PAGES:
        return f"{source.url[:200]}: The number of pages is from 1 to {MOST_PAGES}."
    return ""


def _site(url: str) -> list[str]:
    """Scheme and host with port, as two URLs of one site have them alike."""
    return normalised(url).split("/")[:3]


def _set_sources(corpus: Corpus, wanted: Sequence[Wanted]) -> None:
    present = {source.url: source for source in corpus.sources.all()}
    corpus.sources.exclude(url__in=[source.url for source in wanted]).delete()
    Source.objects.bulk_create(
        Source(tenant_id=corpus.tenant_id, corpus=corpus, **asdict(source))
        for source in wanted
        if source.url not in present
    )
    for source in wanted:
        row = present.get(source.url)
        if row is not None and source != row.wanted:
            Source.objects.filter(pk=row.pk).update(**asdict(source), found_count=0, error="")
