"""Token-exact chunks of a document, cut where its structure and its sentences end.

Each chunk is an exact span of the text. What is embedded and indexed stands in ``indexed_text``:
the document's title and the section's path before the words, which is the cheapest gain in
retrieval there is; and it never exceeds what the embedder reads.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document, as stored.

    Attributes:
        text: Exactly ``document.text[start:end]``.
        context: Title and section path as indexed, ``Guide > Egress > SNAT pools``; may be cut.
        section: Headings from the outermost down.
        page: Page of the first character; None without pages.
        tokens: Tokens of ``indexed_text``, special ones not counted.
        content_hash: SHA-256 (hex) of ``indexed_text``: equal hash, equal vector.
    """

    text: str
    start: int
    end: int
    context: str
    section: tuple[str, ...]
    page: int | None
    tokens: int
    content_hash: str

    @property
    def indexed_text(self) -> str:
        """What is embedded and put in the keyword index."""
        return f"{self.context}\n{self.text}" if self.context else self.text
