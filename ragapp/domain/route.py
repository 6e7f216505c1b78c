"""Which way a question goes: the tenant's own corpora, or the web through its egress.

The keyword gate is cheap and late: it asks only whether the corpora know the question's telling
words at all. A router that guesses from the question alone is the least reliable part of such
agents, and a wrong guess sends private words to a search engine.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ragapp.domain.passage import Source

# A third of what the question's words can tell must be known to the corpora: one telling word
# against one unknown passes, against two it does not. Below it, a stray common word would pass
# for knowledge.
COVERAGE_FLOOR = 1 / 3


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What the chosen corpora know of a question's words.

    Attributes:
        chunks: Chunks in all chosen corpora together; 0 means that nothing was trained.
        frequency_by_term: For each lexeme of the question (stop words left out), the number of
            those chunks that contain it.
    """

    chunks: int
    frequency_by_term: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Decision:
    """A way and, for people, why it was taken.

    Attributes:
        coverage: Share of the question's information that the corpora's words cover, 0 to 1.
    """

    way: Source
    reasons: tuple[str, ...]
    coverage: float


def inverse_frequency(chunks: int, frequency: int) -> float:
    """BM25's inverse document frequency, natural log; the rarer the word the more it tells."""
    return math.log(1 + (chunks - frequency + 0.5) / (frequency + 0.5))


def coverage(lexicon: Lexicon) -> float:
    """Share of the question's information that the corpora know, weighted by rarity; 0 to 1."""
    frequency_by_term: Mapping[str, int] = lexicon.frequency_by_term
    weights = {
        term: inverse_frequency(lexicon.chunks, min(frequency, lexicon.chunks))
        for term, frequency in frequency_by_term.items()
    }
    total = sum(weights.values())
    known = sum(weight for term, weight in weights.items() if frequency_by_term[term] > 0)
    return known / total if total else 0.0


def decide(lexicon: Lexicon, *, floor: float = COVERAGE_FLOOR) -> Decision:
    """Local where the corpora know the question's telling words, else the web."""
    if lexicon.chunks == 0:
        return Decision(Source.WEB, ("No corpus has been trained yet.",), 0.0)
    if not lexicon.frequency_by_term:
        reason = "The question has no keyword to check, so the corpora are searched by meaning."
        return Decision(Source.LOCAL, (reason,), 0.0)
    known = sorted(term for term, found in lexicon.frequency_by_term.items() if found)
    missing = sorted(term for term, found in lexicon.frequency_by_term.items() if not found)
    share = coverage(lexicon)
    reasons = [f"The corpora cover {share:.0%} of what the question's words tell."]
    if known:
        reasons.append(f"Known: {', '.join(known)}.")
    if missing:
        reasons.append(f"Not found in any chunk: {', '.join(missing)}.")
    way = Source.LOCAL if share >= floor else Source.WEB
    return Decision(way, tuple(reasons), share)
