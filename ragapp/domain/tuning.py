"""Chooses a dense weight from judged questions, and says honestly what it is worth.

The weight that is best on the questions it was chosen by looks better than it is. So its gain is
measured by cross-validation: each question is scored with the weight that the others chose.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ragapp.domain.significance import Difference, compare

WEIGHTS: tuple[float, ...] = tuple(step / 10 for step in range(11))
FOLDS = 10


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a sweep found.

    Attributes:
        best: The weight with the highest mean; of equals the one nearest to ``base``.
        mean_by_weight: In the order of the weights.
        gain: Of weights chosen without the question they are measured on, against ``base``.
    """

    base: float
    best: float
    mean_by_weight: tuple[float, ...]
    gain: Difference


def tune(
    rows: Sequence[Sequence[float]], *, base: float, weights: Sequence[float] = WEIGHTS
) -> Tuned:
    """The best of ``weights``.

    Args:
        rows: One per question: its score at each weight, higher is better.
        base: The weight in use; the nearest of ``weights`` stands for it.

    Raises:
        ValueError: There is no question, or a row has not one score a weight.
    """
    if not rows or any(len(row) != len(weights) for row in rows):
        raise ValueError(f"{len(rows)} rows do not hold one score for each of {len(weights)}")
    at_base = min(range(len(weights)), key=lambda at: abs(weights[at] - base))
    folds = min(FOLDS, len(rows))
    held_out = [
        row[_best([other for n, other in enumerate(rows) if n % folds != at % folds], at_base)]
        for at, row in enumerate(rows)
    ]
    return Tuned(
        base=base,
        best=weights[_best(rows, at_base)],
        mean_by_weight=tuple(_means(rows)),
        gain=compare([row[at_base] for row in rows], held_out),
    )


def _best(rows: Sequence[Sequence[float]], at_base: int) -> int:
    """Where the highest mean is; nearest to ``at_base`` among equals, which it is without rows."""
    means = _means(rows) if rows else []
    return max(range(len(means)), key=lambda at: (means[at], -abs(at - at_base)), default=at_base)


def _means(rows: Sequence[Sequence[float]]) -> list[float]:
    # Rounded, so that sums in another order do not make equals unequal.
    return [round(sum(column) / len(rows), 9) for column in zip(*rows, strict=True)]
