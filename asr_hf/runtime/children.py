"""Child processes that end when their parent ends, however it ends."""

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

# Holds the number of the process that has started a rank; the rank ends with it.
LAUNCHER = "ASR_HF_LAUNCHER"
_PR_SET_PDEATHSIG = 1
_END_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1}

# Reads "+<group>" and "-<group>"; when its input ends, kills the process groups that are left.
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
    """Have the system kill this process when its parent dies (Linux).

    If the parent is gone already, this process leaves at once.

    Args:
        parent: process number of the parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold back signals that ask for an end until the block ends, also in processes it starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _END_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_signals_to_parent() -> None:
    """Ignore signals that ask for an end, in a process that was started within `signals_held`.

    Terminals and schedulers send them to all processes at once; the parent ends this one.
    """
    for number in _END_SIGNALS:
        # Ignored signals would stay ignored in the programs that this process starts.
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _END_SIGNALS)


def run_command(command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Run a command as subprocess.run does; it and its children end with this process.

    Standard input is empty; the outputs are captured.

    Args:
        command: program and arguments.

    Returns:
        The exit code and the outputs, as bytes.

    Raises:
        OSError: the command cannot be run.
    """
    completed: subprocess.CompletedProcess[bytes] = _run(command, None)
    return completed


def run_text_command(
    command: Sequence[str], *, folder: Path | None = None, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command as `run_command` does, with outputs as text.

    Args:
        command: program and arguments.
        folder: working folder of the command; None is this process's.
        timeout: seconds after which the command is killed; None waits for ever.

    Returns:
        The exit code and the outputs, as text.

    Raises:
        OSError: the command cannot be run.
        subprocess.TimeoutExpired: the command took too long.
    """
    completed: subprocess.CompletedProcess[str] = _run(command, timeout, cwd=folder, text=True)
    return completed


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
        _write_to(guard, b"+%d\n" % process.pid)
        try:
            output, errors = process.communicate(timeout=timeout)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            process.wait()
            _write_to(guard, b"-%d\n" % process.pid)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _guard() -> IO[bytes]:
    """Return the standard input of this process's guard, which is started at the first call."""
    if os.getpid() not in _guards:
        with signals_held():
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _GUARD],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                bufsize=0,
            )
        assert process.stdin is not None
        # The guard ends after this process, which therefore never waits for it.
        process.returncode = 0
        _guards[os.getpid()] = process.stdin
    return _guards[os.getpid()]


def _write_to(guard: IO[bytes], line: bytes) -> None:
    # A guard that somebody has killed guards nothing, but the work goes on.
    with suppress(OSError):
        guard.write(line)
