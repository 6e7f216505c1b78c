"""Rows and columns as text: Markdown tables, and CSV as one line for each record."""

import csv
import io
from collections.abc import Sequence

from ragapp.domain.document import Document
from ragapp.extract.formats.plain import clean, decode
from ragapp.extract.formats.refusal import RefusedError

_SAMPLE_CHARACTERS = 8192
_DELIMITERS = ",;\t|"


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first row is its head; empty without any text."""
    lines = [[_cell(cell) for cell in row] for row in rows]
    if not any(any(row) for row in lines):
        return ""
    head, *body = [f"| {' | '.join(row)} |" for row in lines]
    rule = f"|{'---|' * len(lines[0])}"
    return "\n".join([head, rule, *body])


def extract_csv(content: bytes, charset: str) -> Document:
    """One paragraph for each record, with each value under its column's name.

    So every record says by itself what its values are, wherever the text is cut.

    Raises:
        RefusedError: A field is not closed or is larger than any table's.
    """
    text = clean(decode(content, charset))
    try:
        dialect = csv.Sniffer().sniff(text[:_SAMPLE_CHARACTERS], delimiters=_DELIMITERS)
    except csv.Error:
        dialect = csv.excel
    try:
        rows = list(csv.reader(io.StringIO(text), dialect, strict=True))
    except csv.Error as error:
        raise RefusedError("broken", f"The table is broken: {error}.") from error
    if not rows:
        return Document("", "")
    head = [_cell(name) for name in rows[0]]
    records = [_record(head, row) for row in rows[1:]] or [" | ".join(head)]
    return Document(clean("\n\n".join(filter(None, records))), "")


def _record(head: Sequence[str], row: Sequence[str]) -> str:
    names = [name or f"column {number}" for number, name in enumerate(head, start=1)]
    names += [f"column {number + 1}" for number in range(len(head), len(row))]
    values = zip(names, map(_cell, row), strict=False)
    return "; ".join(f"{name}: {value}" for name, value in values if value)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
