"""Reads the lattices of a set, which `lattice_writer` has packed into a few files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.header import Header
from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.data.utterance_store import StoreForm, UtteranceStore
from asr_hf.runtime.errors import InputError

STATE = np.dtype("<i4")
FORM = StoreForm(
    name="asr-hf-lattices-1",
    header="lattices.json",
    files={"arcs.bin": ARC, "states.bin": STATE, "finals.bin": FINAL},
    item="lattice",
    items="lattices",
    verb="asr-hf lattices",
)
# The phone of each frame of the transcript, in stores where the labels do not give it.
PHONES = "phones.bin"
PDF_OF, PHONE_OF = "pdf_of.npy", "phone_of.npy"


def of_phase(utterance: str, phase: int) -> str:
    """Return the name of an utterance's lattices from a first emitted frame on.

    Names of utterances have no blanks.
    """
    return f"{utterance} {phase}" if phase else utterance


class LatticeStore(UtteranceStore):
    """A lattice store that is open for reading; see `open`.

    Args:
        folder: folder of the store.
        header: description of the store.

    Attributes:
        folder: folder of the store.
        about: content of lattices.json.
        pdf_of: pdf of each transition id [transition ids + 1], int32; entry 0 is unused.
        phone_of: phone of each transition id [transition ids + 1], int32; entry 0 is unused.
        silence_phones: ids of the phones of silence and noises.
        has_phones: whether the store holds the phones of the transcripts.
        phases: of a network that emits every k-th frame, how many of the first k frames may be the
            first that it emits; see `of_phase`.
    """

    form = FORM

    def __init__(self, folder: Path, header: Header) -> None:
        super().__init__(folder, header)
        labels = header.count("transition_ids") + 1
        self.pdf_of = self._array(PDF_OF, np.dtype(np.int32), (labels,))
        self.phone_of = self._array(PHONE_OF, np.dtype(np.int32), (labels,))
        self.silence_phones: list[int] = header.counts("silence_phones")
        self.phases: int = header.count("phases") if "phases" in self.about else 1
        self.has_phones = bool(self.about.get("phones_of_transcripts"))
        if self.has_phones:
            ends = np.cumsum(self._frames, dtype=np.int64)
            self._open_rows(PHONES, STATE, np.concatenate([[0], ends]))

    def lattice(self, name: str) -> Lattice:
        """Return the lattice of an utterance that is not cut into pieces; see `pieces`."""
        (lattice,) = self.pieces(name)
        return lattice

    def pieces(self, name: str) -> list[Lattice]:
        """Return the lattices of an utterance's pieces, one behind the other.

        Checksums are compared, and a lattice's form is checked when it is read for the first time.

        Args:
            name: name of the utterance.

        Raises:
            InputError: the utterance has no lattice, or a damaged one.
        """
        return [self._lattice(name, number) for number in self._numbers(name)]

    def _lattice(self, name: str, number: int) -> Lattice:
        arcs, states, finals, *_ = self._read(name, number)
        lattice = Lattice(name, arcs, states, finals)
        self._check_once(number, lambda: self._check_form(lattice, int(self._frames[number])))
        return lattice

    def phones(self, name: str) -> NDArray[np.int32]:
        """Return the phone of each frame of the transcript [F], int32; needs `has_phones`.

        Utterances with phones are not cut into pieces.

        Args:
            name: name of the utterance.

        Raises:
            InputError: the utterance has no lattice, or a damaged one.
        """
        (number,) = self._numbers(name)
        *_, phones = self._read(name, number)
        return phones

    def _touch(self, name: str) -> None:
        self.pieces(name)

    def _check_form(self, lattice: Lattice, num_frames: int) -> None:
        try:
            lattice.check(len(self.pdf_of) - 1)
        except InputError as error:
            raise InputError(
                f"{self.folder}: {error.problem}",
                expected="the lattices as they were written",
                remedy=self.form.remedy,
            ) from error
        if lattice.num_frames != num_frames:
            raise InputError(
                f"{self.folder}: {lattice.utterance}: a lattice of {lattice.num_frames} frames",
                expected=f"{num_frames}, as in frames.npy",
                remedy=self.form.remedy,
            )
