"""A folder of Markdown and HTML files as pages of a web site: path, title, headings, HTML, text.

``reference/snat.md`` becomes ``/reference/snat.html``; links between Markdown files follow.
"""

import html
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

SUFFIXES = frozenset({".md", ".html"})
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:|//|#", re.IGNORECASE)
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_BLOCKS = frozenset({*_HEADINGS, "p", "li", "tr", "pre", "table", "ul", "ol", "blockquote", "div"})
_UNREAD = frozenset({"script", "style", "head", "nav"})


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading with the fragment that leads to it."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        path: Below the site's root, without a leading slash: ``reference/snat.html``.
        source: Where the file lies below the folder: ``reference/snat.md``.
        body: HTML inside ``<main>``.
        text: What a reader sees, one block a line.
    """

    path: str
    source: str
    title: str
    headings: tuple[Heading, ...]
    links: tuple[str, ...]
    body: str
    text: str


def anchor(text: str) -> str:
    """The fragment of a heading, as forges make it: lower case, hyphens for spaces."""
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", text.strip().lower()))


def site_path(source: str) -> str:
    """``reference/snat.html`` for ``reference/snat.md``; a README stands for its folder's index."""
    path = Path(source)
    stem = "index" if path.stem == "README" else path.stem
    return path.with_name(f"{stem}.html").as_posix()


def sources(root: Path) -> list[Path]:
    """The Markdown and HTML files below ``root``, sorted; hidden ones left out."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )


def read(root: Path) -> dict[str, Page]:
    """All pages below ``root`` by path."""
    pages = (read_page(root, file) for file in sources(root))
    return {page.path: page for page in pages}


def read_page(root: Path, file: Path) -> Page:
    """One file as a page; its title is the first heading, or the file's name."""
    source = file.relative_to(root).as_posix()
    written = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        return _from_markdown(source, written)
    return _from_html(source, written)


def _from_markdown(source: str, written: str) -> Page:
    tokens = _MARKDOWN.parse(written)
    links = tuple(_follow(tokens))
    headings = tuple(_mark(tokens))
    body = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return _page(source, headings, links, body)


def _from_html(source: str, written: str) -> Page:
    reader = _Reader()
    reader.feed(written)
    headings = tuple(Heading(level, text, anchor(text)) for level, text in reader.headings)
    inner = re.search(r"<body[^>]*>(.*)</body>", written, re.DOTALL | re.IGNORECASE)
    return _page(source, headings, tuple(reader.links), inner[1] if inner else written)


def _page(source: str, headings: tuple[Heading, ...], links: tuple[str, ...], body: str) -> Page:
    reader = _Reader()
    reader.feed(body)
    title = headings[0].text if headings else Path(source).stem
    return Page(site_path(source), source, title, headings, links, body, reader.text())


def _mark(tokens: list[Token]) -> Iterator[Heading]:
    """Give each heading its ``id``; doubled ones get a number, as forges do."""
    used: dict[str, int] = {}
    for token, inline in itertools.pairwise(tokens):
        if token.type != "heading_open":
            continue
        text = "".join(child.content for child in inline.children or [])
        fragment = anchor(text)
        count = used.get(fragment, 0)
        used[fragment] = count + 1
        fragment = f"{fragment}-{count}" if count else fragment
        token.attrSet("id", fragment)
        yield Heading(int(token.tag[1]), text, fragment)


def _follow(tokens: list[Token]) -> Iterator[str]:
    """Each link as written; those to Markdown files then lead to their pages."""
    for token in tokens:
        for child in token.children or []:
            name = {"link_open": "href", "image": "src"}.get(child.type)
            if name is None:
                continue
            target = str(child.attrGet(name))
            yield target
            if not _OUTSIDE.match(target):
                path, mark, fragment = target.partition("#")
                child.attrSet(
                    name, (site_path(path) if path.endswith(".md") else path) + mark + fragment
                )


class _Reader(HTMLParser):
    """What a reader sees of HTML, its headings and its links."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[tuple[int, str]] = []
        self.links: list[str] = []
        self._lines: list[list[str]] = [[]]
        self._heading: list[str] | None = None
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Start a line at each block."""
        if tag in _UNREAD:
            self._hidden += 1
        if tag in _BLOCKS:
            self._lines.append([])
        if tag in _HEADINGS:
            self._heading = []
        self.links.extend(value for name, value in attrs if tag == "a" and name == "href" and value)

    def handle_endtag(self, tag: str) -> None:
        """End what was started."""
        if tag in _UNREAD:
            self._hidden -= 1
        if tag in _BLOCKS:
            self._lines.append([])
        if tag in _HEADINGS and self._heading is not None:
            self.headings.append((int(tag[1]), "".join(self._heading).strip()))
            self._heading = None
        if tag in ("td", "th"):
            self._lines[-1].append(" ")

    def handle_data(self, data: str) -> None:
        """Keep words that are shown."""
        if self._hidden:
            return
        self._lines[-1].append(data)
        if self._heading is not None:
            self._heading.append(data)

    def text(self) -> str:
        """One line for each block, white space folded."""
        lines = (" ".join("".join(line).split()) for line in self._lines)
        return "\n".join(line for line in lines if line)


def document(title: str, body: str, *, site: str) -> bytes:
    """A whole HTML document around ``body``."""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{html.escape(title)} - {html.escape(site)}</title>\n"
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n</head>\n<body>\n'
        f'<nav><a href="/">{html.escape(site)}</a></nav>\n'
        f"<main>\n<article>\n{body}</article>\n</main>\n</body>\n</html>\n"
    ).encode()
