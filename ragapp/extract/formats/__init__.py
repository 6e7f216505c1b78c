"""One extractor per content type; a new format is one module and one line here."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.message import Message
from urllib.parse import unquote, urlsplit

from ragapp.domain.document import Document
from ragapp.extract.formats import sniff
from ragapp.extract.formats.grid import extract_csv
from ragapp.extract.formats.html import extract_html
from ragapp.extract.formats.markdown import extract_markdown
from ragapp.extract.formats.plain import clean, cut_title, extract_plain

# Bytes and the declared character set (may be empty) to a document.
Extractor = Callable[[bytes, str], Document]


def _later(name: str) -> Extractor:
    """The extractor of an office format, whose library is imported when a document needs it.

    Each document is read in a fork, which costs by the memory that its parent has touched.
    """

    def extract(content: bytes, charset: str) -> Document:
        module = importlib.import_module(f"{__name__}.{name}")
        extractor: Extractor = getattr(module, f"extract_{name}")
        return extractor(content, charset)

    return extract


EXTRACTOR_BY_TYPE: Mapping[str, Extractor] = {
    "application/pdf": _later("pdf"),
    sniff.SLIDES: _later("slides"),
    sniff.WORD: _later("word"),
    "application/xhtml+xml": extract_html,
    "text/csv": extract_csv,
    "text/html": extract_html,
    "text/markdown": extract_markdown,
    "text/plain": extract_plain,
    "text/x-markdown": extract_markdown,
}

# Servers declare these for files that they do not know; then the name's ending decides.
VAGUE_TYPES = frozenset(
    {"", "application/octet-stream", "application/vnd.ms-excel", "application/zip", "text/plain"}
)
TYPE_BY_ENDING: Mapping[str, str] = {
    "csv": "text/csv",
    "docx": sniff.WORD,
    "htm": "text/html",
    "html": "text/html",
    "markdown": "text/markdown",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "pptx": sniff.SLIDES,
    "txt": "text/plain",
}


def load_office() -> None:
    """Import now what office formats need."""
    for name in ("pdf", "slides", "word"):
        importlib.import_module(f"{__name__}.{name}")


class UnsupportedTypeError(Exception):
    """No extractor reads this type."""


class EmptyTextError(Exception):
    """The document is readable and says nothing."""


def read(content: bytes, content_type: str, url: str) -> Document:
    """The document in ``content``; a missing title is taken from the first heading or the URL.

    Raises:
        UnsupportedTypeError: The type is not in ``EXTRACTOR_BY_TYPE``.
        RefusedError: The file is encrypted, broken, too large or not what it says it is.
        EmptyTextError: No text was found.
    """
    declared = Message()
    declared["content-type"] = content_type
    name = urlsplit(url).path.rstrip("/").rpartition("/")[2]
    kind = _kind(content, declared.get_content_type() if content_type else "", name)
    extractor = EXTRACTOR_BY_TYPE.get(kind)
    if extractor is None:
        raise UnsupportedTypeError(kind or "unknown")
    document = extractor(content, declared.get_content_charset() or "")
    if not document.text.strip():
        raise EmptyTextError
    first = document.headings[0].title if document.headings else ""
    # Headings are clean; a page's title and a URL may hold what no database takes.
    title = clean(document.title or first or unquote(name))
    return replace(document, title=cut_title(" ".join(title.split())))


def _kind(content: bytes, declared: str, name: str) -> str:
    """What the bytes show, else what was declared, else what the name's ending says.

    Raises:
        RefusedError: The bytes are of no kind that the declared type could mean.
    """
    if shown := sniff.shown(content):
        return shown
    ending = name.rpartition(".")[2].lower()
    kind = TYPE_BY_ENDING.get(ending, declared) if declared in VAGUE_TYPES else declared
    sniff.check(content, kind)
    return kind
