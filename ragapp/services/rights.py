"""Who may read a document, and the labels that a search can be narrowed to."""

from collections.abc import Mapping, Sequence

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from ragapp.domain.reader import MOST_READERS, complaint
from ragapp.models import Document, Run
from tenants import audit
from tenants.domain.actor import Actor
from tenants.errors import InvalidError

MOST_LABELS = 20
LONGEST_LABEL = 100


def set_rights(
    document: Document, *, readers: Sequence[str], labels: Mapping[str, str], actor: Actor
) -> Document:
    """Replace the document's readers and labels; the next search and page follow them.

    So do earlier answers: those that rest on a document that is limited now are limited too.

    Args:
        readers: Principals, ``role:<role>`` and ``user:<name>``; none: all of the tenant.

    Raises:
        InvalidError: a reader or a label cannot be taken; ``fields`` says which.
    """
    wanted = sorted(set(readers))
    fields = {"readers": _reader_complaints(wanted), "labels": _label_complaints(labels)}
    if any(fields.values()):
        raise InvalidError(
            "The document's readers or labels cannot be taken.",
            fields={name: complaints for name, complaints in fields.items() if complaints},
        )
    with transaction.atomic():
        document.readers, document.labels = wanted, dict(sorted(labels.items()))
        document.save(update_fields=["readers", "labels"])
        if wanted:
            _limit_runs(document)
        audit.record(actor, "document.rights-changed", document)
    return document


def may_be_limited(run: Run) -> bool:
    """Whether the run may tell of a document that not all of its tenant may read.

    One may be where it looks, or have been where its conversation looked before: what was said
    there goes into its question.
    """
    limited = Document.objects.filter(tenant=run.tenant_id).exclude(readers=[])
    # What a client says was said before may come from any corpus.
    if run.corpus_id is not None and not run.earlier:
        limited = limited.filter(corpus=run.corpus_id)
    if limited.exists():
        return True
    before = Run.objects.filter(conversation=run.conversation_id, is_limited=True)
    if run.pk is not None:
        before = before.filter(pk__lt=run.pk)
    return run.conversation_id is not None and before.exists()


def limit_again(run: Run) -> None:
    """Limit the run if it may be limited by now.

    A transaction that limits a document does not see a run that is being asked meanwhile, nor does
    the asker see the limit: whoever is second has to look again.
    """
    if not run.is_limited and may_be_limited(run):
        run.is_limited = True
        Run.objects.filter(pk=run.pk).update(is_limited=True)


def _limit_runs(document: Document) -> None:
    """Show earlier answers on the document only to their askers and who may read it all.

    Those that read or found it, those that do not say what they rest on, and what came after them
    in their conversations.
    """
    read = Q(citations__contains=[{"document_id": document.pk}])
    found = Q(entries__contains=[{"hits": [{"document_id": document.pk}]}])
    # Hits of runs before Hit.document_id have the address alone.
    found |= Q(entries__contains=[{"source": "local", "hits": [{"url": document.url}]}])
    searched = Q(corpus=document.corpus_id) | Q(corpus=None)
    # Of one that is open, stopped or failed only the text is there.
    unsaid = (searched & Q(end="")) | ~Q(earlier=[])
    opened = Run.objects.filter(is_limited=False)
    opened.filter(read | found | unsaid).update(is_limited=True)
    before = Run.objects.filter(
        conversation=OuterRef("conversation"), pk__lt=OuterRef("pk"), is_limited=True
    )
    opened.filter(Exists(before)).update(is_limited=True)


def _reader_complaints(readers: Sequence[str]) -> list[str]:
    complaints = [found for reader in readers if (found := complaint(reader))]
    if len(readers) > MOST_READERS:
        complaints.append(f"At most {MOST_READERS} readers.")
    return complaints


def _label_complaints(labels: Mapping[str, str]) -> list[str]:
    complaints = [
        f"The label {key[:40]!r} is empty, longer than {LONGEST_LABEL} characters or has a NUL."
        for key, value in labels.items()
        if not key.strip() or "\0" in key + value or max(len(key), len(value)) > LONGEST_LABEL
    ]
    if len(labels) > MOST_LABELS:
        complaints.append(f"At most {MOST_LABELS} labels.")
    return complaints
