"""Signals by which schedulers say that time is up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from asr_hf.runtime.errors import AsrHfError

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Interrupted(AsrHfError):
    """A signal ended the run; the same command continues it (exit code 75, EX_TEMPFAIL)."""

    exit_code = 75


class Interruption:
    """Turns SIGTERM and SIGUSR1 into `Interrupted`; use as a context manager.

    While deferred, the first of them is only noted, so that what is under way can end and be
    kept; a second one is not waited with. In threads, where Python takes no signals, it does
    nothing.
    """

    def __init__(self) -> None:
        # The name of the signal that was noted.
        self.noted: str | None = None
        self._deferred = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._take) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Note the first signal of the block in place of raising it."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _take(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._deferred and self.noted is None:
            self.noted = name
            return
        raise interrupted(name)


def ignore_signals() -> None:
    """Take no more signals: this process is about to say why it ends."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def interrupted(name: str | None) -> Interrupted:
    """The error for a signal; None for one that another rank was sent."""
    return Interrupted(
        f"stopped by {name or 'a signal to another rank'}", remedy="the same command continues"
    )
