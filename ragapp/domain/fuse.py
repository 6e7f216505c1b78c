"""One order out of two: dense and lexical scores of the same candidates, weighted.

Both scores must be known for every candidate (the search computes them for the union of its two
lists): a missing score filled with the list's minimum costs most of what fusion gains. A convex
sum of min-max scores beats reciprocal ranks (Bruch et al. 2023, ACM TOIS).
"""

from collections.abc import Sequence
from dataclasses import dataclass

DENSE_WEIGHT = 0.6


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate with both raw scores; higher is better in each. A lexical 0 matched no word."""

    key: int
    dense: float
    lexical: float


@dataclass(frozen=True, slots=True)
class Fused:
    """A candidate in the fused order; ranks count from 1.

    Attributes:
        score: 0 to 1, comparable within one search only.
        lexical_rank: None where no word matched.
    """

    key: int
    score: float
    dense: float
    lexical: float
    dense_rank: int
    lexical_rank: int | None


def fuse(candidates: Sequence[Candidate], *, weight: float = DENSE_WEIGHT) -> tuple[Fused, ...]:
    """All candidates, best first; ties go by dense score, then by key.

    Args:
        candidates: The union of both lists, each key once.
        weight: Share of the dense score, 0 to 1.

    Raises:
        ValueError: The weight is outside 0 to 1, or a key occurs twice.
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"weight {weight} is outside 0 to 1")
    if len({candidate.key for candidate in candidates}) != len(candidates):
        raise ValueError("a candidate occurs twice")
    dense = min_max([candidate.dense for candidate in candidates])
    lexical = min_max([candidate.lexical for candidate in candidates])
    dense_rank_by_key = _ranks({c.key: c.dense for c in candidates})
    lexical_rank_by_key = _ranks({c.key: c.lexical for c in candidates if c.lexical > 0})
    fused = [
        Fused(
            key=candidate.key,
            score=weight * dense_share + (1 - weight) * lexical_share,
            dense=candidate.dense,
            lexical=candidate.lexical,
            dense_rank=dense_rank_by_key[candidate.key],
            lexical_rank=lexical_rank_by_key.get(candidate.key),
        )
        for candidate, dense_share, lexical_share in zip(candidates, dense, lexical, strict=True)
    ]
    return tuple(sorted(fused, key=lambda hit: (-hit.score, -hit.dense, hit.key)))


def min_max(scores: Sequence[float]) -> list[float]:
    """Scores stretched to 0 to 1; equal scores tell nothing and become 1 where positive, else 0."""
    if not scores:
        return []
    low, high = min(scores), max(scores)
    span = high - low
    if span <= 0:
        return [1.0 if high > 0 else 0.0] * len(scores)
    return [(score - low) / span for score in scores]


def _ranks(score_by_key: dict[int, float]) -> dict[int, int]:
    ordered = sorted(score_by_key, key=lambda key: (-score_by_key[key], key))
    return {key: rank for rank, key in enumerate(ordered, start=1)}
