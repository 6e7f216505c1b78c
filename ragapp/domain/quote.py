"""Sentences of the passages that a model may quote where its own words found no support.

A small model often knows which sentence answers a question long before it can say so in words of
its own. Bound to these sentences it still decides, token by token, but cannot invent.
"""

import re
from collections.abc import Iterable, Sequence

from ragapp.domain.chunk import sentences
from ragapp.domain.lexical import rarity, stems

# Share of what the question asks about, as far as the passages know it, that a sentence must hold:
# one of two telling words passes.
TOUCH_FLOOR = 0.4
MOST_QUOTES = 6
# A shorter stem would begin too many other words.
SHORTEST_STEM = 4

_NO_PROSE = re.compile(r"^\s*(?:#|\||```|~~~)")
_LIST_MARK = re.compile(r"^\s*(?:[-*+]|\d{1,2}[.)])\s+")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_EMPHASIS = re.compile(r"\*{1,3}|`|(?<!\w)_{1,3}|_{1,3}(?!\w)")


def quotes(terms: Iterable[str], passages: Sequence[str]) -> tuple[str, ...]:
    """Sentences that touch the question, each also with the one that follows it; may be empty.

    Args:
        terms: The question's telling words or their stems, without stop words.
        passages: Their texts, best first; Markdown marks are taken off the quotes.

    Returns:
        Most telling first; ties go to the better passage and the earlier sentence.
    """
    paragraphs = [
        [plain(sentence) for sentence in sentences(paragraph)]
        for passage in passages
        for paragraph in re.split(r"\n\s*\n|\n(?=\s*[-*+#|])", passage)
        if not _NO_PROSE.match(paragraph)
    ]
    collection = [set(stems(sentence)) for paragraph in paragraphs for sentence in paragraph]
    asked = {term for stem in stems(" ".join(terms)) for term in _spelled(stem, collection)}
    weight_by_stem = rarity(asked, collection)
    total = sum(weight_by_stem.values())

    def touch(sentence: str) -> float:
        known = weight_by_stem.keys() & set(stems(sentence))
        return sum(weight_by_stem[stem] for stem in known) / total

    starts = [
        (paragraph, index)
        for paragraph in paragraphs
        for index, sentence in enumerate(paragraph)
        if total and touch(sentence) >= TOUCH_FLOOR and not sentence.endswith("?")
    ]
    starts.sort(key=lambda start: -touch(start[0][start[1]]))
    runs = [" ".join(p[i : i + n]) for p, i in starts[:MOST_QUOTES] for n in (1, 2)]
    return tuple(dict.fromkeys(run for run in runs if run))


def _spelled(stem: str, collection: Iterable[set[str]]) -> set[str]:
    """The collection's words for ``stem``: itself, and longer ones where it is cut shorter."""
    words = set().union(*collection)
    longer = {word for word in words if len(stem) >= SHORTEST_STEM and word.startswith(stem)}
    return (words & {stem}) or longer


def plain(sentence: str) -> str:
    """The sentence on one line, without list marks, emphasis and link targets."""
    text = _EMPHASIS.sub("", _LINK.sub(r"\1", _LIST_MARK.sub("", sentence)))
    return " ".join(text.split())
