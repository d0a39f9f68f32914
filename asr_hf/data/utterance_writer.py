"""Writes the items of a set, one an utterance, into the few files of an `UtteranceStore`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.checksums import FILE_NAME as CHECKSUMS
from asr_hf.data.checksums import crc32, with_checksums
from asr_hf.data.utterance_store import FRAMES, OFFSETS, UTTERANCES, StoreForm
from asr_hf.runtime.files import write_json, write_text


@dataclass(frozen=True)
class Item:
    """What one utterance puts into a store.

    Args:
        utterance: name of the utterance.
        num_frames: number of its frames.
        pieces: its rows of each file of the form.
        further: its rows of further files, whose bounds do not stand in offsets.npy.
    """

    utterance: str
    num_frames: int
    pieces: tuple[NDArray[Any], ...]
    further: tuple[NDArray[Any], ...] = ()


@dataclass(frozen=True)
class Counts:
    """What was written.

    Args:
        utterances: number of utterances.
        frames: number of their frames.
        rows: number of rows of each file of the form, by its name without the ending.
    """

    utterances: int
    frames: int
    rows: Mapping[str, int]


def write_items(
    part: Path,
    form: StoreForm,
    items: Iterable[Item],
    further: Mapping[str, np.dtype[Any]] | None = None,
) -> Counts:
    """Write the items of a store, and the arrays that say where they lie.

    Args:
        part: folder that is written into.
        form: form of the store.
        items: the items, in the order of the store.
        further: dtype of the rows of each further file, by its name.

    Returns:
        What was written.
    """
    files = dict(form.files) | dict(further or {})
    names, frames, sums = [], [], []
    ends = [np.zeros(len(form.files), np.int64)]
    with ExitStack() as stack:
        opened = [stack.enter_context(open(part / name, "wb")) for name in files]
        for item in items:
            pieces = [
                np.ascontiguousarray(piece, dtype)
                for piece, dtype in zip((*item.pieces, *item.further), files.values(), strict=True)
            ]
            for file, piece in zip(opened, pieces, strict=True):
                file.write(piece.tobytes())
            names.append(item.utterance)
            frames.append(item.num_frames)
            sums.append(crc32(*pieces))
            ends.append(ends[-1] + np.array([len(piece) for piece in item.pieces]))
        for file in opened:
            file.flush()
            os.fsync(file.fileno())
    save_array(part, OFFSETS, np.asarray(ends))
    save_array(part, FRAMES, np.asarray(frames, np.int32))
    save_array(part, CHECKSUMS, np.asarray(sums, np.uint32))
    write_text(part / UTTERANCES, "".join(f"{name}\n" for name in names))
    rows = {Path(name).stem: int(end) for name, end in zip(form.files, ends[-1], strict=True)}
    return Counts(len(names), sum(frames), rows)


def save_array(part: Path, name: str, array: NDArray[Any]) -> None:
    """Write an array of a store."""
    np.save(part / name, array, allow_pickle=False)


def write_header(
    part: Path, form: StoreForm, about: Mapping[str, Any], arrays: Iterable[str] = ()
) -> dict[str, Any]:
    """Write the description of a store, with the checksums of its small files.

    Args:
        part: folder that the items have been written into.
        form: form of the store.
        about: what the description holds beside the format.
        arrays: names of the arrays that stand beside those of `write_items`.

    Returns:
        The content of the description.
    """
    small = (OFFSETS, FRAMES, *arrays, CHECKSUMS, UTTERANCES)
    written = with_checksums(part, {"format": form.name, **about}, small)
    write_json(part / form.header, written)
    return written
