"""A passage as people read it: Markdown's marks become headings, lists, tables and code.

For the eye only. What is searched and cited is the text as it stands, so nothing here is stored.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

Kind = Literal["heading", "item", "table", "code", "text"]
_FENCE = re.compile(r"\s*(?:```|~~~)")
# Each reads a line once, however long it is and whatever its author put there to be tried again.
_HEADING = re.compile(r"\s{0,3}#{1,6}\s+(.*)\Z")
_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])\s+(.*)\Z")
_RULE = re.compile(r"[\s:|-]*\Z")
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\([^()\s]*\)")
_STRONG = re.compile(r"(\*\*|__)(?=\S)([^\n]{1,500}?)(?<=\S)\1")
_EMPHASIS = re.compile(r"(?<![\w*])([*_])(?=[^\s*_])([^*_\n]+?)(?<=\S)\1(?![\w*])")


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of one kind; lines are joined by newlines."""

    kind: Kind
    text: str


def blocks(text: str) -> list[Block]:
    """The text in blocks, without the marks of its markup."""
    found = []
    # Paragraphs end at a blank line; of the other kinds each line stands for itself.
    for kind, lines in groupby(_lines(text), key=lambda line: line.kind):
        joined = "\n".join(line.text for line in lines).strip("\n")
        if kind == "text":
            paragraphs = re.split(r"\n\s*\n", joined)
            found += [Block(kind, part.strip()) for part in paragraphs if part.strip()]
        elif kind in {"heading", "item"}:
            found += [Block(kind, part) for part in joined.split("\n") if part]
        elif joined:
            found.append(Block(kind, joined))
    return found


def _lines(text: str) -> Iterator[Block]:
    in_code = False
    for line in text.split("\n"):
        if _FENCE.match(line):
            in_code = not in_code
        elif in_code:
            yield Block("code", line)
        elif heading := _HEADING.match(line):
            yield Block("heading", _plain(heading[1].rstrip().rstrip("#").rstrip()))
        elif line.lstrip().startswith("|"):
            if not _is_rule(line):
                yield Block("table", _plain(line.strip().strip("|").strip().replace("|", "  ·  ")))
        elif item := _ITEM.match(line):
            yield Block("item", _plain(item[1]))
        elif not _is_rule(line):
            yield Block("text", _plain(line))


def _is_rule(line: str) -> bool:
    """Whether the line only parts what stands above it from what follows."""
    return "---" in line and _RULE.match(line) is not None


def _plain(line: str) -> str:
    """The line without marks of emphasis, and links as their words."""
    line = _LINK.sub(r"\1", line)
    line = _STRONG.sub(r"\2", line)
    return re.sub(r"\s{3,}", "  ", _EMPHASIS.sub(r"\2", line)).replace("`", "")
