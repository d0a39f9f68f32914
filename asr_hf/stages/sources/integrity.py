"""Verifies the checksums of the stores of frames, lattices and graphs, and of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tqdm import tqdm

from asr_hf.data.lattice_store import LatticeStore
from asr_hf.data.store import FrameStore
from asr_hf.data.transcript_store import TranscriptStore
from asr_hf.data.utterance_store import UtteranceStore
from asr_hf.runtime.checkpoint import checkpoints, load_checkpoint
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.events import FILE_NAME as EVENTS
from asr_hf.runtime.events import read_events
from asr_hf.runtime.progress import progress
from asr_hf.training.model_file import FILE_NAME as MODEL
from asr_hf.training.model_file import load_model


def check_folder(folder: Path, named: str | None = None) -> tuple[str, list[str]] | None:
    """Check a store of frames, lattices or graphs of transcripts, or a run.

    Args:
        folder: folder that is checked.
        named: full name of the model class that the settings of the command name, if any.

    Returns:
        A summary of one line, and the problems; None for a folder of another kind.
    """
    if (folder / "store.json").exists():
        return _frames(folder)
    kinds: tuple[type[UtteranceStore], ...] = (LatticeStore, TranscriptStore)
    for kind in kinds:
        if (folder / kind.form.header).exists():
            return _items(kind, folder)
    return _run(folder, named) if (folder / EVENTS).exists() else None


def _frames(folder: Path) -> tuple[str, list[str]]:
    try:
        store = FrameStore.open(folder)
        _count(store.check(), folder, store.num_frames)
    except InputError as error:
        return "damaged", [str(error)]
    return _summary(f"{store.num_units} utterances", store.has_checksums), []


def _items(kind: type[UtteranceStore], folder: Path) -> tuple[str, list[str]]:
    try:
        store = kind.open(folder)
        names = store.utterances
        _count(store.check(), folder, sum(map(store.num_frames, names)))
    except InputError as error:
        return "damaged", [str(error)]
    return _summary(f"{len(names)} {kind.form.items}", store.has_checksums), []


def _run(folder: Path, named: str | None) -> tuple[str, list[str]]:
    kept = checkpoints(folder / "checkpoints")
    reads: list[tuple[Callable[[Path], object], Path]] = [
        (read_events, folder / EVENTS),
        *((load_checkpoint, path) for path in kept),
    ]
    if (folder / MODEL).exists():
        reads.append((lambda path: load_model(path, named), folder / MODEL))
    problems = []
    for read, path in progress(reads, desc=f"checking {folder.name}", unit="file"):
        try:
            read(path)
        except InputError as error:
            problems.append(str(error))
    return f"{len(kept)} checkpoints", problems


def _count(steps: Iterator[int], folder: Path, total: int) -> None:
    bar: tqdm[None] = progress(desc=f"checking {folder.name}", total=total, unit="frame")
    with bar:
        for num_frames in steps:
            bar.update(num_frames)


def _summary(content: str, checksums: bool) -> str:
    if checksums:
        return content
    return f"{content}, written without checksums: sizes alone were checked"
