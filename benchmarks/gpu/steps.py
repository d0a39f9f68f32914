"""Does steps one after another within a bound on time, each in a process of its own.

What one step breaks, a CUDA context too, is not the next one's; and a step that takes too long can
be ended.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.study.runs import ROOT

log = logging.getLogger("asr_hf.benchmarks")

DONE, FAILED, CUT, NOT_BEGUN = "done", "failed", "cut", "not begun"
# Seconds that a process has to end by itself, once it was asked to.
_GRACE = 3.0
# Seconds under which no step is begun: Python and torch alone take as long to start.
_LEAST = 8.0
_TOLD = 2000


@dataclass(frozen=True)
class Step:
    """Something to run.

    Args:
        name: key in the results.
        what: what it shows, for the page.
        seconds: longest time it may take.
        command: command line; {folder} stands for a folder of its own.
        collect: reads the figures of the folder, finished or not.
        needs: modules without which it cannot run.
    """

    name: str
    what: str
    seconds: float
    command: tuple[str, ...]
    collect: Callable[[Path], dict[str, Any]]
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Modules that it needs and that are not installed."""
        return [name for name in self.needs if find_spec(name) is None]


@dataclass
class Entry:
    """What became of a step.

    Args:
        name: name of the step.
        what: what it shows.
        status: done, failed, cut (it took too long) or not begun (no time was left).
        seconds: seconds that it took, with the start of its process.
        figures: figures that it left.
        error: why it failed; empty where it did not.
    """

    name: str
    what: str
    status: str = NOT_BEGUN
    seconds: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)
    error: str = ""


def run_steps(
    steps: Sequence[Step],
    seconds: float,
    folder: Path,
    save: Callable[[list[dict[str, Any]]], None],
    least: float = _LEAST,
) -> list[Entry]:
    """Do steps until the time is over; a failure does not keep the others from being done.

    Args:
        steps: steps, the most valuable first.
        seconds: bound on the time of all.
        folder: folder in which each gets one of its own.
        save: called after each step with the entries of all, as plain values.
        least: seconds under which no step is begun.

    Returns:
        What became of each.
    """
    end = time.monotonic() + seconds
    entries = [Entry(step.name, step.what) for step in steps]
    for step, entry in zip(steps, entries, strict=True):
        left = end - time.monotonic() - _GRACE
        if step.missing:
            entry.status, entry.error = FAILED, "not installed: " + ", ".join(step.missing)
        elif left >= least:
            log.info("%s: at most %.0f s", step.name, min(step.seconds, left))
            _do(step, entry, folder / step.name, min(step.seconds, left))
        log.info("%s: %s, %.1f s %s", step.name, entry.status, entry.seconds, entry.error)
        save([asdict(each) for each in entries])
    return entries


def _do(step: Step, entry: Entry, folder: Path, seconds: float) -> None:
    folder.mkdir(parents=True)
    command = [word.replace("{folder}", str(folder)) for word in step.command]
    start = time.monotonic()
    with (folder / "log").open("wb") as output:
        code = _exit_code(command, seconds, output.fileno())
    entry.seconds = time.monotonic() - start
    entry.status = CUT if code is None else FAILED if code else DONE
    if code:
        told = (folder / "log").read_text(encoding="utf-8", errors="replace").strip()
        entry.error = f"exit code {code}: {told[-_TOLD:]}"
    try:
        entry.figures = step.collect(folder)
    except Exception as error:
        if entry.status == DONE:
            entry.status, entry.error = FAILED, f"no figures: {type(error).__name__}: {error}"


def _exit_code(command: Sequence[str], seconds: float, output: int) -> int | None:
    """Run a command and return its exit code; None where it was ended, with all that it started."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
