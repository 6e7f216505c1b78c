"""Intervals and paired tests: their laws, and values that are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragapp.domain.significance import Change, compare, estimate, permutation, wilson

VALUES = st.lists(st.floats(-100, 100), min_size=1, max_size=30)
SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_wilson_gives_the_published_interval():
    # Newcombe 1998, table I: 81 of 263, and 0 of 20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 3), (4, 3)])
def test_no_proportion_has_no_interval(successes, n):
    with pytest.raises(ValueError, match="no proportion"):
        wilson(successes, n)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_share(pair):
    successes, n = pair

    low, high = wilson(successes, n)

    assert 0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1


@given(SHARES)
@settings(deadline=None, max_examples=40)
def test_interval_holds_its_mean_and_is_the_same_each_time(values):
    found = estimate(values)

    assert found.low <= found.mean <= found.high
    assert found == estimate(values)
    assert found.n == len(values)


def test_no_values_have_no_estimate():
    with pytest.raises(ValueError, match="no values"):
        estimate([])


@given(VALUES)
@settings(deadline=None, max_examples=40)
def test_p_is_a_chance_and_knows_no_sign(values):
    p = permutation(values)

    assert 0 < p <= 1
    assert permutation([-value for value in values]) == pytest.approx(p, abs=0.05)


def test_p_of_few_pairs_is_exact():
    # All of one sign: of the 2^n ways to draw signs, two are as extreme.
    assert permutation([1.0] * 10) == 2 / 2**10
    assert permutation([1.0, -1.0]) == 1
    assert permutation([0.0, 0.0]) == 1


@given(SHARES)
@settings(deadline=None, max_examples=30)
def test_nothing_is_better_than_itself(values):
    found = compare(values, values)

    assert (found.change, found.mean, found.p) == (Change.EQUAL, 0, 1)


def test_gain_and_loss_are_told_apart_from_chance():
    random = np.random.default_rng(7)
    base = random.uniform(0.2, 0.6, 60).tolist()
    lifted = [value + 0.1 + random.normal(0, 0.05) for value in base]
    # Up and down by the same: chance alone could look like a gain.
    noise = [value + (0.2 if number % 2 else -0.2) for number, value in enumerate(base)]

    assert compare(base, lifted).change is Change.BETTER
    assert compare(lifted, base).change is Change.WORSE
    assert compare(base, lifted, is_high_good=False).change is Change.WORSE
    assert compare(base, noise).change is Change.UNCLEAR


def test_few_pairs_that_differ_decide_nothing():
    assert compare([0.0] * 5, [1.0] * 5).change is Change.TOO_FEW


def test_false_alarms_are_as_rare_as_promised():
    random = np.random.default_rng(3)
    alarms = sum(
        compare(random.normal(size=40).tolist(), random.normal(size=40).tolist()).p < 0.05
        for _ in range(200)
    )

    # 5 % of 200 is 10; 20 is more than three standard deviations away.
    assert alarms <= 20


@pytest.mark.parametrize(("before", "after"), [([], []), ([1.0], [1.0, 2.0])])
def test_what_is_no_pairs_is_refused(before, after):
    with pytest.raises(ValueError, match="no pairs"):
        compare(before, after)
