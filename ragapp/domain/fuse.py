"""One order out of two: dense and lexical scores of the same candidates, weighted.

Both scores must be known for every candidate (the search computes them for the union of its two
lists): a missing score filled with the list's minimum costs most of what fusion gains. A convex
sum of min-max scores beats reciprocal ranks (Bruch et al. 2023, ACM TOIS).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

DENSE_WEIGHT = 0.6


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate with both raw scores; higher is better in each. A lexical 0 matched no word.

    Attributes:
        group: What its weight goes by: its corpus.
        twin: Equal for candidates that say the same; empty where nothing is known of it.
    """

    key: int
    dense: float
    lexical: float
    group: int = 0
    twin: str = ""


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


def fuse(
    candidates: Sequence[Candidate], *, weight: float | Mapping[int, float] = DENSE_WEIGHT
) -> tuple[Fused, ...]:
    """All candidates, best first; ties go by dense score, then by key.

    Both scores are stretched over all candidates together, so passages of corpora with different
    weights compare: each is a share, 0 to 1, of the best that was found at all.

    Args:
        candidates: The union of both lists, each key once.
        weight: Share of the dense score, 0 to 1; or that of each group, ``DENSE_WEIGHT`` where a
            group has none.

    Raises:
        ValueError: A weight is outside 0 to 1, or a key occurs twice.
    """
    weight_by_group = _weights(candidates, weight)
    if len({candidate.key for candidate in candidates}) != len(candidates):
        raise ValueError("a candidate occurs twice")
    dense = min_max([candidate.dense for candidate in candidates])
    lexical = min_max([candidate.lexical for candidate in candidates])
    dense_rank_by_key = _ranks({c.key: c.dense for c in candidates})
    lexical_rank_by_key = _ranks({c.key: c.lexical for c in candidates if c.lexical > 0})
    fused = [
        Fused(
            key=candidate.key,
            score=_mixed(weight_by_group[candidate.group], dense_share, lexical_share),
            dense=candidate.dense,
            lexical=candidate.lexical,
            dense_rank=dense_rank_by_key[candidate.key],
            lexical_rank=lexical_rank_by_key.get(candidate.key),
        )
        for candidate, dense_share, lexical_share in zip(candidates, dense, lexical, strict=True)
    ]
    return tuple(sorted(fused, key=lambda hit: (-hit.score, -hit.dense, hit.key)))


def without_twins(ordered: Iterable[Fused], candidates: Iterable[Candidate]) -> list[Fused]:
    """The order with only the best of candidates that say the same."""
    twin_by_key = {candidate.key: candidate.twin for candidate in candidates if candidate.twin}
    kept: dict[str, Fused] = {}
    for hit in ordered:
        kept.setdefault(twin_by_key.get(hit.key, f"#{hit.key}"), hit)
    return list(kept.values())


def min_max(scores: Sequence[float]) -> list[float]:
    """Scores stretched to 0 to 1; equal scores tell nothing and become 1 where positive, else 0."""
    if not scores:
        return []
    low, high = min(scores), max(scores)
    span = high - low
    if span <= 0:
        return [1.0 if high > 0 else 0.0] * len(scores)
    return [(score - low) / span for score in scores]


def _weights(
    candidates: Sequence[Candidate], weight: float | Mapping[int, float]
) -> dict[int, float]:
    groups = {candidate.group for candidate in candidates}
    if isinstance(weight, Mapping):
        weights = {group: weight.get(group, DENSE_WEIGHT) for group in groups}
    else:
        weights = dict.fromkeys(groups, weight) or {0: weight}
    for given in weights.values():
        if not 0 <= given <= 1:
            raise ValueError(f"weight {given} is outside 0 to 1")
    return weights


def _mixed(weight: float, dense: float, lexical: float) -> float:
    return weight * dense + (1 - weight) * lexical


def _ranks(score_by_key: dict[int, float]) -> dict[int, int]:
    ordered = sorted(score_by_key, key=lambda key: (-score_by_key[key], key))
    return {key: rank for rank, key in enumerate(ordered, start=1)}
