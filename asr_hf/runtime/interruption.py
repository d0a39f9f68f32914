"""Signals by which schedulers say that time is up.

Of all that a process does, only the signal itself can come at any moment: `Interrupted` is no
`Exception`, so that no handler of errors takes it for one.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from asr_hf.runtime.errors import AsrHfError

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
# Seconds after which a signal is raised again that something has swallowed.
_AGAIN = 5.0


class Interrupted(BaseException):
    """A signal ended the run; the same command continues it (exit code 75, EX_TEMPFAIL)."""

    exit_code = 75


class Interruption:
    """Turns SIGTERM and SIGUSR1 into `Interrupted`; use as a context manager.

    While deferred, the first of them is only noted, so that what is under way can end and be
    kept; a second one is not waited with. In threads, where Python takes no signals, it does
    nothing.
    """

    # How this process must stop, where a thread of its own says so by a signal.
    _must_stop: BaseException | None = None
    # The name of the last signal that was raised.
    raised: str | None = None

    def __init__(self) -> None:
        # The name of the signal that was noted.
        self.noted: str | None = None
        self._deferred = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            Interruption.raised = None
            self._before = {number: signal.signal(number, self._take) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        if signal.SIGALRM in self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
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
        if (error := Interruption._must_stop) is not None:
            Interruption._must_stop = None
            raise error
        name = signal.Signals(number).name
        if self._deferred and self.noted is None:
            self.noted = name
            return
        self._raise(name)

    def _raise(self, name: str) -> None:
        """Raise, now and, where that is of no effect (in `__del__`, say), soon again."""

        def again(number: int, frame: FrameType | None) -> None:
            raise interrupted(name)

        Interruption.raised = name
        before = signal.signal(signal.SIGALRM, again)
        self._before.setdefault(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
        raise interrupted(name)


def stop_this_process(error: BaseException) -> None:
    """From any thread: raise an error in the main one, whatever it is doing.

    Nothing happens where signals are not taken.
    """
    if callable(signal.getsignal(signal.SIGUSR1)):
        Interruption._must_stop = error
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)


def ignore_signals() -> None:
    """Take no more signals: this process is about to say why it ends, or has done all it should."""
    for number in (*SIGNALS, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def say_nothing_of_interrupts() -> None:
    """Print no traceback for a signal that came in a place that cannot raise."""

    def said(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, Interrupted | KeyboardInterrupt):
            sys.__unraisablehook__(unraisable)

    sys.unraisablehook = said


def interrupted(name: str | None) -> Interrupted:
    """Return what a signal ends a run with; None for one that another rank was sent."""
    problem = f"stopped by {name or 'a signal to another rank'}"
    return Interrupted(str(AsrHfError(problem, remedy="the same command continues")))
