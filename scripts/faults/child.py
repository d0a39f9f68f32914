"""Runs `asr-hf` in a forked process, which can be prepared before the command starts.

The fork comes after torch was imported, so that a command starts in milliseconds and a hundred
faults take minutes. It is a process of its own, which can be killed or limited.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from asr_hf.cli.main import main

# Modules that commands load late are loaded once for all of them.
_LATE = (
    "asr_hf.cli.train",
    "asr_hf.stages.align",
    "asr_hf.stages.train",
    "hydra.plugins",
    "tensorboard.plugins",
    "torch.utils.tensorboard",
)
for _module in _LATE:
    importlib.import_module(_module)

_CRASHED = 99
# A command of the suite takes a second, or several on a busy machine; after this time it hangs.
_SECONDS = 240.0


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Args:
        code: exit code; minus the signal where it was killed; None where it hung.
        said: standard output and standard error together.
    """

    code: int | None
    said: str


class Child:
    """A running command.

    Args:
        arguments: arguments of asr-hf.
        log: file for its output.
        prepare: function to call in the process before the command.
    """

    def __init__(
        self, arguments: list[str], log: Path, prepare: Callable[[], None] | None = None
    ) -> None:
        self._log = log
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            _become(arguments, log, prepare)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def children(self) -> list[int]:
        """List the processes that the command has started; none once it has ended."""
        try:
            text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        except OSError:
            return []
        return [int(pid) for pid in text.split()]

    def wait_until_it_takes_signals(self) -> None:
        """Wait until asr-hf handles signals; before, the fork gets them."""
        while not self.ended():
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
            caught = re.search(r"^SigCgt:\s*(\w+)", status, flags=re.MULTILINE)
            if caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1:
                return
            time.sleep(0.001)

    def ended(self) -> bool:
        """Return whether the command has ended."""
        if hasattr(self, "_status"):
            return True
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self._status = status
        return pid != 0

    def stopped(self) -> bool:
        """Wait until the process stops itself or ends; return whether it has stopped."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self._status = status
        return os.WIFSTOPPED(status)

    def wait(self) -> Outcome:
        """Wait for the end; let a process that hangs print its stack, and kill it."""
        status = getattr(self, "_status", None)
        end = time.monotonic() + _SECONDS
        while status is None:
            pid, wait_status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                status = wait_status
            elif time.monotonic() > end:
                self.kill(signal.SIGUSR1)
                time.sleep(1)
                self.kill()
                os.waitpid(self.pid, 0)
                return Outcome(None, self._said())
            else:
                time.sleep(0.005)
        return Outcome(os.waitstatus_to_exitcode(status), self._said())

    def _said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")


def _become(arguments: list[str], log: Path, prepare: Callable[[], None] | None) -> None:
    code = _CRASHED
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(out, stream)
        faulthandler.register(signal.SIGUSR1)
        if prepare is not None:
            prepare()
        sys.argv = ["asr-hf", *arguments]
        code = main()
        sys.stdout.flush()
        sys.stderr.flush()
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else _CRASHED
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
