"""Markdown: the text stays as written; its headings are found and its hidden parts dropped."""

import re

from ragapp.domain.document import Document, Heading, Page
from ragapp.extract.formats.plain import clean, decode

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:\s*[\"']?(.+?)[\"']?\s*$", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*(```|~~~).*?^[ \t]*\1[ \t]*$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t]*#*$", re.MULTILINE)
_MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|[*_`]{1,3}")


def extract_markdown(content: bytes, charset: str) -> Document:
    """Markdown with its headings; the title is the front matter's or the first heading's."""
    text = clean(decode(content, charset))
    front = _FRONT_MATTER.match(text + "\n")
    title = _FRONT_TITLE.search(front[1]) if front else None
    body = text[front.end() :] if front else text
    comments = "\n".join(match[4:-3].strip() for match in _COMMENT.findall(body))
    shown = _COMMENT.sub("", body).strip()
    return structured(shown, title=title[1] if title else "", hidden=comments)


def structured(
    text: str, *, title: str, pages: tuple[Page, ...] = (), hidden: str = ""
) -> Document:
    """The Markdown ``text`` with its headings; those inside fenced code are none."""
    fences = [match.span() for match in _FENCE.finditer(text)]
    headings = tuple(
        Heading(
            level=len(match[1]), title=_MARKUP.sub(r"\1", match[2]).strip(), start=match.start()
        )
        for match in _HEADING.finditer(text)
        if not any(start <= match.start() < end for start, end in fences)
    )
    outermost = next((heading.title for heading in headings if heading.level == 1), "")
    return Document(text, title or outermost, headings, pages, hidden)
