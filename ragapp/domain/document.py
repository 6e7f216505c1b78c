"""A document as text with its structure: what extraction hands to chunking.

Every place in it is a character offset into ``Document.text``, so that a citation made months
later still opens at the exact span.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading in the text.

    Attributes:
        level: 1 for the outermost.
        title: The heading's words, without markup.
        start: Offset in the text of the first character of the heading's line.
    """

    level: int
    title: str
    start: int


@dataclass(frozen=True, slots=True)
class Page:
    """Page ``number`` (from 1) begins at character ``start`` of the text."""

    number: int
    start: int


@dataclass(frozen=True, slots=True)
class Document:
    """Extracted text with its headings and pages, both in order of their offsets.

    Attributes:
        text: Plain text or Markdown; Unicode NFC, no NUL, no lone surrogates, ``\\n`` line ends.
        title: One line; empty only where neither the file nor its text offers one.
        headings: Empty for text without structure.
        pages: Empty for formats without pages.
        hidden: What a reader of the file does not see: left out of the text, kept to be looked at.
    """

    text: str
    title: str
    headings: tuple[Heading, ...] = ()
    pages: tuple[Page, ...] = ()
    hidden: str = ""

    def page_at(self, offset: int) -> int | None:
        """Number of the page that holds the character at ``offset``; None without pages."""
        numbers = [page.number for page in self.pages if page.start <= offset]
        return numbers[-1] if numbers else None
