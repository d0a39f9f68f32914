"""Beam search that keeps every path near the best one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from asr_hf.data.lattice import Lattice
from asr_hf.hmm.graph.fst import Fst
from asr_hf.hmm.kaldi import kaldi_decoder
from asr_hf.hmm.scores import ScoreColumns, Scores
from asr_hf.hmm.search.raw_lattice import NoPathError, parse_openfst, to_lattice, with_acoustics
from asr_hf.runtime.errors import RunError


class LatticeDecoder:
    """Searches a graph for lattices; holds graph and transition model.

    The search has no limit on its states; its links are pruned every 25 frames.

    Args:
        transitions: the transition model that the graph was made with.
        graph: a decoding graph.
        beam: log-probability width of the search.
        lattice_beam: how far below the best path's score a path may lie and be kept.
    """

    def __init__(
        self, transitions: ScoreColumns, graph: Fst, beam: float, lattice_beam: float
    ) -> None:
        self._transitions = transitions
        self._graph = graph
        self._options = kaldi_decoder.LatticeSimpleDecoderConfig(
            beam=beam, lattice_beam=lattice_beam
        )

    def decode(self, log_likelihoods: Scores, acoustic_scale: float, utterance: str) -> Lattice:
        """Search with scores [frames, pdfs].

        Returns:
            The lattice, its acoustic scores unscaled.

        Raises:
            NoPathError: no path reached a final state with the last frame.
            AlignmentError: the scores are bad.
            RunError: the disk is full.
        """
        scores = self._transitions.columns(log_likelihoods, acoustic_scale, utterance)
        # A used one visits states in another order, which decides what a narrow beam keeps.
        decoder = kaldi_decoder.LatticeSimpleDecoder(self._graph, self._options)
        reached = decoder.decode(kaldi_decoder.DecodableCtc(scores))
        if not reached or decoder.final_relative_cost() == float("inf"):
            raise NoPathError(
                f"{utterance}: no path reached the end of its {len(scores)} frames",
                expected="a final state after the last frame",
                remedy="raise the beam, or look at the recording's end",
            )
        complete, raw = decoder.get_raw_lattice(use_final_probs=True)
        if not complete:
            raise NoPathError(f"{utterance}: the search lost every path", remedy="raise the beam")
        # The library hands out lattices only as text of six digits or as files.
        with tempfile.TemporaryDirectory(prefix="asr-hf-") as folder:
            path = Path(folder) / "lattice"
            if not raw.write(str(path)):
                raise RunError(f"{path}: cannot be written", remedy="check free space")
            lattice = to_lattice(parse_openfst(path.read_bytes()), utterance)
        return with_acoustics(lattice, log_likelihoods, self._transitions.pdf_of)
