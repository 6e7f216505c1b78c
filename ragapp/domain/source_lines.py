"""Sitemaps and crawls as people write them down: one a line."""

from collections.abc import Iterable
from dataclasses import dataclass

_KINDS = frozenset({"sitemap", "crawl"})
MOST_PAGES = 10_000
_HOW = "Write: sitemap URL [most pages], or: crawl URL [most pages] [below PREFIX]."


@dataclass(frozen=True, slots=True)
class Wanted:
    """A source that a corpus shall have.

    Attributes:
        kind: ``page``, ``sitemap`` or ``crawl``.
        prefix: A crawl stays below it; empty for the folder of its own URL.
        most_pages: Most documents that a sitemap or a crawl adds.
    """

    url: str
    kind: str = "page"
    prefix: str = ""
    most_pages: int = MOST_PAGES


def read(text: str) -> tuple[list[Wanted], list[str]]:
    """The sources in the lines of ``text``, and a complaint for each line that is none."""
    wanted, complaints = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        source = _source(words)
        if isinstance(source, Wanted):
            wanted.append(source)
        else:
            complaints.append(f"Line {number}: {source}")
    return wanted, complaints


def as_text(sources: Iterable[Wanted]) -> str:
    """The lines that ``read`` makes these sources of."""
    return "\n".join(_line(source) for source in sources)


def _source(words: list[str]) -> Wanted | str:
    kind, *rest = words[0].lower(), *words[1:]
    if kind not in _KINDS:
        return f"{words[0][:60]!r} is neither sitemap nor crawl. {_HOW}"
    if not rest:
        return f"The URL is missing. {_HOW}"
    url, *options = rest
    most, prefix = MOST_PAGES, ""
    if options and options[0].isdecimal():
        most = int(options.pop(0)[:9])
    if not 1 <= most <= MOST_PAGES:
        return f"The number of pages is from 1 to {MOST_PAGES}."
    if kind == "crawl" and len(options) == 2 and options[0].lower() == "below":
        prefix, options = options[1], []
    if options:
        return f"{' '.join(options)[:60]!r} is not understood. {_HOW}"
    return Wanted(url, kind, prefix, most)


def _line(source: Wanted) -> str:
    most = str(source.most_pages) if source.most_pages != MOST_PAGES else ""
    below = f"below {source.prefix}" if source.prefix else ""
    return " ".join(filter(None, [source.kind, source.url, most, below]))
