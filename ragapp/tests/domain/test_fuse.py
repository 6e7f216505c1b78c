"""Laws of fusion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragapp.domain.fuse import Candidate, fuse, min_max

SCORES = st.floats(-10, 10).map(lambda x: round(x, 3))
CANDIDATES = st.lists(
    st.builds(Candidate, st.integers(0, 99), SCORES, SCORES.map(abs)), unique_by=lambda c: c.key
)


@given(CANDIDATES, st.floats(0, 1))
def test_every_candidate_once_best_first_within_bounds(candidates, weight):
    fused = fuse(candidates, weight=weight)

    assert sorted(hit.key for hit in fused) == sorted(c.key for c in candidates)
    assert [hit.score for hit in fused] == sorted((hit.score for hit in fused), reverse=True)
    assert all(-1e-9 <= hit.score <= 1 + 1e-9 for hit in fused)


@given(CANDIDATES, st.floats(0, 1), st.randoms())
def test_order_of_the_input_does_not_matter(candidates, weight, random):
    shuffled = random.sample(candidates, len(candidates))

    assert fuse(shuffled, weight=weight) == fuse(candidates, weight=weight)


@given(CANDIDATES)
def test_full_weight_is_the_order_of_one_leg(candidates):
    dense = [hit.dense for hit in fuse(candidates, weight=1)]
    lexical = [hit.lexical for hit in fuse(candidates, weight=0)]

    assert dense == sorted(dense, reverse=True)
    assert lexical == sorted(lexical, reverse=True)


def test_ranks_are_per_leg_and_an_unmatched_one_has_none():
    fused = fuse([Candidate(1, 0.9, 0.0), Candidate(2, 0.5, 7.0), Candidate(3, 0.1, 3.0)])

    assert [(h.key, h.dense_rank, h.lexical_rank) for h in fused] == [
        (2, 2, 1),
        (1, 1, None),
        (3, 3, 2),
    ]


def test_weight_and_keys_are_checked():
    with pytest.raises(ValueError, match=r"weight 1\.5"):
        fuse([], weight=1.5)
    with pytest.raises(ValueError, match="twice"):
        fuse([Candidate(1, 0, 0), Candidate(1, 1, 1)])


@given(st.lists(SCORES, min_size=1))
def test_min_max_keeps_the_order(scores):
    stretched = min_max(scores)

    assert all(0 <= value <= 1 for value in stretched)
    assert sorted(range(len(scores)), key=lambda i: (scores[i], i)) == sorted(
        range(len(scores)), key=lambda i: (stretched[i], scores[i], i)
    )
