"""Writes the lattices of a set into the few files of a `LatticeStore`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.lattice import Lattice
from asr_hf.data.lattice_store import FORM, PDF_OF, PHONE_OF, PHONES, STATE
from asr_hf.data.utterance_writer import Item, save_array, write_header, write_items
from asr_hf.runtime.files import replaced_folder

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
    items = (_item(lattice, phones) for lattice in lattices)
    with replaced_folder(folder) as part:
        made = write_items(part, FORM, items, {} if phones is None else {PHONES: STATE})
        save_array(part, PDF_OF, labels.pdf_of.astype(np.int32))
        save_array(part, PHONE_OF, labels.phone_of.astype(np.int32))
        facts = {
            "utterances": made.utterances,
            "frames": made.frames,
            **made.rows,
            "transition_ids": len(labels.pdf_of) - 1,
            "silence_phones": list(labels.silence_phones),
            "phones_of_transcripts": phones is not None,
        }
        return write_header(part, FORM, facts | dict(about), (PDF_OF, PHONE_OF))


def _item(lattice: Lattice, phones: Phones | None) -> Item:
    pieces = (lattice.arcs, lattice.frame_of, lattice.finals)
    further: tuple[NDArray[np.int32], ...] = ()
    if phones is not None:
        further = (phones[lattice.utterance],)
        assert len(further[0]) == lattice.num_frames
    return Item(lattice.utterance, lattice.num_frames, pieces, further)
