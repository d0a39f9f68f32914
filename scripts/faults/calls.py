"""Runs a function at the n-th call by which a process changes files."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHANGES = ("os.rename", "os.mkdir", "os.truncate", "os.remove")


def at_call(number: int, below: Path, act: Callable[[str], None]) -> None:
    """Call `act` with the name of the `number`-th call, from 1, of `every_call`."""
    count = 0

    def happen(name: str) -> None:
        nonlocal count
        count += 1
        if count == number:
            act(name)

    every_call(below, happen)


def every_call(below: Path, happen: Callable[[str], None]) -> None:
    """Call `happen` before each call of this process that changes a file below a folder.

    These calls are: opening for writing, fsync of any file, rename, truncate, mkdir, remove.
    """
    fsync = os.fsync

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            changes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        elif event in _CHANGES:
            path, changes = arguments[0], True
        else:
            return
        if changes and isinstance(path, str | os.PathLike):
            text = os.fspath(path)
            if isinstance(text, str) and text.startswith(str(below)):
                happen(event)

    def counted_fsync(fd: int) -> None:
        happen("os.fsync")
        fsync(fd)

    sys.addaudithook(hook)
    os.fsync = counted_fsync  # type: ignore[assignment]


def die(_: str) -> None:
    """Die on the spot."""
    os.kill(os.getpid(), signal.SIGKILL)


def pause(_: str) -> None:
    """Stop until the process receives SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)


def disk_full(name: str) -> None:
    """Fail as on a full disk, where files can still be removed and shortened."""
    if name not in ("os.remove", "os.truncate"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
