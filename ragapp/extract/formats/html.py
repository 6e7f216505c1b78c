"""Web pages: the main text as Markdown, so that headings, lists and tables survive.

Boilerplate (menus, footers) is left out by trafilatura; what a reader cannot see is taken out
before, because a model would read it.
"""

import re

from lxml import html  # type: ignore[import-untyped] # It ships no types and its stubs are stale.
from trafilatura import extract, extract_metadata

from ragapp.domain.document import Document
from ragapp.extract.formats.markdown import structured
from ragapp.extract.formats.plain import clean, decode

_HIDING_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?:\.0+)?\s*(?:;|$)"
    r"|font-size\s*:\s*0|(?:left|top|text-indent)\s*:\s*-\d{3,}",
    re.IGNORECASE,
)
_NEVER_SHOWN = "//script | //style | //template | //noscript | //comment() | //*[@hidden]"
_CHARSET_IN_PAGE = re.compile(rb"<meta[^>]+charset=[\"']?([\w\-]+)", re.IGNORECASE)


def extract_html(content: bytes, charset: str) -> Document:
    """The page's main text as Markdown with its headings."""
    declared = _CHARSET_IN_PAGE.search(content[:4096])
    page = decode(content, charset or (declared[1].decode("ascii") if declared else ""))
    # An XML declaration with an encoding is refused by lxml in decoded text.
    tree = html.document_fromstring(re.sub(r"\A\s*<\?xml[^>]*\?>", "", page) or "<html></html>")
    _drop_hidden(tree)
    markdown = extract(
        tree,
        output_format="markdown",
        include_comments=False,
        include_images=False,
        include_links=False,
        include_tables=True,
        include_formatting=True,
        favor_recall=True,
    )
    metadata = extract_metadata(tree)
    title = (metadata.title if metadata else "") or ""
    return structured(clean(markdown or tree.text_content()), title=title)


def _drop_hidden(tree: html.HtmlElement) -> None:
    """Take out what no reader sees: scripts, comments and elements that a style hides."""
    hidden = [*tree.xpath(_NEVER_SHOWN), *tree.xpath("//*[@aria-hidden='true']")]
    hidden += [element for element in tree.xpath("//*[@style]") if _is_hidden(element)]
    for element in hidden:
        if element.getparent() is not None:
            element.drop_tree()


def _is_hidden(element: html.HtmlElement) -> bool:
    return _HIDING_STYLE.search(element.get("style", "")) is not None
