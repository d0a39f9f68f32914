"""The signals that stop a process: SIGTERM and SIGUSR1 of schedulers, and Ctrl-C.

A signal can come at any moment. `Interrupted` is no `Exception`, so that no `except Exception`
takes it for an error of the work.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from asr_hf.runtime.errors import AsrHfError

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
# Seconds after which an exception is raised again, where something has swallowed it.
_REPEAT_SECONDS = 5.0


class Interrupted(BaseException):
    """A signal ended the run; the same command continues it (exit code 75, EX_TEMPFAIL)."""

    exit_code = 75


class Interruption:
    """Turns SIGTERM and SIGUSR1 into `Interrupted`; use as a context manager.

    Ctrl-C raises KeyboardInterrupt, as ever, unless the program has another handler for it.

    While signals are deferred, the first one is only noted, so that the step under way can end and
    be kept; a second one is raised at once. In threads other than the main one, where Python takes
    no signals, it does nothing.

    Attributes:
        raised: name of the last signal that was raised; None where none was.
        noted: name of the signal that was deferred; None where none was.
    """

    # An error that a thread of this process wants the main thread to raise.
    _must_stop: BaseException | None = None
    raised: str | None = None

    def __init__(self) -> None:
        self.noted: str | None = None
        self._deferred = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            Interruption.raised = None
            self._before = {number: signal.signal(number, self._take) for number in SIGNALS}
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._ctrl_c)
        return self

    def __exit__(self, *_: object) -> None:
        if signal.SIGALRM in self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Note the first signal that comes in the block instead of raising it."""
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

    def _ctrl_c(self, number: int, frame: FrameType | None) -> None:
        self._raise_until_it_ends(KeyboardInterrupt)

    def _raise(self, name: str) -> None:
        Interruption.raised = name
        self._raise_until_it_ends(lambda: interrupted(name))

    def _raise_until_it_ends(self, error: Callable[[], BaseException]) -> None:
        """Raise an error now, and again later where it has no effect (in `__del__`, say)."""

        def repeat(number: int, frame: FrameType | None) -> None:
            raise error()

        before = signal.signal(signal.SIGALRM, repeat)
        self._before.setdefault(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, _REPEAT_SECONDS, _REPEAT_SECONDS)
        raise error()


def stop_this_process(error: BaseException) -> None:
    """Raise an error in the main thread, whatever it is doing; may be called from any thread.

    Nothing happens outside of an `Interruption`, where signals are not handled.

    Args:
        error: error to be raised.
    """
    if callable(signal.getsignal(signal.SIGUSR1)):
        Interruption._must_stop = error
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)


def ignore_signals() -> None:
    """Ignore signals from now on: this process is done, or is about to say why it ends."""
    for number in (*SIGNALS, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def say_nothing_of_interrupts() -> None:
    """Print no traceback for a signal that came where Python cannot raise (in `__del__`, say)."""

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, Interrupted | KeyboardInterrupt):
            sys.__unraisablehook__(unraisable)

    sys.unraisablehook = hook


def interrupted(name: str | None) -> Interrupted:
    """Return the `Interrupted` of a signal; None stands for a signal that another rank was sent."""
    problem = f"stopped by {name or 'a signal to another rank'}"
    return Interrupted(str(AsrHfError(problem, remedy="the same command continues")))
