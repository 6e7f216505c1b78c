"""Real files in the formats that people hand over, made by other programs' libraries."""

import io
import zipfile
from collections.abc import Sequence

import docx
import pptx
from pptx.util import Inches
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas


def pdf(pages: Sequence[Sequence[str]], *, title: str = "", password: str = "") -> bytes:
    """A PDF with the given lines on each page."""
    stream = io.BytesIO()
    lock = StandardEncryption(password) if password else None
    canvas = Canvas(stream, encrypt=lock)
    canvas.setTitle(title)
    for lines in pages:
        for number, line in enumerate(lines):
            canvas.drawString(72, 760 - 16 * number, line)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def word(*, title: str = "", hidden: str = "") -> bytes:
    """A Word file with two headings, a list, a table and, if given, hidden text."""
    file = docx.Document()
    file.core_properties.title = title
    file.add_heading("Egress guide", level=1)
    file.add_paragraph("Every tenant leaves the cluster by its own SNAT pool.")
    file.add_heading("Pools", level=2)
    file.add_paragraph("One address offers 64,000 ports.", style="List Bullet")
    table = file.add_table(rows=2, cols=2)
    for row, values in zip(table.rows, (("Pool", "Size"), ("edge", "4")), strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    if hidden:
        paragraph = file.add_paragraph("Visible. ")
        paragraph.add_run(hidden).font.hidden = True
    return _saved(file)


def slides() -> bytes:
    """Two slides, the second with a table and notes."""
    file = pptx.Presentation()
    first = file.slides.add_slide(file.slide_layouts[1])
    first.shapes.title.text = "Front door"
    first.placeholders[1].text = "Default is deny."
    second = file.slides.add_slide(file.slide_layouts[5])
    second.shapes.title.text = "Addresses"
    frame = second.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    for place, value in {
        (0, 0): "Name",
        (0, 1): "Address",
        (1, 0): "web",
        (1, 1): "10.0.0.7",
    }.items():
        frame.cell(*place).text = value
    second.notes_slide.notes_text_frame.text = "Say who owns it."
    return _saved(file)


def package(parts: dict[str, bytes]) -> bytes:
    """A ZIP package of these parts."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    return stream.getvalue()


def _saved(file) -> bytes:
    stream = io.BytesIO()
    file.save(stream)
    return stream.getvalue()
