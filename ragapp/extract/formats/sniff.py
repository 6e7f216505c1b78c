"""What a file's own bytes say it is: servers and names are often wrong, and sometimes lie."""

import io
import zipfile

from ragapp.extract.formats.package import OLE_MAGIC
from ragapp.extract.formats.refusal import RefusedError

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SLIDES = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
PDF = "application/pdf"

# Some writers put a few bytes before the mark; readers look this far (ISO 32000, annex H).
_PDF_HEAD_BYTES = 1024
_PACKAGES = frozenset({WORD, SLIDES})
_TEXT_HEAD_BYTES = 4096
# UTF-16 without its mark has a zero in every second byte, and is then declared.
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
_MOST_ZEROS = 0.05
_LEAST_BYTES = 64
_HTML_STARTS = (b"<!doctype html", b"<html")


def shown(content: bytes) -> str:
    """The type that the bytes show beyond doubt; empty where they show none."""
    if b"%PDF-" in content[:_PDF_HEAD_BYTES]:
        return PDF
    if content.startswith(b"PK\x03\x04"):
        return _package(content)
    if content[:_LEAST_BYTES].lstrip().lower().startswith(_HTML_STARTS):
        return "text/html"
    return ""


def check(content: bytes, kind: str) -> None:
    """Return if the bytes may be of this type.

    Raises:
        RefusedError: They may not.
    """
    if kind == PDF or (kind in _PACKAGES and not content.startswith((b"PK", OLE_MAGIC))):
        raise RefusedError(
            "mislabelled",
            f"The file says that it is {kind}, and its content is something else. Save it anew.",
        )
    if kind.startswith("text/") and _is_binary(content):
        raise RefusedError(
            "mislabelled", "The file says that it is text, and its content is binary."
        )


def _package(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            names = package.namelist()
    except (zipfile.BadZipFile, EOFError, ValueError):
        return ""
    if "word/document.xml" in names:
        return WORD
    return SLIDES if "ppt/presentation.xml" in names else ""


def _is_binary(content: bytes) -> bool:
    head = content[:_TEXT_HEAD_BYTES]
    if len(head) < _LEAST_BYTES or head.startswith(_WIDE_MARKS):
        return False
    return head.count(0) / len(head) > _MOST_ZEROS
