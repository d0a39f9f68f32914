"""Starts the ranks of one run on this machine, and makes them end together."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from asr_hf.runtime.children import LAUNCHER
from asr_hf.runtime.errors import RunError
from asr_hf.runtime.failures import FailureBoard
from asr_hf.runtime.interruption import SIGNALS, interrupted
from asr_hf.runtime.process_group import RENDEZVOUS, store_at

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.05
# A rank that waits for others notices at once that they are gone; a rank that computes, later.
_GRACE_SECONDS = 5.0


def run_processes(command: Sequence[str], count: int, environment: dict[str, str]) -> None:
    """Run `count` processes of one command as ranks, and wait until all have ended.

    The first rank that fails says why on standard error; the others are ended. Signals that ask
    for an end are passed on to the ranks.

    Args:
        command: program and arguments.
        count: number of ranks.
        environment: environment variables beside those of this process.

    Raises:
        SystemExit: a rank failed and has said why; the exit code is that of the rank.
        Interrupted: a signal ended a rank before the rank could report it.
        RunError: a rank was killed.
    """
    with tempfile.TemporaryDirectory(prefix="asr-hf-") as folder:
        meeting = Path(folder) / "rendezvous"
        shared = _environment(count, meeting) | environment
        ranks: list[subprocess.Popen[bytes]] = []
        with _passed_on(ranks) as signals:
            try:
                for rank in map(str, range(count)):
                    variables = {**shared, "RANK": rank, "LOCAL_RANK": rank}
                    ranks.append(subprocess.Popen(command, env=variables))
                failed = _first_failure(ranks)
                if failed is not None:
                    _report(failed, ranks[failed], meeting, count, signals)
            finally:
                _end(ranks)


def _environment(count: int, meeting: Path) -> dict[str, str]:
    """Return the environment variables that all ranks share."""
    variables = dict(os.environ)
    variables |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    variables[RENDEZVOUS] = f"file://{meeting}"
    variables[LAUNCHER] = str(os.getpid())
    variables.setdefault("OMP_NUM_THREADS", str(max(1, _cores() // count)))
    if sys.platform == "linux":
        # Otherwise gloo goes by the host's name, which may lead nowhere.
        variables.setdefault("GLOO_SOCKET_IFNAME", "lo")
    return variables


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _passed_on(ranks: Sequence[subprocess.Popen[bytes]]) -> Iterator[set[int]]:
    """Pass signals to this process on to the ranks; yield the set of those that came."""
    passed: set[int] = set()

    def pass_on(number: int, frame: FrameType | None) -> None:
        passed.add(number)
        for rank in ranks:
            rank.send_signal(number)

    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, pass_on) for number in SIGNALS if main}
    try:
        yield passed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _first_failure(ranks: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Wait until all ranks have ended or one has failed; return its number, or None."""
    while True:
        codes = [rank.poll() for rank in ranks]
        failed = [number for number, code in enumerate(codes) if code]
        if failed:
            # A rank that was killed explains the failure of the others.
            return min(failed, key=lambda number: (codes[number] or 0) > 0)
        if all(code == 0 for code in codes):
            return None
        time.sleep(_POLL_SECONDS)


def _report(
    number: int,
    failed: subprocess.Popen[bytes],
    meeting: Path,
    count: int,
    signals: set[int],
) -> None:
    """Report the failure of a rank that could not report it itself, and leave with its code."""
    code = failed.returncode
    if code == 130:
        raise KeyboardInterrupt
    if code > 0:
        raise SystemExit(code)
    board = FailureBoard(store_at(f"file://{meeting}", number, count), number, count)
    if not board.claim(RunError.exit_code):
        raise SystemExit(board.code)
    if -code in signals:
        # The signal came before the rank had a handler for it.
        raise interrupted(signal.Signals(-code).name)
    raise RunError(
        f"rank {number} (process {failed.pid}) was killed by {signal.Signals(-code).name}",
        remedy="if nobody killed it, memory may have run out: use fewer runtime.processes, or "
        "set runtime.memory; the same command continues",
    )


def _end(ranks: Sequence[subprocess.Popen[bytes]]) -> None:
    """Give the ranks some seconds to end, then kill them: files are whole at any moment."""
    deadline = time.monotonic() + _GRACE_SECONDS
    for rank in ranks:
        try:
            rank.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            rank.kill()
            rank.wait()
