from hypothesis import given
from hypothesis import strategies as st

from tenants.domain.gaps import first_gap

BLOCKS = st.lists(
    st.tuples(st.integers(0, 70), st.integers(0, 9)).map(lambda ends: (ends[0], sum(ends)))
)


@given(low=st.integers(0, 64), high=st.integers(0, 64), taken=BLOCKS, power=st.integers(0, 4))
def test_first_gap_is_the_first_place_that_is_free(low, high, taken, power):
    size = 1 << power
    used = {number for first, last in taken for number in range(first, last + 1)}
    free = [
        start
        for start in range(low, high - size + 2)
        if start % size == 0 and not used & set(range(start, start + size))
    ]

    assert first_gap(low, high, sorted(taken), size=size) == (free[0] if free else None)
