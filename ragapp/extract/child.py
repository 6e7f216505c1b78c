"""Extraction with limits: the caller's door to this package.

A document is hostile until read. Each one is parsed in a child process of its own with limits on
CPU time, memory, file size, wall clock and result; whatever happens there is an error of that one
document.
"""

from dataclasses import dataclass

from ragapp.domain.document import Document
from tenants.errors import InvalidError


class ExtractionError(InvalidError):
    """This one document cannot be read; ``code`` says why, the message says what to do.

    Codes: ``unsupported-type``, ``too-large``, ``empty``, ``broken``, ``too-slow``,
    ``too-much-memory``, ``result-too-large``.
    """

    default_code = "broken"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one extraction."""

    input_bytes: int = 20_000_000
    result_bytes: int = 20_000_000
    memory_bytes: int = 1_000_000_000
    cpu_seconds: int = 20
    wall_seconds: float = 40.0


def extract(
    content: bytes, *, content_type: str, url: str = "", limits: Limits | None = None
) -> Document:
    """Text and structure of ``content``.

    Args:
        content: The file's bytes, decompressed.
        content_type: As declared (parameters allowed: ``text/html; charset=latin-1``).
        url: Where it came from; base of links and fallback for the title.

    Raises:
        ExtractionError: The document is broken, hostile, too large or of an unknown type.
    """
    raise NotImplementedError
