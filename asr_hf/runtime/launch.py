"""Starts the processes of one run on this machine, and sees to it that they end together."""

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
# A rank that waits for others notices at once that they are gone; one that computes does later.
_GRACE_SECONDS = 5.0


def run_processes(command: Sequence[str], count: int, environment: dict[str, str]) -> None:
    """Run `count` processes of one command as ranks, to their common end.

    The first that fails says why on standard error; the others are ended. Signals that ask for
    an end are passed on.

    Args:
        command: the program and its arguments.
        count: how many.
        environment: variables beside those of this process.

    Raises:
        SystemExit: a rank failed and has said why; the exit code is its own.
        Interrupted: a signal ended a rank before it could say so.
        RunError: a rank was killed.
    """
    with tempfile.TemporaryDirectory(prefix="asr-hf-") as folder:
        meeting = Path(folder) / "rendezvous"
        shared = _environment(count, meeting) | environment
        ranks: list[subprocess.Popen[bytes]] = []
        with _passed_on(ranks) as signals:
            try:
                for rank in map(str, range(count)):
                    own = {**shared, "RANK": rank, "LOCAL_RANK": rank}
                    ranks.append(subprocess.Popen(command, env=own))
                failed = _first_failure(ranks)
                if failed is not None:
                    _report(failed, ranks[failed], meeting, count, signals)
            finally:
                _end(ranks)


def _environment(count: int, meeting: Path) -> dict[str, str]:
    """Return what ranks find in their environment, their number left out."""
    found = dict(os.environ)
    found |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    found[RENDEZVOUS] = f"file://{meeting}"
    found[LAUNCHER] = str(os.getpid())
    found.setdefault("OMP_NUM_THREADS", str(max(1, _cores() // count)))
    if sys.platform == "linux":
        # Or gloo goes by the host's name, which need not lead anywhere.
        found.setdefault("GLOO_SOCKET_IFNAME", "lo")
    return found


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _passed_on(ranks: Sequence[subprocess.Popen[bytes]]) -> Iterator[set[int]]:
    """Send the ranks the signals that this process is sent; yields which those were."""
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
    """Wait until all have ended well, or one has not."""
    while True:
        codes = [rank.poll() for rank in ranks]
        bad = [number for number, code in enumerate(codes) if code]
        if bad:
            # One that was killed explains the others.
            return min(bad, key=lambda number: (codes[number] or 0) > 0)
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
    """Say what a rank could not say itself, and leave."""
    code = failed.returncode
    if code == 130:
        raise KeyboardInterrupt
    if code > 0:
        raise SystemExit(code)
    board = FailureBoard(store_at(f"file://{meeting}", number, count), number, count)
    if not board.claim(RunError.exit_code):
        raise SystemExit(board.code)
    if -code in signals:
        # It came before the rank had learnt what to do with it.
        raise interrupted(signal.Signals(-code).name)
    raise RunError(
        f"rank {number} (process {failed.pid}) was killed by {signal.Signals(-code).name}",
        remedy="if nobody killed it, memory may have run out: use fewer runtime.processes, or "
        "set runtime.memory; the same command continues",
    )


def _end(ranks: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait a little for those that still run, then kill them: files are whole at any moment."""
    end = time.monotonic() + _GRACE_SECONDS
    for rank in ranks:
        try:
            rank.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            rank.kill()
            rank.wait()
