"""Markdown: the text stays as written; its headings are found and its hidden parts dropped."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from operator import itemgetter

from ragapp.domain.document import Document, Heading, Page
from ragapp.extract.formats.plain import clean, cut_title, decode

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:\s*(.+)$", re.MULTILINE)
_QUOTED = re.compile(r"[\"']?(.+?)[\"']?")
# A line that begins or ends fenced code, and what follows its mark.
_FENCE_LINE = re.compile(r"^[ \t]*(```|~~~)(.*)$", re.MULTILINE)
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+)$", re.MULTILINE)
_MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|[*_`]{1,3}")
# Of a heading's line that is searched for markup: with its links it is longer than the title.
_MOST_HEADING = 5000


def extract_markdown(content: bytes, charset: str) -> Document:
    """Markdown with its headings; the title is the front matter's or the first heading's."""
    text = clean(decode(content, charset))
    front = _FRONT_MATTER.match(text + "\n")
    body = text[front.end() :] if front else text
    shown, comments = _without_comments(body)
    title = _FRONT_TITLE.search(front[1]) if front else None
    return structured(shown, title=_unquoted(title[1]) if title else "", hidden=comments)


def structured(
    text: str, *, title: str, pages: tuple[Page, ...] = (), hidden: str = ""
) -> Document:
    """The Markdown ``text`` with its headings; those inside fenced code are none."""
    fences = list(_fences(text))
    headings = tuple(
        Heading(level=len(match[1]), title=_title(match[2]), start=match.start())
        for match in _HEADING.finditer(text)
        if not _is_within(fences, match.start())
    )
    outermost = next((heading.title for heading in headings if heading.level == 1), "")
    return Document(text, title or outermost, headings, pages, hidden)


def _without_comments(text: str) -> tuple[str, str]:
    """The text that is shown, and what its comments say.

    Of many comments that nothing closes, an expression would read the rest of the text for each.
    """
    shown, said, position = [], [], 0
    while (begin := text.find("<!--", position)) >= 0:
        end = text.find("-->", begin + 4)
        if end < 0:
            break
        shown.append(text[position:begin])
        said.append(text[begin + 4 : end].strip())
        position = end + 3
    return "".join([*shown, text[position:]]).strip(), "\n".join(said)


def _unquoted(title: str) -> str:
    match = _QUOTED.fullmatch(title.strip())
    return match[1] if match else ""


def _fences(text: str) -> Iterator[tuple[int, int]]:
    """Where fenced code begins and ends; a mark that nothing closes begins none."""
    lines = list(_FENCE_LINE.finditer(text))
    ends = {
        mark: [line.span() for line in lines if line[1] == mark and not line[2].strip(" \t")]
        for mark in ("```", "~~~")
    }
    position = 0
    for line in lines:
        closing = ends[line[1]]
        at = bisect_right(closing, line.start(), key=itemgetter(0))
        if line.start() >= position and at < len(closing):
            position = closing[at][1]
            yield line.start(), position


def _is_within(spans: list[tuple[int, int]], offset: int) -> bool:
    """Whether one of the spans, which are in order and apart, holds the offset."""
    at = bisect_right(spans, offset, key=itemgetter(0))
    return at > 0 and offset < spans[at - 1][1]


def _title(line: str) -> str:
    """The words of a heading's line, without markup and the marks that may close it."""
    written = line[:_MOST_HEADING]
    bare = written.rstrip("#").rstrip(" \t") or written[:1]
    return cut_title(_MARKUP.sub(r"\1", bare).strip())
