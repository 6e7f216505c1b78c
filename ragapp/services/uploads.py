"""Files that people hand over: kept whole in their row, read at the next training."""

import hashlib
from typing import Protocol

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from ragapp.domain.file_name import kept_name
from ragapp.models import Corpus, Document, DocumentState, Upload
from ragapp.services import corpora, limits
from tenants import audit
from tenants.domain.actor import Actor
from tenants.errors import InvalidError, NotVisibleError

MOST_UPLOADS = 10_000


class File(Protocol):
    """A file on its way in; Django keeps a large one on disk."""

    name: str | None
    size: int | None
    content_type: str | None

    def read(self) -> bytes:
        """All of it."""


def save_upload(corpus: Corpus, file: File, *, actor: Actor) -> Upload:
    """Keep the file as one of the corpus's documents; one of the same name is replaced.

    What an earlier training read of the same name stays in use until the next one.

    Raises:
        InvalidError: it is empty or too large, or nothing is left of its name.
        QuotaError: the tenant may keep no more bytes.
    """
    name = kept_name(file.name or "")
    size = file.size or 0
    if complaint := _complaint(name, size):
        raise InvalidError(complaint, fields={"file": [complaint]})
    content = file.read()
    with transaction.atomic():
        # One after the other: the replaced file's bytes are given back exactly once.
        if not corpora.hold(corpus.pk):
            raise NotVisibleError(f"The corpus {corpus.name} was deleted meanwhile.")
        known = Upload.objects.filter(corpus=corpus, name=name).defer("content").first()
        if known is None and corpus.uploads.count() >= MOST_UPLOADS:
            raise InvalidError(f"The corpus {corpus.name} has {MOST_UPLOADS} files; delete some.")
        more = size - (known.size_bytes if known else 0)
        if more > 0:
            limits.admit_bytes(corpus.tenant, more)
        upload = known or Upload(tenant_id=corpus.tenant_id, corpus=corpus, name=name)
        upload.content = content
        upload.content_type = (file.content_type or "")[:100]
        upload.content_hash = hashlib.sha256(content).hexdigest()
        upload.size_bytes = size
        upload.uploaded_by = actor.name[:150]
        upload.save()
        _queue(upload)
        audit.record(actor, "upload.replaced" if known else "upload.added", upload)
    return upload


def delete_upload(upload: Upload, *, actor: Actor) -> None:
    """Delete the file and its document: nothing of it can be retrieved or cited any more."""
    with transaction.atomic():
        corpora.hold(upload.corpus_id)
        document = Document.objects.filter(corpus_id=upload.corpus_id, url=upload.url).first()
        if document is None:
            audit.record(actor, "upload.deleted", upload)
            upload.delete()
        else:
            corpora.delete_document(document, actor=actor)


def visible_upload(corpus: Corpus, pk: int) -> Upload:
    """The corpus's file with this id, without its content.

    Raises:
        NotVisibleError: there is none.
    """
    upload = listed(corpus).filter(pk=pk).first()
    if upload is None:
        raise NotVisibleError(f"The corpus {corpus.name} has no file {pk}. List its files.")
    return upload


def original(document: Document) -> Upload:
    """The file that the document was read of, with its content.

    Raises:
        NotVisibleError: it was fetched, or the file is gone.
    """
    name = document.url.removeprefix("upload:")
    upload = Upload.objects.filter(corpus_id=document.corpus_id, name=name).first()
    if upload is None or upload.url != document.url:
        raise NotVisibleError(f"{document} is no file that somebody handed over. Open its URL.")
    return upload


def listed(corpus: Corpus) -> QuerySet[Upload]:
    """The corpus's files, without their contents."""
    return Upload.objects.filter(corpus=corpus).defer("content")


def _complaint(name: str, size: int) -> str:
    if not name:
        return "The file has no name that can be shown. Rename it."
    if not size:
        return f"{name} is empty."
    if size > settings.UPLOAD_BYTES:
        return f"{name} has {size} bytes; a file has at most {settings.UPLOAD_BYTES}."
    return ""


def _queue(upload: Upload) -> None:
    """Show the file among the documents at once, to be read at the next training."""
    document = Document.objects.filter(corpus_id=upload.corpus_id, url=upload.url).first()
    if document is not None:
        document.state, document.error = DocumentState.QUEUED, ""
        document.save(update_fields=["state", "error"])
        return
    Document.objects.create(
        tenant_id=upload.tenant_id,
        corpus_id=upload.corpus_id,
        url=upload.url,
        title=upload.name[:500],
        content_type=upload.content_type,
        size_bytes=upload.size_bytes,
        state=DocumentState.QUEUED,
    )
    corpora.count(upload.corpus_id, documents=1)
