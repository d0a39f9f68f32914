"""Beam search that keeps every path near the best one, of as many as its limits allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asr_hf.data.lattice import Lattice
from asr_hf.hmm.scores import ScoreColumns, Scores, check_scores
from asr_hf.hmm.search.beam_search import BeamSearch, Ending
from asr_hf.hmm.search.limits import SearchLimits
from asr_hf.hmm.search.raw_lattice import NoPathError
from asr_hf.hmm.search.search_graph import SearchGraph
from asr_hf.hmm.search.token_lattice import TokenArcs, token_arcs

# States of all utterances that are searched at once: 128 MB.
_MAX_PLACES = 16 * 2**20
_ANY = 2**62


@dataclass(frozen=True)
class Found:
    """What a search has found.

    Attributes:
        lattice: lattice with unscaled acoustic scores; None where every path got lost.
        complete: whether its paths end in final states; otherwise no path reached one, and all
            paths to the last frame are kept.
        limited_frames: number of frames that had more than `max_active` states.
        narrowed: whether the lattice had too many arcs.
    """

    lattice: Lattice | None
    complete: bool
    limited_frames: int
    narrowed: bool

    def whole(self, utterance: str, frames: int) -> Lattice:
        """Return the lattice if its paths end in final states.

        Raises:
            NoPathError: no path reached a final state with the last frame.
        """
        if self.lattice is None or not self.complete:
            raise NoPathError(
                f"{utterance}: no path reached the end of its {frames} frames",
                expected="a final state after the last frame",
                remedy="raise the beam, or look at the recording's end",
            )
        return self.lattice


class LatticeDecoder:
    """Searches a graph for lattices.

    Args:
        transitions: tells the pdfs of the graph's transition ids.
        graph: a decoding graph.
        limits: width of the search.
    """

    def __init__(self, transitions: ScoreColumns, graph: SearchGraph, limits: SearchLimits) -> None:
        self._graph, self._limits = graph, limits
        self._num_pdfs, self._all_pdfs = transitions.num_pdfs, transitions.pdf_of
        self._pdf_of = transitions.pdf_of[graph.emitting.label]

    def decode(self, batch: Sequence[tuple[str, Scores]], acoustic_scale: float) -> list[Found]:
        """Search several utterances at once, which is faster than one after another.

        Args:
            batch: name and scores [frames, pdfs] of each utterance.
            acoustic_scale: weight of the scores.

        Returns:
            What was found for each utterance, whatever the others are.

        Raises:
            AlignmentError: the scores are bad.
        """
        for utterance, scores in batch:
            check_scores(scores, self._num_pdfs, utterance)
        size = max(1, _MAX_PLACES // self._graph.num_states)
        parts = [batch[first:][:size] for first in range(0, len(batch), size)]
        return [found for part in parts for found in self._search(part, acoustic_scale)]

    def decode_one(self, utterance: str, scores: Scores, acoustic_scale: float) -> Lattice:
        """Search one utterance, whose paths must reach the end.

        Returns:
            The lattice.

        Raises:
            NoPathError: no path reached a final state with the last frame.
            AlignmentError: the scores are bad.
        """
        (found,) = self.decode([(utterance, scores)], acoustic_scale)
        return found.whole(utterance, len(scores))

    def _search(self, batch: Sequence[tuple[str, Scores]], acoustic_scale: float) -> list[Found]:
        order = sorted(range(len(batch)), key=lambda number: -len(batch[number][1]))
        scores = [batch[number][1] for number in order]
        search = BeamSearch(self._graph, self._pdf_of, scores, acoustic_scale, self._limits)
        endings = search.run()
        per_frame = self._limits.max_arcs_per_frame
        max_links = [_ANY if per_frame is None else per_frame * len(one) for one in scores]
        parts = token_arcs(search.history, self._graph, max_links)
        found = {
            number: self._found(part, batch[number], ending)
            for number, part, ending in zip(order, parts, endings, strict=True)
        }
        return [found[number] for number in range(len(batch))]

    def _found(self, arcs: TokenArcs, job: tuple[str, Scores], ending: Ending) -> Found:
        lattice = arcs.lattice(*job, self._all_pdfs) if len(arcs.arcs) else None
        return Found(lattice, ending.complete, ending.limited_frames, arcs.narrowed)
