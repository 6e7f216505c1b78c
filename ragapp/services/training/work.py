"""What travels between the stages of a training."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ragapp.domain.chunk import Chunk
from ragapp.domain.document import Document as Extracted
from ragapp.models import DocumentState

# Documents of these states stay what they are while it is looked whether they changed.
IN_USE = frozenset({DocumentState.READY.value, DocumentState.DUPLICATE.value})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A document that is to be read.

    Attributes:
        content_hash: Of what is in use as it is; empty where it must be read anew.
        has_chunks: Whether something of it is in retrieval, whose vectors may serve again.
        upload: The file, where it was handed over.
    """

    pk: int
    url: str
    content_hash: str = ""
    etag: str = ""
    last_modified: str = ""
    has_chunks: bool = False
    content_type: str = ""
    upload: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Read:
    """A document that was fetched, extracted and split."""

    text: Extracted
    chunks: tuple[Chunk, ...]
    content_type: str
    content_hash: str
    text_hash: str
    size_bytes: int
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A document that is as it was at the last training."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a document cannot be read, and what to do."""

    error: str


Outcome = Read | Unchanged | Unreadable


def is_own(wanted: Wanted, read: Read, first_by_text: Mapping[str, int]) -> bool:
    """Whether no other document has the text in retrieval."""
    return first_by_text.get(read.text_hash, wanted.pk) == wanted.pk
