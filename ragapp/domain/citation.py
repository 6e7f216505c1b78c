"""Citations that hold: what a sentence of the answer rests on, checked without a model.

A number that the model wrote is kept only where such a passage exists. Small models often cite
nothing at all, so the supporting passages of each sentence are also found by the words they
share; those are shown as "supported by". Literals (numbers, dates, identifiers, quoted spans)
must occur in the passage word for word.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from ragapp.domain.chunk import sentence_spans
from ragapp.domain.chunk import sentences as split_sentences
from ragapp.domain.lexical import rarity, stems
from ragapp.domain.literal import check

# Share of a sentence's information that a passage must hold to support it. Half would let the
# question's own words carry a sentence; all would forbid saying anything in other words.
SUPPORT_FLOOR = 0.6
MOST_MARKS = 3

_MARK = re.compile(r"\s*\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")
# A line that ends within a sentence goes on; a list item or an empty line begins anew.
_BLOCKS = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*+#|]|\d{1,2}[.)])\s)")
_SENTENCE_END = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][\"')\]\u201d\u2019]*$")
_LEADING_MARKS = re.compile(r"(?:\s*\[\d{1,3}(?:\s*[,;]\s*\d{1,3})*\])+")


class Support(StrEnum):
    """How a sentence stands to its passages."""

    CITED = "Cited"
    SUPPORTED = "Supported"
    UNSUPPORTED = "Unsupported"


@dataclass(frozen=True, slots=True)
class Span:
    """Where in a passage a sentence of the answer rests: characters of the passage's text."""

    passage: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Window:
    """A sentence of a passage, or two neighbours, with its stems."""

    known: frozenset[str]
    start: int
    end: int

    def with_next(self, other: "_Window") -> "_Window":
        return _Window(self.known | other.known, self.start, other.end)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an answer with what it rests on.

    Attributes:
        text: Without citation marks.
        support: Cited where the model named a passage that does support it; Supported where the
            passage was found by the check; Unsupported where none was, or a literal is in none.
        passages: Numbers of the supporting passages, best first; empty if Unsupported.
        claimed: Numbers that the model itself wrote and that exist.
        missing_literals: Literals of the sentence that no supporting passage contains.
        spans: The exact place in each supporting passage, in the same order.
    """

    text: str
    support: Support
    passages: tuple[int, ...] = ()
    claimed: tuple[int, ...] = ()
    missing_literals: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class CitedAnswer:
    """An answer whose every mark ``[n]`` was checked.

    Attributes:
        text: The sentences, each followed by the marks of its passages.
    """

    text: str
    sentences: tuple[Sentence, ...]


def cite(answer: str, passages: Sequence[str], *, is_cut: bool = False) -> CitedAnswer:
    """The answer with checked marks only, and each sentence once.

    Args:
        answer: As the model wrote it.
        passages: Their texts; the mark ``[n]`` means ``passages[n - 1]``.
        is_cut: The model was stopped, so a last sentence without an end is left out.
    """
    judge = _Judge(passages)
    found = [judge.sentence(text) for block in _BLOCKS.split(answer) for text in _with_marks(block)]
    distinct = {sentence.text: sentence for sentence in reversed(found) if sentence.text}
    sentences = tuple(reversed(distinct.values()))
    if is_cut and len(sentences) > 1 and not _SENTENCE_END.search(sentences[-1].text):
        sentences = sentences[:-1]
    return CitedAnswer(" ".join(_marked(sentence) for sentence in sentences), sentences)


def supported_share(cited: CitedAnswer) -> float:
    """Share of the sentences that rest on a passage, 0 to 1; 0 for an empty answer."""
    standing = [sentence.support is not Support.UNSUPPORTED for sentence in cited.sentences]
    return sum(standing) / len(standing) if standing else 0.0


def marks(text: str) -> tuple[int, ...]:
    """Numbers written as ``[1]`` or ``[1, 2]``, each once, in order."""
    numbers = (
        int(number) for match in _MARK.finditer(text) for number in re.split(r"\D+", match[1])
    )
    return tuple(dict.fromkeys(numbers))


class _Judge:
    """Knows the passages' words and how much each tells."""

    def __init__(self, passages: Sequence[str]) -> None:
        self._passages = passages
        known = [_windows(passage) for passage in passages]
        # Words from all over a passage can be put together to anything: two neighbouring
        # sentences have to carry a claim. One alone comes first, for the narrower span.
        self._windows = [
            [*alone, *(one.with_next(other) for one, other in pairwise(alone))] for alone in known
        ]
        # Sentences, not passages, are the collection: among three passages no word is rare.
        self._collection = [set(window.known) for passage in known for window in passage]

    def sentence(self, written: str) -> Sentence:
        """One sentence, its own marks taken off and its support found."""
        bare = " ".join(_MARK.sub("", written).split())
        text = re.sub(r"\s+([.,;:!?])", r"\1", bare)
        claimed = tuple(n for n in marks(written) if 1 <= n <= len(self._passages))
        checked = check(text, self._passages)
        best_by_number = self._best_windows(text)
        share_by_number = {number: share for number, (share, _) in best_by_number.items()}
        holding = [n for n, share in share_by_number.items() if share >= SUPPORT_FLOOR]
        # A passage with every literal goes before one with more of the words.
        complete = {n: sum(n in literal.passages for literal in checked) for n in holding}
        best = sorted(holding, key=lambda n: (-complete[n], -share_by_number[n], n))[:MOST_MARKS]
        missing = tuple(
            literal.text for literal in checked if not set(literal.passages).intersection(best)
        )
        if not best or missing:
            return Sentence(text, Support.UNSUPPORTED, (), claimed, missing)
        support = Support.CITED if set(claimed).intersection(best) else Support.SUPPORTED
        chosen = _chosen(best, claimed, complete, share_by_number)
        spans = tuple(
            Span(n, window.start, window.end) for n in chosen for window in [best_by_number[n][1]]
        )
        return Sentence(text, support, chosen, claimed, spans=spans)

    def _best_windows(self, text: str) -> dict[int, tuple[float, _Window]]:
        """For each passage, the share of the sentence's information in its best window, and it."""
        weights = rarity(set(stems(text)), self._collection)
        total = sum(weights.values())
        if not total:
            return {}

        def share(window: _Window) -> float:
            return sum(weights[term] for term in window.known & weights.keys()) / total

        return {
            number: max(((share(window), window) for window in windows), key=lambda pair: pair[0])
            for number, windows in enumerate(self._windows, start=1)
            if windows
        }


def _windows(passage: str) -> list[_Window]:
    return [
        _Window(frozenset(stems(passage[start:end])), start, end)
        for start, end in sentence_spans(passage)
    ]


def _chosen(
    best: Sequence[int],
    claimed: Sequence[int],
    complete: Mapping[int, int],
    share_by_number: Mapping[int, float],
) -> tuple[int, ...]:
    """The best passage, those as good, and those that the model named itself."""
    top = best[0]
    equal = (complete[top], share_by_number[top])
    return tuple(n for n in best if (complete[n], share_by_number[n]) == equal or n in claimed)


def _with_marks(line: str) -> list[str]:
    """Sentences of a line; a mark after the full stop still belongs to the sentence before it."""
    found: list[str] = []
    for text in split_sentences(line):
        body = _MARK.sub("", text).strip()
        lead = _LEADING_MARKS.match(text)
        if found and lead:
            found[-1] += " " + lead.group()
            text = text[lead.end() :]
        if body:
            found.append(text)
    return found


def _marked(sentence: Sentence) -> str:
    return " ".join([sentence.text, "".join(f"[{n}]" for n in sentence.passages)]).strip()
