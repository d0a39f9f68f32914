"""Makes lattices of what a search remembers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.hmm.scores import Scores
from asr_hf.hmm.search.raw_lattice import depths
from asr_hf.hmm.search.search_graph import ArcTable, Indices, SearchGraph
from asr_hf.hmm.search.token_history import Frame, Links, TokenHistory

# Sums taken in another order differ in their last digits.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class TokenArcs:
    """The links of one utterance in a closed history.

    Attributes:
        source, target: numbers of the tokens that each link joins [A]; tokens of later frames have
            larger numbers.
        frame: number of frames before each link [A].
        arcs: label, word and graph score of each link [A], of dtype `ARC`.
        finals: tokens that paths may end in, and their scores, of dtype `FINAL`.
        narrowed: whether the utterance had more links than it may keep.
    """

    source: Indices
    target: Indices
    frame: Indices
    arcs: NDArray[Any]
    finals: NDArray[Any]
    narrowed: bool

    def lattice(self, utterance: str, scores: Scores, pdf_of: NDArray[np.int32]) -> Lattice:
        """Make the lattice, with the unscaled scores [frames, pdfs] of the pdfs on its arcs.

        Returns:
            The lattice.

        Raises:
            AlignmentError: links that take no frame form a circle.
        """
        tokens = np.unique(np.concatenate([self.source, self.target]))
        source, target = (np.searchsorted(tokens, ends) for ends in (self.source, self.target))
        emits = self.arcs["label"] > 0
        frame_of = np.zeros(len(tokens), np.int64)
        frame_of[target] = self.frame + emits
        depth = depths(len(tokens), source[~emits], target[~emits], utterance)
        order = np.lexsort((depth, frame_of))
        number = np.empty(len(tokens), np.int64)
        number[order] = np.arange(len(tokens))
        arcs = self.arcs.copy()
        arcs["source"], arcs["target"] = number[source], number[target]
        pdfs = pdf_of[arcs["label"][emits]]
        arcs["acoustic"][emits] = scores[self.frame[emits], pdfs]
        arcs = arcs[np.lexsort((arcs["word"], arcs["label"], arcs["target"], arcs["source"]))]
        finals = self.finals[np.isin(self.finals["state"], tokens)]
        finals["state"] = number[np.searchsorted(tokens, finals["state"])]
        finals = finals[np.argsort(finals["state"])]
        return Lattice(utterance, arcs, frame_of[order].astype(np.int32), finals)


def token_arcs(
    history: TokenHistory, graph: SearchGraph, max_links: Sequence[int]
) -> Iterator[TokenArcs]:
    """Part a closed history into its utterances.

    Args:
        history: the history of a batch.
        graph: the graph that was searched.
        max_links: number of links that each utterance may keep. When there are more, the worst go,
            but the best path stays; of links equally good, all stay or none.

    Yields:
        The links of each utterance.
    """
    frames = history.frames
    sizes = np.array([len(frame.lane) for frame in frames], np.int64)
    firsts = np.cumsum(sizes) - sizes
    lane_of = np.concatenate([frame.lane for frame in frames])
    limits, narrowed = _limits(frames, max_links)
    pieces = []
    for number, frame in enumerate(frames):
        limit = limits[frame.lane]
        still = frame.still.only(frame.still.behind <= limit[frame.still.target])
        pieces.append(_piece(still, firsts, number, 0, graph.still))
        entering = frame.entering.only(frame.entering.behind <= limit[frame.entering.target])
        pieces.append(_piece(entering, firsts, number, 1, graph.emitting))
    source, target, frame_of, arcs = (np.concatenate(p) for p in zip(*pieces, strict=True))
    finals = _finals(frames, firsts)
    lane_of_arc, lane_of_final = lane_of[target], lane_of[finals["state"]]
    for lane, is_narrowed in enumerate(narrowed):
        here = np.flatnonzero(lane_of_arc == lane)
        ends = finals[lane_of_final == lane]
        yield TokenArcs(
            source[here], target[here], frame_of[here], arcs[here], ends, bool(is_narrowed)
        )


def _limits(
    frames: Sequence[Frame], max_links: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Find how far behind links may be, and whether that excludes some, for each utterance."""
    every = [some for frame in frames for some in (frame.still, frame.entering)]
    lanes = [frame.lane[some.target] for frame in frames for some in (frame.still, frame.entering)]
    behind, lane_of = np.concatenate([some.behind for some in every]), np.concatenate(lanes)
    counts = np.bincount(lane_of, minlength=len(max_links))
    limits = np.full(len(counts), np.inf, np.float32)
    narrowed = counts > max_links
    for lane in np.flatnonzero(narrowed).tolist():
        count = max_links[lane]
        least_gone = np.partition(behind[lane_of == lane], count)[count]
        limits[lane] = max(least_gone - 2 * _ROUNDING, _ROUNDING)
    return limits, narrowed


def _piece(
    some: Links, firsts: Indices, number: int, step: int, table: ArcTable
) -> tuple[Indices, Indices, Indices, NDArray[Any]]:
    """List links into the tokens of a frame: tokens that they join, frames before, and arcs."""
    arcs = np.zeros(len(some), ARC)
    arcs["label"], arcs["word"] = table.label[some.arc], table.word[some.arc]
    # Negated, but no negative zeros.
    arcs["graph"] = 0 - table.cost[some.arc]
    before = number - step
    source, target = some.source + firsts[before], some.target + firsts[number]
    return source, target, np.full(len(some), before), arcs


def _finals(frames: Sequence[Frame], firsts: Indices) -> NDArray[Any]:
    """List the tokens of all utterances that paths may end in."""
    pieces = [np.zeros(0, FINAL)]
    for first, frame in zip(firsts, frames, strict=True):
        if frame.ends is not None:
            ends = np.flatnonzero(np.isfinite(frame.ends.behind))
            finals = np.zeros(len(ends), FINAL)
            finals["state"], finals["graph"] = first + ends, 0 - frame.ends.final[ends]
            pieces.append(finals)
    return np.concatenate(pieces)
