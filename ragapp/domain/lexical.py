"""Words without a language: for ranking fetched pages and for seeing what supports a sentence.

The corpora's own keyword index lives in PostgreSQL and stems; this is for texts that were never
stored, and knows only that letters and digits make words and that rare words tell more.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"\w+(?:[.\-_/:]\w+)*")
LONG_WORD = 4
_BM25_K1 = 1.2
_BM25_B = 0.75


def words(text: str) -> list[str]:
    """Words in lower case, in order; ``v1.2`` and ``acme/default-deny`` are one word each.

    A word of several parts is followed by its parts, so that ``SNAT-pool`` meets ``pool``.
    """
    found: list[str] = []
    for match in _WORD.finditer(text.casefold()):
        whole = match.group()
        parts = [part for part in re.split(r"[.\-_/:]", whole) if part]
        found.append(whole)
        found.extend(parts if len(parts) > 1 else [])
    return found


def stem(word: str) -> str:
    """The word without a plural or a short ending: enough to let ``pools`` meet ``pool``."""
    for ending in ("ies", "es", "s", "ed", "ing"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def stems(text: str) -> list[str]:
    """The words of ``text``, each without its ending."""
    return [stem(word) for word in words(text)]


def telling_words(question: str) -> tuple[str, ...]:
    """The words of a question that are not mere grammar, guessed without a language.

    Long words, and short ones with a digit or a capital inside: ``SNAT``, ``v4``. For a question
    whose lexemes no index could tell.
    """
    return tuple(
        word
        for word in _WORD.findall(question)
        if len(word) >= LONG_WORD or any(c.isupper() or c.isdigit() for c in word[1:])
    )


def bm25(query: str, texts: Sequence[str]) -> tuple[float, ...]:
    """BM25 of each text for ``query``, with the texts themselves as the collection; 0 or more."""
    counts = [Counter(stems(text)) for text in texts]
    lengths = [max(count.total(), 1) for count in counts]
    average = sum(lengths) / len(lengths) if lengths else 1.0
    weights = rarity(set(stems(query)), [set(count) for count in counts])

    def score(count: Counter[str], length: int) -> float:
        norm = _BM25_K1 * (1 - _BM25_B + _BM25_B * length / average)
        return sum(
            weight * count[term] * (_BM25_K1 + 1) / (count[term] + norm)
            for term, weight in weights.items()
            if term in count
        )

    return tuple(score(count, length) for count, length in zip(counts, lengths, strict=True))


def rarity(terms: set[str], collection: Sequence[set[str]]) -> dict[str, float]:
    """Inverse document frequency of each term in ``collection``, natural log, above 0."""
    size = len(collection)
    frequency = {term: sum(term in document for document in collection) for term in sorted(terms)}
    return {
        term: math.log(1 + (size - found + 0.5) / (found + 0.5))
        for term, found in frequency.items()
    }
