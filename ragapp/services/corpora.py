"""Corpora: what a tenant's agent may read, and the start of its training."""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from ragapp.domain.fuse import DENSE_WEIGHT
from ragapp.models import Corpus, Document, Source
from ragapp.services import index
from tenants import audit
from tenants.domain.actor import Actor
from tenants.errors import ConflictError, InvalidError, NotVisibleError
from tenants.models.operation import Operation, OperationKind
from tenants.models.tenant import Tenant
from tenants.services import operations

MOST_SOURCES = 10_000
_GIVEN = {"name", "description", "dense_weight"}


def save_corpus(
    tenant: Tenant,
    *,
    name: str,
    urls: Sequence[str],
    actor: Actor,
    description: str = "",
    dense_weight: float = DENSE_WEIGHT,
    corpus: Corpus | None = None,
) -> Corpus:
    """Make a corpus, or change ``corpus``; what changed in its sources shows at the next training.

    Args:
        urls: All of its sources, each fetched through the tenant's egress.

    Raises:
        InvalidError: a field cannot be taken; ``fields`` says which.
        ConflictError: the tenant has another corpus of this name.
    """
    is_new = corpus is None
    row = corpus or Corpus(tenant=tenant)
    row.name, row.description, row.dense_weight = name, description, dense_weight
    wanted = list(dict.fromkeys(url.strip() for url in urls if url.strip()))
    _check(row, wanted)
    try:
        with transaction.atomic():
            # The counters are training's: an instance that was read earlier must not undo them.
            row.save(update_fields=None if is_new else sorted(_GIVEN))
    except IntegrityError as error:
        raise ConflictError(
            f"The tenant {tenant.slug} already has a corpus named {name}. Choose another name.",
            code="corpus-exists",
        ) from error
    _set_sources(row, wanted)
    audit.record(actor, "corpus.created" if is_new else "corpus.changed", row)
    return row


def delete_corpus(corpus: Corpus, *, actor: Actor) -> None:
    """Delete the corpus with its documents; nothing of them can be retrieved any more.

    Raises:
        ConflictError: it is being trained.
    """
    if open_training(corpus) is not None:
        raise ConflictError(
            f"The corpus {corpus.name} is being trained. Cancel that operation first.",
            code="corpus-in-training",
        )
    with transaction.atomic():
        index.delete_corpus(corpus.tenant_id, corpus.pk)
        audit.record(actor, "corpus.deleted", corpus)
        corpus.delete()


def delete_document(document: Document, *, actor: Actor) -> None:
    """Delete the document and its source: nothing of it can be retrieved or cited any more."""
    with transaction.atomic():
        Source.objects.filter(corpus_id=document.corpus_id, url=document.url).delete()
        audit.record(actor, "document.deleted", document)
        remove_document(document)


def remove_document(document: Document) -> None:
    """Take the document and its chunks out, and its share out of the corpus's counters."""
    with transaction.atomic():
        count(document.corpus_id, documents=-1, minus=index.delete(document))
        document.delete()


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


def start_training(corpus: Corpus, *, actor: Actor) -> Operation:
    """Queue a training run: a worker fetches, extracts, splits, embeds and indexes its sources.

    Raises:
        InvalidError: the corpus has no source.
        ConflictError: it is being trained already.
    """
    total = corpus.sources.count()
    if not total and not corpus.document_count:
        raise InvalidError(
            f"The corpus {corpus.name} has no source. Add at least one URL, then train it.",
            code="corpus-empty",
        )
    return operations.start_operation(
        corpus.tenant,
        OperationKind.TRAIN,
        f"Train {corpus.name}",
        actor=actor,
        target_id=corpus.pk,
        total=total,
        unit="documents",
    )


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


def mark_trained(corpus: Corpus) -> None:
    """A training run has come to its end."""
    Corpus.objects.filter(pk=corpus.pk).update(trained_at=timezone.now())


def _trainings(corpus: Corpus) -> QuerySet[Operation]:
    return Operation.objects.filter(kind=OperationKind.TRAIN, target_id=corpus.pk)


def _check(corpus: Corpus, urls: Sequence[str]) -> None:
    fields: dict[str, list[str]] = {}
    try:
        corpus.clean_fields(exclude={f.name for f in Corpus._meta.fields} - _GIVEN)
    except ValidationError as error:
        fields |= error.message_dict
    complaints = [complaint for url in urls if (complaint := _complaint(url))]
    if len(urls) > MOST_SOURCES:
        complaints.append(f"At most {MOST_SOURCES} sources.")
    if complaints:
        fields["urls"] = complaints
    if fields:
        raise InvalidError("The corpus has fields that cannot be taken.", fields=fields)


def _complaint(url: str) -> str:
    """Why ``url`` is no source; empty if it is one."""
    try:
        Source._meta.get_field("url").clean(url, None)
    except ValidationError as error:
        return f"{url[:200]}: {' '.join(error.messages)}"
    return ""


def _set_sources(corpus: Corpus, wanted: Sequence[str]) -> None:
    present = set(corpus.sources.values_list("url", flat=True))
    corpus.sources.exclude(url__in=wanted).delete()
    Source.objects.bulk_create(
        Source(tenant_id=corpus.tenant_id, corpus=corpus, url=url)
        for url in wanted
        if url not in present
    )
