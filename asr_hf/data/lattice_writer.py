"""Writes the lattices of a set into the few files of a `LatticeStore`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.checksums import FILE_NAME as CHECKSUMS
from asr_hf.data.checksums import crc32, with_checksums
from asr_hf.data.lattice import Lattice
from asr_hf.data.lattice_store import FILES, FORMAT, PHONES, SMALL_FILES, STATE
from asr_hf.runtime.files import replaced_folder, write_json, write_text

Phones = Mapping[str, NDArray[np.int32]]


@dataclass(frozen=True)
class LabelMap:
    """The pdfs and phones that the labels of lattice arcs stand for.

    Args:
        pdf_of: pdf of each transition id [transition ids + 1], int32; entry 0 is unused.
        phone_of: phone of each transition id [transition ids + 1], int32; entry 0 is unused.
        silence_phones: ids of the phones of silence and noises.
    """

    pdf_of: NDArray[np.int32]
    phone_of: NDArray[np.int32]
    silence_phones: Sequence[int]


@dataclass
class _Packed:
    """The index of the lattices that were written so far."""

    names: list[str] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    offsets: list[NDArray[np.int64]] = field(default_factory=lambda: [np.zeros(3, np.int64)])
    sums: list[int] = field(default_factory=list)


def write_lattices(
    folder: Path,
    lattices: Iterable[Lattice],
    labels: LabelMap,
    about: Mapping[str, Any],
    phones: Phones | None = None,
) -> dict[str, Any]:
    """Write a lattice store, which takes the place of `folder` when it is whole.

    Args:
        folder: folder of the store.
        lattices: lattices, in the order of the store.
        labels: meaning of the labels of all lattices.
        about: values that lattices.json holds beside the counts.
        phones: phone of each frame of the transcript [F], by utterance; needed where phones share
            pdfs.

    Returns:
        The content of lattices.json.

    Raises:
        RunError: the disk is full, or the folder is read-only.
    """
    with replaced_folder(folder) as part:
        packed = _write_items(part, lattices, phones)
        np.save(part / "offsets.npy", np.asarray(packed.offsets), allow_pickle=False)
        np.save(part / "frames.npy", np.asarray(packed.frames, np.int32), allow_pickle=False)
        np.save(part / "pdf_of.npy", labels.pdf_of.astype(np.int32), allow_pickle=False)
        np.save(part / "phone_of.npy", labels.phone_of.astype(np.int32), allow_pickle=False)
        np.save(part / CHECKSUMS, np.asarray(packed.sums, np.uint32), allow_pickle=False)
        write_text(part / "utterances.txt", "".join(f"{name}\n" for name in packed.names))
        counts = dict(zip(FILES, packed.offsets[-1].tolist(), strict=True))
        header = {
            "format": FORMAT,
            "utterances": len(packed.names),
            "frames": sum(packed.frames),
            **counts,
        }
        label_facts = {
            "transition_ids": len(labels.pdf_of) - 1,
            "silence_phones": list(labels.silence_phones),
            "phones_of_transcripts": phones is not None,
        }
        written = with_checksums(part, header | label_facts | dict(about), SMALL_FILES)
        write_json(part / "lattices.json", written)
    return written


def _write_items(part: Path, lattices: Iterable[Lattice], phones: Phones | None) -> _Packed:
    """Write the arcs, states and finals of every lattice, and its phones if there are any."""
    packed = _Packed()
    names = [f"{name}.bin" for name in FILES] + [PHONES] * (phones is not None)
    with ExitStack() as stack:
        files = [stack.enter_context(open(part / name, "wb")) for name in names]
        for lattice in lattices:
            items = zip(
                (lattice.arcs, lattice.frame_of, lattice.finals), FILES.values(), strict=True
            )
            pieces = [np.ascontiguousarray(piece, dtype) for piece, dtype in items]
            spoken = [] if phones is None else [_spoken(lattice, phones)]
            for file, piece in zip(files, [*pieces, *spoken], strict=True):
                file.write(piece.tobytes())
            packed.sums.append(crc32(*pieces, *spoken))
            packed.names.append(lattice.utterance)
            packed.frames.append(lattice.num_frames)
            packed.offsets.append(packed.offsets[-1] + np.array([len(piece) for piece in pieces]))
        for file in files:
            file.flush()
            os.fsync(file.fileno())
    return packed


def _spoken(lattice: Lattice, phones: Phones) -> NDArray[np.int32]:
    spoken = np.ascontiguousarray(phones[lattice.utterance], STATE)
    assert len(spoken) == lattice.num_frames
    return spoken
