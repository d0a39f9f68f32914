"""Sets how the C library allocates large blocks of memory on the CPU."""

from __future__ import annotations

import ctypes
import os

_M_MMAP_THRESHOLD = -3
_LARGE = 1 << 20


def return_large_blocks() -> None:
    """Give each large block pages of its own, so that freed memory goes back to the system.

    By default glibc keeps freed blocks of up to 32 MB. Activations of chunks of unequal size soon
    fragment them, and the process then holds twice the memory that its tensors need. Huge pages
    (where the system allows them on request) make up for the time that fresh pages take. With
    another C library than glibc nothing happens.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
