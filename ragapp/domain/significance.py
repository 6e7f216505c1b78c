"""Is it a gain, or chance? Intervals for one evaluation, a paired test for two.

All is by resampling with a given seed, so that the same figures give the same verdict, and the
pair of one question is never torn: both evaluations answered the same questions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

CONFIDENCE = 0.95
LEVEL = 1 - CONFIDENCE
RESAMPLES = 2000
ROUNDS = 10_000
# Draws in all, so that a comparison of thousands of questions is still a page's work.
MOST_DRAWS = 2_000_000
# Fewer pairs than this cannot reach a p of 0.05 by flipping signs, whatever their differences.
FEWEST_PAIRS = 6
_Z = 1.959964  # The normal distribution's 97.5 % point.


class Change(StrEnum):
    """What a difference between two evaluations is worth."""

    BETTER = "Better"
    WORSE = "Worse"
    UNCLEAR = "Unclear"
    EQUAL = "Equal"
    TOO_FEW = "TooFew"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval over ``n`` questions."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Difference:
    """After minus before, over the ``n`` questions that both have.

    Attributes:
        low: Of the 95 % interval of the mean difference.
        p: Chance of such a difference if the two were equally good; two-sided.
    """

    before: float
    after: float
    mean: float
    low: float
    high: float
    p: float
    n: int
    change: Change


def wilson(successes: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a proportion (Wilson 1927); sound for small ``n`` and near 0 and 1.

    Raises:
        ValueError: There is nothing to estimate from, or more successes than trials.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no proportion")
    share, z2 = successes / n, _Z * _Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(centre - reach, 0.0), min(centre + reach, 1.0)


def estimate(values: Sequence[float], *, seed: int = 0) -> Estimate:
    """The mean of ``values``; its interval is Wilson's where all are 0 or 1, else a bootstrap.

    Raises:
        ValueError: There are none.
    """
    if not values:
        raise ValueError("no values to estimate from")
    mean = math.fsum(values) / len(values)
    if set(values) <= {0.0, 1.0}:
        low, high = wilson(round(sum(values)), len(values))
    else:
        low, high = _bootstrap(np.asarray(values, dtype=np.float64), seed)
    # Rounding may put the mean a hair outside of an interval that is a point.
    return Estimate(mean, min(low, mean), max(high, mean), len(values))


def compare(
    before: Sequence[float], after: Sequence[float], *, is_high_good: bool = True, seed: int = 0
) -> Difference:
    """What changed from ``before`` to ``after``, question by question.

    Args:
        before: One value a question; ``after[i]`` is the same question's.
        is_high_good: False for what should be small: seconds, wrong refusals.

    Raises:
        ValueError: The two are not of one length, or empty.
    """
    if len(before) != len(after) or not before:
        raise ValueError(f"{len(before)} and {len(after)} values are no pairs")
    pairs = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    mean = float(pairs.mean())
    low, high = _bootstrap(pairs, seed)
    p = permutation(pairs.tolist(), seed=seed)
    return Difference(
        before=math.fsum(before) / len(before),
        after=math.fsum(after) / len(after),
        mean=mean,
        low=min(low, mean),
        high=max(high, mean),
        p=p,
        n=len(pairs),
        change=_change(pairs.tolist(), p, mean if is_high_good else -mean),
    )


def permutation(differences: Sequence[float], *, seed: int = 0) -> float:
    """Two-sided p of the mean difference: how often do random signs make one as large?

    Exact for a dozen differences and fewer; else over up to ``ROUNDS`` draws, the seen one counted
    too, so that it is never 0.
    """
    moved = np.asarray([value for value in differences if value], dtype=np.float64)
    if not moved.size:
        return 1.0
    seen = abs(moved.sum())
    # Sums of the same numbers in another order differ by rounding alone.
    edge = seen - 1e-9 * max(np.abs(moved).sum(), 1.0)
    if moved.size <= 12:
        signs = 1 - 2 * ((np.arange(2**moved.size)[:, None] >> np.arange(moved.size)) & 1)
        return float(np.mean(np.abs(signs @ moved) >= edge))
    random = np.random.default_rng(seed)
    rounds = min(ROUNDS, MOST_DRAWS // moved.size)
    signs = random.choice(np.array([-1.0, 1.0], dtype=np.float32), size=(rounds, moved.size))
    as_large = int(np.count_nonzero(np.abs(signs @ moved) >= edge))
    return (as_large + 1) / (rounds + 1)


def _change(pairs: Sequence[float], p: float, gain: float) -> Change:
    if not any(pairs):
        return Change.EQUAL
    if sum(1 for value in pairs if value) < FEWEST_PAIRS:
        return Change.TOO_FEW
    if p >= LEVEL:
        return Change.UNCLEAR
    return Change.BETTER if gain > 0 else Change.WORSE


def _bootstrap(
    values: "np.ndarray[tuple[int], np.dtype[np.float64]]", seed: int
) -> tuple[float, float]:
    """The percentile interval of the mean over resampled questions."""
    random = np.random.default_rng(seed)
    resamples = min(RESAMPLES, MOST_DRAWS // values.size)
    drawn = random.integers(0, values.size, size=(resamples, values.size))
    low, high = np.quantile(values[drawn].mean(axis=1), [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)
