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
    r"|font-size\s*:\s*[01](?:px|pt)?\s*(?:;|$)|(?:left|top|text-indent)\s*:\s*-\d{3,}",
    re.IGNORECASE,
)
_CODE = "//script | //style | //template | //noscript"
_UNSEEN = "//comment() | //*[@hidden] | //*[@aria-hidden='true']"
_WHITE = re.compile(
    r"(?:^|;)\s*color\s*:\s*(?:white|#fff(?:fff)?|rgba?\(\s*255\s*,\s*255\s*,\s*255[^);]*\))\s*(?:;|$)",
    re.IGNORECASE,
)
_BACKGROUND = re.compile(r"background", re.IGNORECASE)
# Of the hidden text that is kept for people to look at.
MOST_HIDDEN = 20_000
_CHARSET_IN_PAGE = re.compile(rb"<meta[^>]+charset=[\"']?([\w\-]+)", re.IGNORECASE)


def extract_html(content: bytes, charset: str) -> Document:
    """The page's main text as Markdown with its headings."""
    declared = _CHARSET_IN_PAGE.search(content[:4096])
    page = decode(content, charset or (declared[1].decode("ascii") if declared else ""))
    # An XML declaration with an encoding is refused by lxml in decoded text.
    tree = html.document_fromstring(re.sub(r"\A\s*<\?xml[^>]*\?>", "", page) or "<html></html>")
    hidden = _drop_hidden(tree)
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
    return structured(clean(markdown or tree.text_content()), title=title, hidden=hidden)


def _drop_hidden(tree: html.HtmlElement) -> str:
    """Take out scripts, and what no reader sees; the text of the latter.

    Comments count, and so do elements that a style hides or writes white on nothing.
    """
    for element in tree.xpath(_CODE):
        _drop(element)
    hidden = tree.xpath(_UNSEEN)
    hidden += [element for element in tree.xpath("//*[@style]") if _is_hidden(element)]
    texts = []
    for element in hidden:
        if element.getparent() is not None:
            texts.append(" ".join(_text(element).split()))
            _drop(element)
    return clean("\n".join(filter(None, texts)))[:MOST_HIDDEN]


def _drop(element: html.HtmlElement) -> None:
    if element.getparent() is not None:
        element.drop_tree()


def _text(element: html.HtmlElement) -> str:
    said = element.text if isinstance(element, html.HtmlComment) else element.text_content()
    return str(said or "")


def _is_hidden(element: html.HtmlElement) -> bool:
    style = element.get("style", "")
    if _HIDING_STYLE.search(style):
        return True
    # White is hidden only where nothing around it paints a ground.
    around = [element, *element.iterancestors()]
    return _WHITE.search(style) is not None and not any(map(_has_ground, around))


def _has_ground(element: html.HtmlElement) -> bool:
    return bool(_BACKGROUND.search(element.get("style", "")) or element.get("bgcolor"))
