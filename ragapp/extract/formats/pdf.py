"""PDF files: the text of each page, so that a citation names its page. No OCR."""

import re

from ragapp.domain.document import Document, Page
from ragapp.extract.formats.plain import clean
from ragapp.extract.formats.refusal import RefusedError

MOST_PAGES = 5_000
# A word that a line's end cut in two; a real hyphen before a capital or a digit stays.
_CUT_WORD = re.compile(r"(?<=[^\W\d_])-\n(?=[a-z\u00df-\u00ff])")


def extract_pdf(content: bytes, charset: str) -> Document:
    """The pages' text in order, one blank line between them.

    Raises:
        RefusedError: The file has a password, is broken, has too many pages or no text at all.
    """
    import pypdfium2  # noqa: PLC0415 - slow import

    try:
        file = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        raise _refused(error) from error
    if len(file) > MOST_PAGES:
        raise RefusedError(
            "too-large", f"The PDF has {len(file):,} pages; at most {MOST_PAGES:,} are read."
        )
    texts = [_page_text(file, number) for number in range(len(file))]
    if not any(texts):
        raise RefusedError(
            "empty",
            "The PDF holds pictures of pages and no text. Have it read by OCR first, then add it.",
        )
    return _joined(texts, title=_title(file))


def _page_text(file: "object", number: int) -> str:
    """One page's text; a page that is broken is empty, and the others are read."""
    import pypdfium2  # noqa: PLC0415 - slow import

    try:
        page = file[number]  # type: ignore[index]  # pypdfium2 ships no types.
        text = page.get_textpage().get_text_bounded()
    except pypdfium2.PdfiumError:
        return ""
    # PDFium marks a hyphen at a line's end with U+FFFE or U+0002.
    even = re.sub("[\ufffe\x02]\r?\n?", "-\n", text)
    return _CUT_WORD.sub("", clean(even))


def _joined(texts: list[str], *, title: str) -> Document:
    pages, start = [], 0
    for number, text in enumerate(texts, start=1):
        if text:
            pages.append(Page(number, start))
            start += len(text) + 2
    return Document("\n\n".join(filter(None, texts)), title, pages=tuple(pages))


def _title(file: "object") -> str:
    return clean(str(file.get_metadata_value("Title") or ""))  # type: ignore[attr-defined]  # as above


def _refused(error: Exception) -> RefusedError:
    if "password" in str(error).lower():
        return RefusedError("encrypted", "The PDF has a password. Save it without one and add it.")
    return RefusedError("broken", "The PDF is broken: its reader finds no pages. Save it anew.")
