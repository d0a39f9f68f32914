"""Sets how the C library allocates large blocks of memory on the CPU."""

from __future__ import annotations

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# The activations of 8192 frames and 256 units.
_LARGE = 1 << 23
_SPARE = 1 << 25


def return_large_blocks() -> None:
    """Give each large block pages of its own, so that freed memory goes back to the system.

    By default glibc keeps freed blocks of up to 32 MB. Activations of chunks of unequal size soon
    fragment them, and the process then holds twice the memory that its tensors need. Huge pages
    (where the system allows them on request) make up for some of the time that fresh pages take:
    for the narrow layers and small chunks whose blocks are below 8 MB, those pages would cost more
    than half of the arithmetic, so these stay with glibc, which also keeps up to 32 MB of free
    memory at its end. With another C library than glibc nothing happens.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _SPARE)
