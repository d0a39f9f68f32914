"""How the C library hands out large blocks on the CPU."""

from __future__ import annotations

import ctypes
import os

_M_MMAP_THRESHOLD = -3
_LARGE = 1 << 20


def return_large_blocks() -> None:
    """Give each large block pages of its own, so that memory freed is memory returned.

    By default glibc keeps freed blocks of up to 32 MB, which activations of unequal chunks soon
    fragment: a process then holds twice of what its tensors need. Huge pages (where the system
    allows them on request) make up for the time that fresh pages take. Does nothing where the C
    library is another.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
