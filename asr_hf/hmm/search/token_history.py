"""What a search remembers of its frames: tokens, and the links between them near the best path.

A token stands for a graph's state after a frame, a link for an arc from one token to another. The
utterances of a batch share the arrays; `lane` tells which one a token belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.search.search_graph import Indices

# Links that are added before the history is pruned again: 64 MB.
_MAX_FRESH = 4_000_000
# Share of the lattice beam by which a token's distance may be off until the search is over.
_TOLERANCE = 0.1


@dataclass(frozen=True)
class Links:
    """Links between tokens; those over a frame are in the order of the tokens that they leave.

    Attributes:
        source: token that each link leaves [L].
        target: token that each link enters [L].
        arc: number of the graph's arc [L].
        behind: how far the best path over the link is behind the best one into its target [L];
            behind the best of all, once the search is over.
    """

    source: NDArray[np.int32]
    target: NDArray[np.int32]
    arc: NDArray[np.int32]
    behind: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.source)

    def only(self, which: NDArray[np.bool_]) -> Links:
        """Keep some of the links."""
        return Links(self.source[which], self.target[which], self.arc[which], self.behind[which])


def links(source: Indices, target: Indices, arc: Indices, behind: NDArray[np.float64]) -> Links:
    """Make links of arrays of any width."""
    places = [column.astype(np.int32) for column in (source, target, arc)]
    return Links(places[0], places[1], places[2], behind.astype(np.float32))


@dataclass(frozen=True)
class Ends:
    """The tokens behind a frame that is the last one of some utterances.

    Attributes:
        ends: whether each token's utterance ends [n].
        behind: how far the path that ends here is behind the best one [n]; infinite where no path
            may end.
        final: cost of ending in each token's state [n].
    """

    ends: NDArray[np.bool_]
    behind: NDArray[np.float64]
    final: NDArray[np.float32]

    def only(self, which: NDArray[np.bool_]) -> Ends:
        """Keep some of the tokens."""
        return Ends(self.ends[which], self.behind[which], self.final[which])


@dataclass
class Frame:
    """The tokens behind one frame.

    Attributes:
        lane: utterance of each token [n].
        entering: links from the tokens behind the frame before.
        still: links between tokens behind this frame.
        ends: where utterances end with this frame.
        least: how far each token is at least behind the best path [n]; infinite where the token
            leads nowhere.
        visited: whether the frame has been pruned.
    """

    lane: NDArray[np.int16]
    entering: Links
    still: Links
    ends: Ends | None = None
    least: NDArray[np.float64] = field(init=False)
    visited: bool = False

    def __post_init__(self) -> None:
        # A token from which the search goes on may be on the best path.
        self.least = self.of_ends(0.0)

    def of_ends(self, others: float) -> NDArray[np.float64]:
        """Tell how far tokens are behind [n] whose utterances end; `others` for all others."""
        least = np.full(len(self.lane), others)
        if self.ends is not None:
            least[self.ends.ends] = self.ends.behind[self.ends.ends]
        return least


@dataclass
class TokenHistory:
    """The frames of a batch, pruned to the links within the lattice beam of the best path.

    Attributes:
        lattice_beam: how far behind the best path a path may be and be kept.
        frames: tokens before the first frame, and behind each frame.
    """

    lattice_beam: float
    frames: list[Frame] = field(default_factory=list)
    _fresh: int = 0

    def add(self, frame: Frame) -> None:
        """Add the tokens behind one more frame, and prune the frames before it now and then."""
        self.frames.append(frame)
        self._fresh += len(frame.entering) + len(frame.still)
        if self._fresh > _MAX_FRESH:
            self._prune(_TOLERANCE * self.lattice_beam)
            self._fresh = 0

    def close(self) -> None:
        """Prune all frames exactly, now that nothing will be added."""
        self._prune(None)

    def _prune(self, tolerance: float | None) -> None:
        """Go back from the last frame, until nothing changes by more than the tolerance."""
        final = tolerance is None
        for number in range(len(self.frames) - 1, -1, -1):
            frame = self.frames[number]
            before, size = frame.least, len(frame.lane)
            self._measure(number, final)
            if not final and number + 1 == len(self.frames):
                # The search goes on from all its tokens.
                continue
            alive = frame.least <= self.lattice_beam
            changed = not alive.all()
            if changed:
                self._drop(number, alive)
            elif tolerance is not None and frame.visited and size:
                changed = bool(np.abs(frame.least - before).max() > tolerance)
            if not final and frame.visited and not changed:
                return
            frame.visited = True

    def _measure(self, number: int, final: bool) -> None:
        """Find each token's distance from those of the next frame; drop links that are too far."""
        frame, is_last = self.frames[number], number + 1 == len(self.frames)
        least = frame.of_ends(0.0 if is_last and not final else np.inf)
        if not is_last:
            following = self.frames[number + 1]
            leaving = following.entering
            behind = following.least[leaving.target] + leaving.behind
            near = behind <= self.lattice_beam
            if not near.all():
                leaving, behind = leaving.only(near), behind[near]
            if len(leaving):
                heads = _heads(leaving.source)
                tokens = leaving.source[heads]
                least[tokens] = np.minimum(least[tokens], np.minimum.reduceat(behind, heads))
            following.entering = _with_distance(leaving, behind) if final else leaving
        still = frame.still
        while len(still):
            nearer = least.copy()
            np.minimum.at(nearer, still.source, least[still.target] + still.behind)
            if (nearer == least).all():
                behind = least[still.target] + still.behind
                near = behind <= self.lattice_beam
                still = still.only(near)
                frame.still = _with_distance(still, behind[near]) if final else still
                break
            least = nearer
        frame.least = least

    def _drop(self, number: int, alive: NDArray[np.bool_]) -> None:
        """Keep only the tokens of a frame that are `alive` [n]; no link leaves the others."""
        frame = self.frames[number]
        new = (np.cumsum(alive) - 1).astype(np.int32)
        frame.lane, frame.least = frame.lane[alive], frame.least[alive]
        if frame.ends is not None:
            frame.ends = frame.ends.only(alive)
        entering = frame.entering.only(alive[frame.entering.target])
        frame.entering = Links(entering.source, new[entering.target], entering.arc, entering.behind)
        still = frame.still
        frame.still = Links(new[still.source], new[still.target], still.arc, still.behind)
        if number + 1 < len(self.frames):
            following = self.frames[number + 1]
            leaving = following.entering
            following.entering = Links(
                new[leaving.source], leaving.target, leaving.arc, leaving.behind
            )


def _with_distance(some: Links, behind: NDArray[np.float64]) -> Links:
    return Links(some.source, some.target, some.arc, behind.astype(np.float32))


def _heads(tokens: NDArray[np.int32]) -> Indices:
    """Find where each other token begins in an ascending, non-empty list."""
    return np.flatnonzero(np.concatenate([[True], tokens[1:] != tokens[:-1]]))
