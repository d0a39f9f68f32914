"""Commands in pytest's process do not wait for the disk.

Only a power cut would show whether it has what the system holds. Processes that tests start wait.
"""

from __future__ import annotations

import os
import stat
from typing import Any

_fsync = os.fsync


def unsynced(file: Any) -> None:
    """Refuse what os.fsync refuses, and leave files and folders to the system."""
    descriptor = file if isinstance(file, int) else file.fileno()
    kind = os.fstat(descriptor).st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        _fsync(descriptor)


def use() -> None:
    """Have this process call that."""
    os.fsync = unsynced
