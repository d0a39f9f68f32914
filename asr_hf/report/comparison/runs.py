"""Finds the runs that are compared, and reads each of them whatever state it is in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from asr_hf.report.run_data import RunData
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.events import FILE_NAME as EVENTS
from asr_hf.runtime.files import read_json
from asr_hf.runtime.lock import holder_of
from asr_hf.runtime.run_config import FILE_NAME as CONFIG
from asr_hf.runtime.run_folder import INPUTS

# What makes a folder one of a run, from its first second on.
_SIGNS = (CONFIG, EVENTS)


class RunState(StrEnum):
    """How far a run has come."""

    FINISHED = "finished"
    RUNNING = "running"
    UNFINISHED = "unfinished"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class ComparedRun:
    """A run among others.

    Args:
        label: its name among them.
        folder: its folder.
        state: how far it has come.
        data: what its files hold; nothing where they are damaged.
        problem: what is wrong with it; empty where nothing is.
        heldout: identifies the held-out labels and the criterion; runs with the same have
            comparable losses.
    """

    label: str
    folder: Path
    state: RunState
    data: RunData
    problem: str = ""
    heldout: str = ""


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Return the run folders among `paths` and below them, each once.

    Args:
        paths: run folders, and folders that hold such.

    Returns:
        The run folders, those below one folder sorted by name.

    Raises:
        InputError: a folder is not there, or holds no run.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            raise InputError(
                f"{path}: no such folder",
                expected="the folder of a run, or one that holds run folders",
                remedy="asr-hf info lists the runs that there are",
            )
        here = sorted(_below(path))
        if not here:
            raise InputError(
                f"{path}: no run there, nor below",
                expected=f"folders with {CONFIG} and {EVENTS}, as asr-hf train makes them",
                remedy="asr-hf info lists the runs that there are",
            )
        for run in here:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def _below(path: Path) -> Iterator[Path]:
    """Yield run folders at and below a folder; those of links, not what lies deeper there."""
    for root, names, files in os.walk(path):
        if any(sign in files for sign in _SIGNS):
            names.clear()
            yield Path(root)
            continue
        names[:] = [name for name in names if not name.startswith(".")]
        links = [Path(root, name) for name in names if Path(root, name).is_symlink()]
        yield from (link for link in links if any((link / sign).is_file() for sign in _SIGNS))


def read_runs(folders: Sequence[Path], labels: Sequence[str] | None = None) -> list[ComparedRun]:
    """Read runs, finished or not, damaged or not.

    Args:
        folders: run folders.
        labels: names of the runs; None for the folders' names, below what they have in common.

    Returns:
        The runs, in the order of the folders.

    Raises:
        InputError: labels and folders differ in number, or there is no folder.
    """
    if not folders or (labels is not None and len(labels) != len(folders)):
        raise InputError(
            f"{len(folders)} runs with {'no' if labels is None else len(labels)} labels",
            expected="at least one run, and one label for each",
        )
    return [_read(*pair) for pair in zip(folders, labels or _names(folders), strict=True)]


def _names(folders: Sequence[Path]) -> list[str]:
    whole = [folder.absolute() for folder in folders]
    common = Path(os.path.commonpath([folder.parent for folder in whole]))
    return [folder.relative_to(common).as_posix() for folder in whole]


def _read(folder: Path, label: str) -> ComparedRun:
    running = holder_of(folder) is not None
    begun = RunState.RUNNING if running else RunState.UNFINISHED
    if not (folder / EVENTS).exists():
        problem = "no iteration has ended yet"
        return ComparedRun(label, folder, begun, RunData(folder), problem)
    try:
        data = RunData.read(folder)
        heldout = _heldout(folder, data)
        best = data.best
    except (InputError, KeyError, TypeError, ValueError, AttributeError) as error:
        problem = error.problem if isinstance(error, InputError) else f"damaged: {error!r}"
        problem = problem.removeprefix(f"{folder}/")
        return ComparedRun(label, folder, RunState.DAMAGED, RunData(folder), problem)
    state = RunState.FINISHED if data.finished else begun
    # Between a finished training and its end stand decoding and scoring.
    problem = "" if best is not None else "no held-out loss yet"
    return ComparedRun(label, folder, state, data, problem, heldout)


def _heldout(folder: Path, data: RunData) -> str:
    """Identify what a run's held-out loss is measured on, and by which criterion."""
    criterion = data.config.get("criterion") or {}
    parts = [str(criterion.get("_target_"))]
    inputs = read_json(folder / INPUTS) if (folder / INPUTS).exists() else {}
    digests = [
        f"{name} {value}"
        for name, value in sorted(inputs.items())
        if name == "held-out labels.bin" or name.startswith("held-out lattices")
    ]
    corpus, alignment = (data.config.get(group) or {} for group in ("corpus", "alignment"))
    settings = [corpus.get("name"), corpus.get("heldout_set"), alignment.get("tag")]
    return " ".join(map(str, parts + (digests or settings)))
