"""What was said, as lattice-free MMI holds it against everything: two kinds of graphs of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from torch import Tensor

from asr_hf.criteria.forward_backward import ForwardBackward
from asr_hf.criteria.lattice_batch import LatticeBatch
from asr_hf.criteria.sequence import SequenceTargets, occupancies, places
from asr_hf.criteria.transcript_batch import TranscriptBatch
from asr_hf.criteria.transcript_paths import TranscriptPaths


@dataclass(frozen=True)
class TranscriptTargets:
    """Transcripts that a batch of utterances is compared with; nothing says when what was said.

    Args:
        graphs: graphs of the transcripts, in the order of their frames.
    """

    graphs: TranscriptBatch


NumeratorTargets = SequenceTargets | TranscriptTargets


class Said(Protocol):
    """The distribution over the paths of what was said, given the outputs."""

    @property
    def totals(self) -> Tensor:
        """Log of the weight of all paths of each utterance [U], float64."""
        ...

    @property
    def occupancies(self) -> Tensor:
        """Expected number of times that a frame takes a pdf [F, C]."""
        ...


class AlignedPaths:
    """The paths of graphs in which each phone is about where it was aligned.

    Args:
        lattices: the graphs, as lattices.
        scores: outputs [F, C].
    """

    def __init__(self, lattices: LatticeBatch, scores: Tensor) -> None:
        self._lattices, self._scores = lattices, scores
        on_arcs = lattices.graph.clone()
        where = places(lattices, scores.shape[1])
        on_arcs[: len(where)].add_(scores.reshape(-1).index_select(0, where).double())
        self._paths = ForwardBackward(lattices, on_arcs)
        self.totals = self._paths.totals

    @cached_property
    def occupancies(self) -> Tensor:
        """See `Said`."""
        return occupancies(self._lattices, self._paths.posteriors, self._scores)


def lengths_of(targets: NumeratorTargets) -> Tensor:
    """Return the number of frames of each utterance [U]."""
    if isinstance(targets, TranscriptTargets):
        return targets.graphs.lengths
    return targets.lattices.lengths


def said(targets: NumeratorTargets, scores: Tensor) -> Said:
    """Return the distribution over the paths of what was said.

    Args:
        targets: the graphs.
        scores: outputs [F, C].
    """
    if isinstance(targets, TranscriptTargets):
        return TranscriptPaths(targets.graphs, scores)
    return AlignedPaths(targets.lattices, scores)


def labels_of(targets: NumeratorTargets, paths: Said) -> Tensor:
    """Return the pdf that each frame should have [F]: its label, or else the likeliest one said."""
    if isinstance(targets, TranscriptTargets):
        return paths.occupancies.argmax(dim=1)
    return targets.labels
