"""Word files (.docx) as Markdown: headings, lists, tables; hidden text is kept apart."""

from typing import Any

from ragapp.domain.document import Document
from ragapp.extract.formats.grid import as_table
from ragapp.extract.formats.markdown import structured
from ragapp.extract.formats.package import open_package
from ragapp.extract.formats.plain import clean

DEEPEST = 6


def extract_word(content: bytes, charset: str) -> Document:
    """Paragraphs and tables in the order of the text.

    Raises:
        RefusedError: As ``open_package``.
    """
    import docx  # noqa: PLC0415 - slow import

    stream = open_package(content)
    file = docx.Document(stream)
    hidden: list[str] = []
    blocks = [_block(item, hidden) for item in file.iter_inner_content()]
    text = clean("\n\n".join(filter(None, blocks)))
    title = clean(file.core_properties.title or "")
    return structured(text, title=title, hidden=clean("\n".join(hidden)))


def _block(item: Any, hidden: list[str]) -> str:  # Any: python-docx has no common base.
    if hasattr(item, "rows"):
        return as_table([[cell.text for cell in row.cells] for row in item.rows])
    text = _visible(item, hidden).strip()
    if not text:
        return ""
    style = (item.style.name if item.style is not None else "") or ""
    if style == "Title":
        return f"# {_line(text)}"
    if style.startswith("Heading") and style.split()[-1].isdigit():
        return f"{'#' * min(int(style.split()[-1]), DEEPEST)} {_line(text)}"
    return f"- {text}" if style.startswith("List") else text


def _visible(paragraph: Any, hidden: list[str]) -> str:  # Any: as above.
    """The paragraph's text as a reader sees it; what is formatted as hidden goes to ``hidden``."""
    shown: list[str] = []
    for item in paragraph.iter_inner_content():
        runs = item.runs if hasattr(item, "runs") else [item]
        for run in runs:
            (hidden if run.font.hidden else shown).append(run.text)
    return "".join(shown)


def _line(text: str) -> str:
    return " ".join(text.split())
