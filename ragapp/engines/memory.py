"""How a process of models gets its memory."""

import ctypes
import os
from functools import cache

# <malloc.h>; the same on every platform of glibc.
_M_MMAP_THRESHOLD = -3
# A huge page: what is smaller is seldom a tensor.
_LARGE_BYTES = 2 * 2**20


@cache
def tune_allocator() -> None:
    """Give tensors of some size pages of their own, huge ones where the kernel has them.

    By itself glibc learns to carve tensors out of the heap. Batches of many shapes tear holes into
    it that the next shape does not fit, and a training holds twice what it uses. Pages of their own
    go back as soon as a tensor is freed; huge ones are had at 1/512 of the page faults.

    To be called before PyTorch allocates its first tensor. Other C libraries are left as they are.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # Read by PyTorch.
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
