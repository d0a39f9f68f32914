"""Kaldi's transition model, the first part of `final.mdl`: the pdf of each transition id."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_hf.kaldi.reader import KaldiReader
from asr_hf.kaldi.topology import NO_PDF, Topology
from asr_hf.kaldi.writer import KaldiWriter
from asr_hf.runtime.errors import InputError


@dataclass(frozen=True)
class KaldiTransitionModel:
    """Transition states, and the probabilities of the transitions that leave them.

    Transition ids count from 1 through the transitions of one transition state after the other.

    Args:
        topology: the states of every phone.
        tuples: phone, HMM state, forward pdf and self-loop pdf of each transition state
            [states, 4], int32.
        log_probs: natural logarithms [transition ids + 1], entry 0 unused. In double precision,
            so that those of a text file are written again as they were.
    """

    topology: Topology
    tuples: NDArray[np.int32]
    log_probs: NDArray[np.float64]

    @cached_property
    def _transitions(self) -> NDArray[np.int32]:
        """A row for each transition id [transition ids + 1, 4].

        The columns: transition state (from 0), pdf, whether it is a loop, whether it is final.
        """
        rows = [(0, 0, 0, 0)]
        for number, (phone, state, forward, loop) in enumerate(self.tuples.tolist()):
            states = self.topology.states(phone)
            for to, _ in states[state].transitions:
                is_loop = to == state
                is_final = to == len(states) - 1
                rows.append((number, loop if is_loop else forward, is_loop, is_final))
        return np.array(rows, np.int32)

    @property
    def num_transition_ids(self) -> int:
        """Number of transition ids."""
        states = ((self.topology.states(phone), state) for phone, state, *_ in self.tuples.tolist())
        return sum(len(entry[state].transitions) for entry, state in states)

    @property
    def num_pdfs(self) -> int:
        """Number of pdfs: the largest id of any state, plus one."""
        return 1 + int(self.tuples[:, 2:].max())

    @property
    def pdf_of(self) -> NDArray[np.int32]:
        """Pdf of each transition id [transition ids + 1], entry 0 unused."""
        return self._transitions[:, 1]

    @property
    def phone_of(self) -> NDArray[np.int32]:
        """Phone of each transition id [transition ids + 1], entry 0 unused."""
        phones: NDArray[np.int32] = self.tuples[self._transitions[:, 0], 0]
        phones[0] = 0
        return phones

    @property
    def state_of(self) -> NDArray[np.int32]:
        """Transition state, from 1, of each transition id [transition ids + 1], entry 0 unused."""
        return self._transitions[:, 0] + 1

    @property
    def is_self_loop(self) -> NDArray[np.bool_]:
        """Whether a transition stays in its state [transition ids + 1]."""
        return self._transitions[:, 2].astype(bool)

    @property
    def is_final(self) -> NDArray[np.bool_]:
        """Whether a transition ends its phone [transition ids + 1]."""
        return self._transitions[:, 3].astype(bool)

    @classmethod
    def read(cls, reader: KaldiReader) -> KaldiTransitionModel:
        """Read a transition model; what follows in the file (a GMM, a network) is left there.

        Returns:
            The model.

        Raises:
            InputError: it is damaged; the message names the place.
        """
        reader.expect("<TransitionModel>")
        topology = Topology.read(reader)
        start = reader.at
        extended = reader.expect("<Triples>", "<Tuples>") == "<Tuples>"
        rows = []
        for _ in range(reader.count("transition states")):
            row = [reader.integer(what) for what in ("phone", "state", "pdf")]
            rows.append([*row, reader.integer("self-loop pdf") if extended else row[2]])
        reader.expect("</Tuples>" if extended else "</Triples>")
        tuples = np.array(rows, np.int32).reshape(-1, 4)
        _check_tuples(reader, topology, tuples, start)
        start = reader.at
        reader.expect("<LogProbs>")
        model = cls(topology, tuples, reader.vector("log probabilities"))
        # Counted before any table is made: states times transitions may be far more than the file.
        count = model.num_transition_ids + 1
        if len(model.log_probs) != count:
            expected = f"{count}, one for each transition"
            reader.fail(f"{len(model.log_probs)} log probabilities", expected, start)
        reader.expect("</LogProbs>")
        reader.expect("</TransitionModel>")
        return model

    def write(self, writer: KaldiWriter) -> None:
        """Write the model as Kaldi does."""
        hmm = self.topology.is_hmm
        kind = "Triples" if hmm else "Tuples"
        writer.token("<TransitionModel>")
        writer.line_end()
        self.topology.write(writer)
        writer.token(f"<{kind}>")
        writer.integer(len(self.tuples))
        writer.line_end()
        for row in self.tuples[:, : 3 if hmm else 4].tolist():
            writer.integer(*row)
            writer.line_end()
        writer.token(f"</{kind}>")
        writer.line_end()
        writer.token("<LogProbs>")
        writer.line_end()
        writer.vector(self.log_probs)
        for end in ("</LogProbs>", "</TransitionModel>"):
            writer.token(end)
            writer.line_end()


def read_transition_model(path: Path) -> KaldiTransitionModel:
    """Read the transition model of a `final.mdl`, text or binary.

    Returns:
        The model.

    Raises:
        InputError: the file is missing, damaged or of another kind.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: there is no such file",
            expected="the model that the alignments were made with",
            remedy="copy final.mdl into the folder of the alignments",
        )
    return KaldiTransitionModel.read(KaldiReader.open(path))


def _check_tuples(
    reader: KaldiReader, topology: Topology, tuples: NDArray[np.int32], start: int
) -> None:
    if not len(tuples):
        reader.fail("no transition states", "one or more", start)
    for row in tuples.tolist():
        phone, state, forward, loop = row
        states = topology.states(phone)
        if not 0 <= state < len(states) or states[state].forward_class == NO_PDF:
            description = f"transition state of phone {phone}, HMM state {state}"
            reader.fail(description, "states of the topology that have pdfs", start)
        if min(forward, loop) < 0:
            reader.fail(f"pdf {min(forward, loop)} of phone {phone}", "pdfs from 0", start)
