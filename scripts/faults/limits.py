"""Limits what a process can do."""

from __future__ import annotations

import ctypes
import os
import resource
import signal


def limit_files(size: int, action: signal.Handlers) -> None:
    """Limit files to `size` bytes: SIG_DFL kills a writer of more, SIG_IGN makes writes fail."""
    signal.signal(signal.SIGXFSZ, action)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def obey_modes() -> None:
    """Drop the capabilities by which root writes into read-only folders."""
    if os.getuid():
        return
    version, nothing = 0x20080522, (ctypes.c_uint32 * 6)()
    head = (ctypes.c_uint32 * 2)(version, 0)
    if ctypes.CDLL(None, use_errno=True).capset(head, nothing):
        raise OSError(ctypes.get_errno(), "capset")
