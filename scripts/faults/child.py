"""Runs `asr-hf` in a forked process, in which anything can be done before it starts.

Forking after torch has been imported makes a command start in milliseconds, so that a hundred
faults take minutes; the fork is still a process of its own, to be killed or limited.
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

# What the commands load late, loaded once for all of them.
_LATE = (
    "asr_hf.cli.train",
    "asr_hf.stages.align",
    "asr_hf.stages.train",
    "hydra.plugins",
    "tensorboard.plugins",
    "torch._dynamo",
    "torch.utils.tensorboard",
)
for _module in _LATE:
    importlib.import_module(_module)

_CRASHED = 99
# A command of the suite takes a second, or many on a busy machine; one that takes so long hangs.
_SECONDS = 240.0


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Args:
        code: exit code; minus the signal for one that was killed; None for one that hung.
        said: standard output and error together.
    """

    code: int | None
    said: str


class Child:
    """A command that runs.

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
        """List the processes that it has started; none once it has ended."""
        try:
            text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        except OSError:
            return []
        return [int(pid) for pid in text.split()]

    def wait_until_it_takes_signals(self) -> None:
        """Wait until the command has begun; before, it is not asr-hf that takes them."""
        while not self.ended():
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
            caught = re.search(r"^SigCgt:\s*(\w+)", status, flags=re.MULTILINE)
            if caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1:
                return
            time.sleep(0.001)

    def ended(self) -> bool:
        """Whether it has ended."""
        if hasattr(self, "_status"):
            return True
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self._status = status
        return pid != 0

    def stopped(self) -> bool:
        """Wait until the process stops itself or ends; whether it has stopped."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self._status = status
        return os.WIFSTOPPED(status)

    def wait(self) -> Outcome:
        """Wait for the end; a process that hangs shows its stack, and is killed."""
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
