"""Processes that end with the one that has started them, however that ends."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

# Names the process that has started a rank, which ends with it.
LAUNCHER = "ASR_HF_LAUNCHER"
_PR_SET_PDEATHSIG = 1
_ASKING = {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1}

# Kills the groups of processes that it was told of and not told to forget, once its input ends.
_GUARD = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""
_guards: dict[int, IO[bytes]] = {}


def die_with(parent: int) -> None:
    """Have this process killed when the one that has started it is (Linux), or leave at once.

    Args:
        parent: the process that should still be there.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


@contextmanager
def signals_held() -> Iterator[None]:
    """Let signals that ask for an end come after the block; processes begun in it hold them too."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ASKING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_signals_to_parent() -> None:
    """In a process begun within `signals_held`: do nothing when asked for an end.

    Terminals and schedulers ask all processes at once, and the parent sees to this one's end.
    """
    for number in _ASKING:
        # Ignored signals would stay ignored in the programs that this process starts.
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ASKING)


def run_command(command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Run a command as subprocess.run does; it and what it starts end with this process.

    Standard input is empty, outputs are captured.

    Raises:
        OSError: it cannot be run.
    """
    done: subprocess.CompletedProcess[bytes] = _run(command, None)
    return done


def run_text_command(
    command: Sequence[str], *, folder: Path | None = None, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command as `run_command` does, whose outputs are text.

    Args:
        command: program and arguments.
        folder: where it runs.
        timeout: seconds after which it is killed.

    Raises:
        OSError: it cannot be run.
        subprocess.TimeoutExpired: it took too long.
    """
    done: subprocess.CompletedProcess[str] = _run(command, timeout, cwd=folder, text=True)
    return done


def _run(command: Sequence[str], timeout: float | None, **options: Any) -> Any:
    guard = _guard()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **options,
    ) as process:
        _tell(guard, b"+%d\n" % process.pid)
        try:
            said, complained = process.communicate(timeout=timeout)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            process.wait()
            _tell(guard, b"-%d\n" % process.pid)
    return subprocess.CompletedProcess(command, process.returncode, said, complained)


def _guard() -> IO[bytes]:
    """Return the input of this process's guard."""
    if os.getpid() not in _guards:
        with signals_held():
            begun = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _GUARD],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                bufsize=0,
            )
        assert begun.stdin is not None
        # It ends when this process does: nobody waits for it.
        begun.returncode = 0
        _guards[os.getpid()] = begun.stdin
    return _guards[os.getpid()]


def _tell(guard: IO[bytes], line: bytes) -> None:
    # A guard that somebody has killed guards nothing, but the work goes on.
    with suppress(OSError):
        guard.write(line)
