"""The dense weight that judged questions choose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragapp.domain.significance import Change
from ragapp.domain.tuning import WEIGHTS, tune


def scored(peak: float, count: int, *, noise: float = 0.0) -> list[list[float]]:
    random = np.random.default_rng(5)
    return [
        [1 - abs(weight - peak) + (random.normal(0, noise) if noise else 0) for weight in WEIGHTS]
        for _ in range(count)
    ]


def test_best_weight_is_found_and_its_gain_is_real():
    tuned = tune(scored(0.8, 30, noise=0.02), base=0.6)

    assert tuned.best == 0.8
    assert tuned.gain.change is Change.BETTER
    assert tuned.gain.mean == pytest.approx(0.2, abs=0.03)


def test_weight_that_no_question_tells_apart_stays():
    tuned = tune([[0.5] * len(WEIGHTS)] * 20, base=0.6)

    assert (tuned.best, tuned.gain.change) == (0.6, Change.EQUAL)


def test_noise_is_no_gain():
    random = np.random.default_rng(11)
    rows = random.uniform(0, 1, (60, len(WEIGHTS))).tolist()

    assert tune(rows, base=0.6).gain.change is not Change.BETTER


@given(st.lists(st.lists(st.floats(0, 1), min_size=11, max_size=11), min_size=1, max_size=12))
@settings(deadline=None, max_examples=25)
def test_best_is_one_of_the_weights_with_the_highest_mean(rows):
    tuned = tune(rows, base=0.6)

    means = tuned.mean_by_weight

    assert means[WEIGHTS.index(tuned.best)] == max(means)


@pytest.mark.parametrize("rows", [[], [[1.0]]])
def test_rows_that_do_not_fit_are_refused(rows):
    with pytest.raises(ValueError, match="do not hold"):
        tune(rows, base=0.6)
