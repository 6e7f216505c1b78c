"""The first free place in a row of numbers: tags, identifiers, addresses as integers. Pure."""

from collections.abc import Iterable


def first_gap(
    low: int, high: int, taken: Iterable[tuple[int, int]], *, size: int = 1
) -> int | None:
    """The first ``size`` free numbers in a row that begin at a multiple of ``size``; None for none.

    Args:
        low, high: both included.
        taken: (first, last) of what is not free, both included, ascending by the first; they may
            overlap, and reach past the ends.
        size: a power of two, as of a prefix.
    """
    start = _aligned(low, size)
    for first, last in taken:
        if first > start + size - 1:
            break
        if last >= start:
            start = _aligned(last + 1, size)
    return start if start + size - 1 <= high else None


def _aligned(number: int, size: int) -> int:
    return -(-number // size) * size
