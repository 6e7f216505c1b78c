"""Sitemaps (sitemaps.org, protocol 0.9): the URLs that a site lists, read from hostile bytes.

Plain or gzip; XML, or text with a URL a line. Entities are not resolved, nothing is loaded, and
what is unpacked is bounded, so that neither a bomb nor a document type costs more than its bytes.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree  # type: ignore[import-untyped] # It ships no types and its stubs are stale.

# Both are the protocol's own bounds of one file.
MOST_BYTES = 50 * 1024 * 1024
MOST_URLS = 50_000
_PIECE = 64 * 1024
_GZIP = b"\x1f\x8b"


class SitemapError(ValueError):
    """Why it cannot be read, in a sentence."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One ``<loc>``; ``is_sitemap`` where it names another sitemap rather than a page."""

    url: str
    is_sitemap: bool = False


def listed(content: bytes) -> Iterator[Listed]:
    """What the sitemap lists, in order, as it stands there.

    Raises:
        SitemapError: it is broken or too large; what came before it was read.
    """
    if not content.strip():
        raise SitemapError("It is empty.")
    pieces = _unpacked(content)
    begin = next(pieces, b"")
    entries = _of_xml if begin.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") else _of_text
    for count, entry in enumerate(entries(begin, pieces)):
        if count == MOST_URLS:
            raise SitemapError(f"It lists more than {MOST_URLS} URLs; the first of them were read.")
        yield entry


def _unpacked(content: bytes) -> Iterator[bytes]:
    """The bytes piece by piece, out of gzip where they are packed."""
    if not content.startswith(_GZIP):
        yield from (content[at : at + _PIECE] for at in range(0, len(content), _PIECE))
        return
    unpacker = zlib.decompressobj(wbits=31)
    size, rest = 0, content
    while not unpacker.eof:
        try:
            piece = unpacker.decompress(rest, _PIECE)
        except zlib.error as error:
            raise SitemapError("Its gzip data is broken.") from error
        rest = unpacker.unconsumed_tail
        if not piece and not rest and not unpacker.eof:
            raise SitemapError("Its gzip data ends too early.")
        size += len(piece)
        if size > MOST_BYTES:
            raise SitemapError(f"Unpacked it has more than {MOST_BYTES} bytes.")
        yield piece


def _of_xml(begin: bytes, pieces: Iterator[bytes]) -> Iterator[Listed]:
    parser = etree.XMLPullParser(
        events=("start", "end"),
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
    )
    root = ""
    try:
        for piece in _with_first(begin, pieces):
            parser.feed(piece)
            for event, element in parser.read_events():
                if not root:
                    root = _root(element)
                elif event == "end" and isinstance(element.tag, str):
                    yield from _entry(element, root)
        parser.close()
    except etree.LxmlError as error:
        raise SitemapError(f"It is no well-formed XML: {str(error)[:200]}") from error


def _root(element: etree._Element) -> str:
    """The root's local name, if it is a sitemap's."""
    if element.getroottree().docinfo.internalDTD is not None:
        raise SitemapError("It has a document type definition, which is not read.")
    name = _local(element.tag)
    if name not in {"urlset", "sitemapindex"}:
        raise SitemapError(f"Its root is <{name}>; a sitemap's is <urlset> or <sitemapindex>.")
    return name


def _entry(element: etree._Element, root: str) -> Iterator[Listed]:
    """What a closed element lists; it is forgotten then, so that memory stays flat."""
    name = _local(element.tag)
    parent = element.getparent()
    if name == "loc" and parent is not None and _local(parent.tag) in {"url", "sitemap"}:
        url = (element.text or "").strip()
        if url:
            yield Listed(url, is_sitemap=root == "sitemapindex")
    elif name in {"url", "sitemap"} and parent is not None:
        element.clear()
        while element.getprevious() is not None:
            del parent[0]


def _of_text(begin: bytes, pieces: Iterator[bytes]) -> Iterator[Listed]:
    rest = b""
    for piece in _with_first(begin, pieces):
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > _PIECE:
            raise SitemapError("It is neither XML nor text with one URL a line.")
        yield from (entry for line in lines for entry in _line(line))
    yield from _line(rest)


def _line(line: bytes) -> Iterator[Listed]:
    text = line.decode("utf-8", "replace").strip().lstrip("\ufeff")
    if not text:
        return
    if not text.startswith(("http://", "https://")):
        raise SitemapError("It is neither XML nor text with one URL a line.")
    yield Listed(text)


def _with_first(begin: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield begin
    yield from pieces


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
