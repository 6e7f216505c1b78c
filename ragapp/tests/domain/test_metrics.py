"""Metrics of a ranking: worked examples, and what holds for every ranking."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragapp.domain.metrics import hit, ndcg, once, recall, reciprocal_rank

KEYS = st.integers(0, 15)
RANKINGS = st.lists(KEYS, max_size=20)
GRADES = st.dictionaries(KEYS, st.integers(-1, 3), max_size=8)
DEPTHS = st.integers(1, 12)
METRICS = [ndcg, recall, reciprocal_rank, hit]


def test_ndcg_of_a_worked_example():
    # Grades 3, 0, 2 in the order found, and a 1 that was missed.
    found = 3 / math.log2(2) + 2 / math.log2(4)
    ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)

    assert ndcg(["a", "x", "b"], {"a": 3, "b": 2, "c": 1}) == pytest.approx(found / ideal)


def test_depth_cuts_the_ranking_and_the_ideal():
    grades = {"a": 1, "b": 1, "c": 1}

    assert ndcg(["a", "b"], grades, k=2) == 1.0
    assert recall(["a", "b"], grades, k=1) == pytest.approx(1 / 3)
    assert reciprocal_rank(["x", "a"], grades, k=1) == 0.0
    assert reciprocal_rank(["x", "a"], grades, k=2) == 0.5
    assert hit(["x", "a"], grades, k=2) == 1.0


def test_passages_of_one_document_count_by_the_best():
    assert once(["d1", "d2", "d1", "d3"]) == ["d1", "d2", "d3"]
    assert ndcg(["x", "x", "x", "a"], {"a": 1}, k=2) == pytest.approx(1 / math.log2(3))


@given(RANKINGS, GRADES, DEPTHS)
def test_every_metric_lies_between_0_and_1(ranked, grades, k):
    assert all(0 <= metric(ranked, grades, k=k) <= 1 + 1e-12 for metric in METRICS)


@given(GRADES, DEPTHS)
def test_ideal_order_is_perfect(grades, k):
    ideal = sorted(grades, key=lambda key: -grades[key])
    is_judged = any(grade > 0 for grade in grades.values())

    assert ndcg(ideal, grades, k=k) == pytest.approx(float(is_judged))
    assert reciprocal_rank(ideal, grades, k=k) == float(is_judged)
    assert recall(ideal, grades, k=len(grades)) == float(is_judged)


@given(RANKINGS, GRADES, DEPTHS, st.integers(0, 18))
def test_a_relevant_one_that_moves_up_never_costs(ranked, grades, k, place):
    ranked = once(ranked)
    place = min(place, len(ranked) - 2)
    if place < 0:
        return
    upper, lower = ranked[place], ranked[place + 1]
    if grades.get(lower, 0) < grades.get(upper, 0):
        return
    swapped = [*ranked[:place], lower, upper, *ranked[place + 2 :]]

    for metric in METRICS:
        assert metric(swapped, grades, k=k) >= metric(ranked, grades, k=k) - 1e-12


@given(RANKINGS, GRADES, DEPTHS)
def test_recall_and_hit_grow_with_depth(ranked, grades, k):
    assert recall(ranked, grades, k=k + 1) >= recall(ranked, grades, k=k)
    assert hit(ranked, grades, k=k) == float(recall(ranked, grades, k=k) > 0)
