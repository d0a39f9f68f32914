"""How probable each frame is as the begin or the end of a phone: forward–backward on a graph.

All paths that say the phones count, whatever their pauses, each by its probability (Baum et al.,
1970, in the scaled form of Rabiner, 1989, section V.A).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.alignment.boundary_graph import BoundaryGraph
from asr_hf.hmm.scores import AlignmentError

# Nodes whose share of a frame is smaller are given up, exp(-92) of it: the search's second beam is
# exp(-40) of the best path.
_LEAST_SHARE = 1e-40
# Smaller probabilities of a boundary change no time that is written.
_LEAST_MASS = 1e-9


@dataclass(frozen=True)
class Spread:
    """The probabilities of one boundary.

    Attributes:
        frames: frames that it may lie before, rising [n].
        masses: probability of each, which add up to one [n].
    """

    frames: NDArray[np.int64]
    masses: NDArray[np.float64]


@dataclass(frozen=True)
class PhoneBoundaries:
    """Begin and end of each spoken phone of an utterance, in order."""

    begins: list[Spread]
    ends: list[Spread]


def phone_boundaries(
    graph: BoundaryGraph,
    log_likelihoods: NDArray[np.floating[Any]],
    pdf_of: NDArray[np.int32],
    scale: float,
    utterance: str,
) -> PhoneBoundaries:
    """Compute the probabilities of the boundaries between phones.

    Args:
        graph: paths that say the phones.
        log_likelihoods: scores [frames, pdfs].
        pdf_of: pdf of each transition id [transition ids + 1].
        scale: factor on the scores; the smaller, the less sure are the boundaries.
        utterance: name of the utterance, for the message.

    Returns:
        The probabilities.

    Raises:
        AlignmentError: no path takes so many frames.
    """
    emissions, columns = _emissions(graph, log_likelihoods, pdf_of, scale)
    lattice = _Trellis(graph, emissions, columns, utterance)
    lattice.forward()
    lattice.backward()
    phones = int(graph.begun[-1])
    return PhoneBoundaries(lattice.begins.spreads(phones), lattice.ends.spreads(phones))


def _emissions(
    graph: BoundaryGraph,
    log_likelihoods: NDArray[np.floating[Any]],
    pdf_of: NDArray[np.int32],
    scale: float,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return scaled likelihoods of the graph's pdfs in each frame, and each arc's column of them.

    The best of a frame is one.
    """
    pdfs, columns = np.unique(pdf_of[graph.transition_ids], return_inverse=True)
    scores = scale * log_likelihoods[:, pdfs].astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    return np.exp(scores), columns


class _Trellis:
    """The graph's nodes in time; of each frame, only those that paths are likely to be at.

    Args:
        graph: the graph.
        emissions: likelihoods [frames, columns].
        columns: column of each arc.
        utterance: name of the utterance, for the message.

    Attributes:
        begins, ends: probabilities of phones' boundaries, once `backward` has run.
    """

    def __init__(
        self,
        graph: BoundaryGraph,
        emissions: NDArray[np.float64],
        columns: NDArray[np.int64],
        utterance: str,
    ) -> None:
        self._graph, self._emissions, self._columns = graph, emissions, columns
        self._utterance = utterance
        nodes = len(graph.begun)
        self._first_arc = np.searchsorted(graph.sources, np.arange(nodes + 1))
        # Nodes behind which one more phone has begun, at most: the farthest that an arc leads.
        self._reach = np.searchsorted(graph.begun, graph.begun + 1, side="right")
        self._back = np.searchsorted(graph.begun, graph.begun, side="left")
        self._marked = np.flatnonzero((graph.begins >= 0) | (graph.ends >= 0))
        # First node and share of each node from there on, by frame; and what they were divided by.
        self._shares: list[tuple[int, NDArray[np.float64]]] = []
        self._totals: list[float] = []
        self.begins, self.ends = _Masses(), _Masses()

    def _arcs(self, first: int, count: int) -> slice:
        return slice(int(self._first_arc[first]), int(self._first_arc[first + count]))

    def forward(self) -> None:
        """Compute the share of each node at each frame, given the frames before.

        Raises:
            AlignmentError: no path is left.
        """
        graph, first, shares = self._graph, 0, np.ones(1)
        self._shares.append((first, shares))
        for likelihoods in self._emissions:
            arcs = self._arcs(first, len(shares))
            flow = shares[graph.sources[arcs] - first]
            flow *= graph.weights[arcs]
            flow *= likelihoods[self._columns[arcs]]
            start = int(self._back[first])
            count = int(self._reach[first + len(shares) - 1]) - start
            shares = np.bincount(graph.targets[arcs] - start, flow, count).astype(np.float64)
            total = float(shares.sum())
            if not total > 0:
                raise self._no_path()
            shares /= total
            shares[shares < _LEAST_SHARE] = 0
            present = np.flatnonzero(shares)
            first, shares = start + int(present[0]), shares[present[0] : present[-1] + 1]
            self._shares.append((first, shares))
            self._totals.append(total)

    def backward(self) -> None:
        """Compute the probabilities of boundaries, given all frames.

        Raises:
            AlignmentError: no path ends with the last frame.
        """
        graph, frames = self._graph, len(self._emissions)
        first, shares = self._shares[frames]
        nodes = slice(first, first + len(shares))
        whole = float(shares @ graph.finals[nodes])
        if not whole > 0:
            raise self._no_path()
        # What follows a node, over what follows on the average.
        onward = np.where(shares > 0, graph.finals[nodes] / whole, 0.0)
        speaking = graph.speaking[nodes]
        last = np.asarray([float((shares * onward)[speaking].sum())])
        self.ends.add(frames, np.asarray([graph.begun[-1] - 1]), last)
        everywhere = np.zeros(len(graph.begun))
        for frame in range(frames - 1, -1, -1):
            everywhere[nodes] = onward
            first, shares = self._shares[frame]
            arcs = self._arcs(first, len(shares))
            sources = graph.sources[arcs] - first
            value = graph.weights[arcs] * self._emissions[frame][self._columns[arcs]]
            value *= everywhere[graph.targets[arcs]]
            value /= self._totals[frame]
            everywhere[nodes] = 0
            self._mark(frame, arcs, shares[sources] * value)
            nodes = slice(first, first + len(shares))
            onward = np.bincount(sources, value, len(shares))
            onward[shares == 0] = 0

    def _mark(self, frame: int, arcs: slice, masses: NDArray[np.float64]) -> None:
        """Note the boundaries that arcs of a frame are, with the arcs' probabilities."""
        low, high = np.searchsorted(self._marked, (arcs.start, arcs.stop))
        marked = self._marked[low:high]
        marked_masses = masses[marked - arcs.start]
        likely = marked_masses > _LEAST_MASS
        if likely.any():
            marked, marked_masses = marked[likely], marked_masses[likely]
            self.begins.add(frame, self._graph.begins[marked], marked_masses)
            self.ends.add(frame, self._graph.ends[marked], marked_masses)

    def _no_path(self) -> AlignmentError:
        return AlignmentError(
            f"{self._utterance}: no path through its phones in {len(self._emissions)} frames",
            expected="a recording long enough for its words (three frames a phone)",
            remedy="check its transcript",
        )


class _Masses:
    """Collects probabilities of boundaries, those of the last frames first."""

    def __init__(self) -> None:
        self._frames: list[int] = []
        self._phones: list[NDArray[np.int64]] = []
        self._masses: list[NDArray[np.float64]] = []

    def add(self, frame: int, phones: NDArray[np.int64], masses: NDArray[np.float64]) -> None:
        """Add to the probabilities that phones have their boundary before a frame; -1 is none."""
        self._frames.append(frame)
        self._phones.append(phones)
        self._masses.append(masses)

    def spreads(self, count: int) -> list[Spread]:
        """Return the probabilities of each of so many phones, those of one frame added up."""
        phones = np.concatenate(self._phones)
        frames = np.repeat(self._frames, [len(part) for part in self._phones])
        places, inverse = np.unique(np.stack([phones, frames]), axis=1, return_inverse=True)
        masses = np.bincount(inverse.reshape(-1), np.concatenate(self._masses))
        bounds = np.searchsorted(places[0], np.arange(count + 1))
        return [
            _normalised(places[1, low:high], masses[low:high])
            for low, high in pairwise(bounds.tolist())
        ]


def _normalised(frames: NDArray[np.int64], masses: NDArray[Any]) -> Spread:
    return Spread(frames, masses / masses.sum())


def either(one: Spread, other: Spread) -> Spread:
    """Return the probabilities of a boundary that is one of two, both as probable."""
    frames, inverse = np.unique(np.concatenate([one.frames, other.frames]), return_inverse=True)
    masses = np.bincount(inverse.reshape(-1), np.concatenate([one.masses, other.masses]))
    return _normalised(frames, masses)


def quantiles(spread: Spread, shares: Sequence[float]) -> NDArray[np.float64]:
    """Return where given shares of a boundary's probability lie before.

    The probability of a frame is spread evenly over the time from half a frame before to half a
    frame behind its begin.

    Args:
        spread: probabilities of the boundary.
        shares: shares, in [0, 1].

    Returns:
        Places in frames [shares].
    """
    places, below = _distribution(spread)
    return np.interp(shares, below, places)


def within(spread: Spread, low: float, high: float) -> float:
    """Return the probability that a boundary lies between two places (frames)."""
    places, below = _distribution(spread)
    before, after = np.interp((low, high), places, below)
    return float(after - before)


def mean(spread: Spread) -> float:
    """Return the mean place of a boundary (frames)."""
    return float(spread.frames @ spread.masses)


def _distribution(spread: Spread) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the corners of the distribution function: places [2n], probabilities below [2n]."""
    places = np.stack([spread.frames - 0.5, spread.frames + 0.5], axis=1).reshape(-1)
    after = np.cumsum(spread.masses)
    below = np.stack([after - spread.masses, after], axis=1).reshape(-1)
    return places, below
