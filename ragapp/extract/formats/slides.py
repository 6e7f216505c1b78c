"""Slides (.pptx): each slide is a page with its title, its texts, its tables and its notes."""

from collections.abc import Iterator
from typing import Any

from ragapp.domain.document import Document, Page
from ragapp.extract.formats.grid import as_table
from ragapp.extract.formats.markdown import structured
from ragapp.extract.formats.package import open_package
from ragapp.extract.formats.plain import clean

# Groups in groups; deeper ones are somebody's trap.
DEEPEST_GROUP = 8


def extract_slides(content: bytes, charset: str) -> Document:
    """The slides in order; the page of a passage is its slide's number.

    Raises:
        RefusedError: As ``open_package``.
    """
    import pptx  # noqa: PLC0415 - slow import

    file = pptx.Presentation(open_package(content))
    texts, pages, start = [], [], 0
    for number, slide in enumerate(file.slides, start=1):
        text = clean("\n\n".join(filter(None, _parts(slide))))
        if text:
            texts.append(text)
            pages.append(Page(number, start))
            start += len(text) + 2
    title = clean(file.core_properties.title or "")
    # PowerPoint's own name for a file that nobody named.
    known = "" if title == "PowerPoint Presentation" else title
    return structured("\n\n".join(texts), title=known, pages=tuple(pages))


def _parts(slide: Any) -> Iterator[str]:  # Any: python-pptx ships no types.
    heading = slide.shapes.title
    if heading is not None and heading.text_frame.text.strip():
        yield f"# {' '.join(heading.text_frame.text.split())}"
    for shape in _shapes(slide.shapes):
        if heading is not None and shape.shape_id == heading.shape_id:
            continue
        if shape.has_text_frame:
            yield "\n".join(_paragraphs(shape.text_frame))
        elif getattr(shape, "has_table", False):
            yield as_table([[cell.text for cell in row.cells] for row in shape.table.rows])
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text.strip()
        yield f"Notes: {notes}" if notes else ""


def _shapes(shapes: Any, depth: int = 0) -> Iterator[Any]:  # Any: as above.
    for shape in shapes:
        if hasattr(shape, "shapes"):
            if depth < DEEPEST_GROUP:
                yield from _shapes(shape.shapes, depth + 1)
        else:
            yield shape


def _paragraphs(frame: Any) -> Iterator[str]:  # Any: as above.
    for paragraph in frame.paragraphs:
        text = "".join(run.text for run in paragraph.runs).strip()
        if text:
            yield f"{'  ' * paragraph.level}- {text}" if paragraph.level else text
