"""How good a ranking is, one query at a time; the mean over the queries is the system's figure.

As trec_eval and BEIR count: the gain is the grade itself, discounted by log2(rank + 1); what was
not judged is not relevant; and a key that comes twice counts once, at its first place. The mean of
``reciprocal_rank`` is known as MRR.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import islice
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def once(ranked: Iterable[Key]) -> list[Key]:
    """Each key at its first place.

    So the documents of ranked passages come out ordered by their best passage.
    """
    return list(dict.fromkeys(ranked))


def ndcg(ranked: Sequence[Key], grade_by_key: Mapping[Key, float], *, k: int = 10) -> float:
    """Normalised discounted cumulative gain of the first ``k``, 0 to 1; 0 if nothing is relevant.

    Args:
        ranked: Best first.
        grade_by_key: Judgements; 0 and below is not relevant.
    """
    gains = [max(grade_by_key.get(key, 0.0), 0.0) for key in islice(once(ranked), k)]
    best = sorted((grade for grade in grade_by_key.values() if grade > 0), reverse=True)[:k]
    ideal = _discounted(best)
    return _discounted(gains) / ideal if ideal else 0.0


def recall(ranked: Sequence[Key], grade_by_key: Mapping[Key, float], *, k: int = 100) -> float:
    """Share of the relevant ones that are among the first ``k``; 0 if nothing is relevant."""
    relevant = _relevant(grade_by_key)
    found = relevant.intersection(islice(once(ranked), k))
    return len(found) / len(relevant) if relevant else 0.0


def reciprocal_rank(
    ranked: Sequence[Key], grade_by_key: Mapping[Key, float], *, k: int = 10
) -> float:
    """One over the rank of the first relevant one among the first ``k``; 0 if none is there."""
    relevant = _relevant(grade_by_key)
    ranks = (rank for rank, key in enumerate(islice(once(ranked), k), 1) if key in relevant)
    return 1.0 / next(ranks, math.inf)


def hit(ranked: Sequence[Key], grade_by_key: Mapping[Key, float], *, k: int = 10) -> float:
    """1 if anything relevant is among the first ``k``, else 0."""
    return float(reciprocal_rank(ranked, grade_by_key, k=k) > 0)


def _relevant(grade_by_key: Mapping[Key, float]) -> set[Key]:
    return {key for key, grade in grade_by_key.items() if grade > 0}


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
