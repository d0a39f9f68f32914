"""Frame by frame through a decoding graph, for several utterances at once.

The steps are numpy's on the tokens of the whole batch, whose calls would otherwise take longer than
their work. No utterance sees another: each has its own beam and its own limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.scores import AlignmentError, Scores
from asr_hf.hmm.search.limits import SearchLimits
from asr_hf.hmm.search.search_graph import Indices, SearchGraph
from asr_hf.hmm.search.token_history import Ends, Frame, Links, TokenHistory, links

_NO_LINKS = links(*(np.zeros(0, np.int64),) * 3, np.zeros(0))


@dataclass(frozen=True)
class Ending:
    """How the search of one utterance ended.

    Attributes:
        complete: whether a path reached a final state with the last frame.
        limited_frames: number of frames that had more states than the limit.
    """

    complete: bool
    limited_frames: int


@dataclass(frozen=True)
class _Tokens:
    """Tokens behind a frame: utterance, state and cost [n] each, in the order of utterances."""

    lane: Indices
    state: Indices
    cost: NDArray[np.float64]


class BeamSearch:
    """The search of one batch.

    Args:
        graph: a decoding graph.
        pdf_of: pdf of each emitting arc of the graph [A].
        scores: scores [frames, pdfs] of each utterance, the longest first.
        acoustic_scale: weight of the scores.
        limits: width of the search.
    """

    def __init__(
        self,
        graph: SearchGraph,
        pdf_of: NDArray[np.int32],
        scores: Sequence[Scores],
        acoustic_scale: float,
        limits: SearchLimits,
    ) -> None:
        self._graph, self._pdf_of, self._scores = graph, pdf_of, scores
        self._scale, self._beam, self._max_active = acoustic_scale, limits.beam, limits.max_active
        self.history = TokenHistory(limits.lattice_beam)
        self._limited = np.zeros(len(scores), np.int64)
        self._is_limited = np.zeros(len(scores), bool)
        self._complete = np.zeros(len(scores), bool)
        # Where each state of each utterance stands among the tokens; -1 for nowhere.
        self._number = np.full(len(scores) * graph.num_states, -1, np.int64)

    def run(self) -> list[Ending]:
        """Search to the end of every utterance; `history` then holds what is near its best path.

        Returns:
            How each search ended.

        Raises:
            AlignmentError: arcs that take no frame form a circle that makes paths ever better.
        """
        lanes = np.arange(len(self._scores))
        lengths = np.array([len(scores) for scores in self._scores])
        start = _Tokens(lanes, np.full(len(lanes), self._graph.start), np.zeros(len(lanes)))
        tokens, still = self._closed(start, np.full(len(lanes), np.inf))
        self._forget(tokens)
        self._remember(tokens, lengths == 0, _NO_LINKS, still)
        for frame in range(int(lengths.max())):
            tokens, entering, still = self._step(tokens, frame)
            self._remember(tokens, lengths == frame + 1, entering, still)
        self.history.close()
        return [
            Ending(bool(complete), int(limited))
            for complete, limited in zip(self._complete, self._limited, strict=True)
        ]

    def _remember(
        self, tokens: _Tokens, ends: NDArray[np.bool_], entering: Links, still: Links
    ) -> None:
        """Add tokens to the history; those of the utterances that end are told from the others."""
        found = None
        if ends.any():
            size = len(tokens.lane)
            nowhere = np.full(size, np.inf), np.full(size, np.inf, np.float32)
            found = Ends(ends[tokens.lane], *nowhere)
        for lane in np.flatnonzero(ends):
            here = slice(*np.searchsorted(tokens.lane, [lane, lane + 1]))
            final = self._graph.finals[tokens.state[here]]
            self._complete[lane] = np.isfinite(final).any()
            if not self._complete[lane]:
                final = np.zeros_like(final)
            if found is not None and len(final):
                cost = tokens.cost[here] + final
                found.behind[here], found.final[here] = cost - cost.min(), final
        self.history.add(Frame(tokens.lane.astype(np.int16), entering, still, found))

    def _step(self, tokens: _Tokens, frame: int) -> tuple[_Tokens, Links, Links]:
        """Go over a frame with the utterances that are long enough.

        Returns:
            The tokens behind it, the links to them, and those between them.
        """
        table = self._graph.emitting
        scores = [one[frame] for one in self._scores if len(one) > frame]
        active = self._active(tokens, len(scores))
        places, arc = table.leaving(tokens.state[active])
        source = active[places]
        lane, cost = tokens.lane[source], tokens.cost[source]
        cost += table.cost[arc]
        rows = self._scale * np.stack(scores).astype(np.float64)
        cost -= rows.take(lane * rows.shape[1] + self._pdf_of[arc])
        cutoff = _least(lane, cost, len(self._scores)) + self._beam
        near = np.flatnonzero(cost < cutoff[lane])
        source, lane, arc, cost = source[near], lane[near], arc[near], cost[near]
        keys = self._keys(lane, table.target[arc])
        firsts = self._firsts(keys)
        self._number[keys[firsts]] = np.arange(len(firsts))
        best = np.full(len(firsts), np.inf)
        np.minimum.at(best, self._number[keys], cost)
        reached = _Tokens(lane[firsts], table.target[arc[firsts]], best)
        closed, still = self._closed(reached, self._lowered(reached, cutoff, frame))
        target = self._number[keys]
        self._forget(closed)
        behind = cost - closed.cost[target]
        near = np.flatnonzero((target >= 0) & (behind <= self.history.lattice_beam))
        return closed, links(source[near], target[near], arc[near], behind[near]), still

    def _active(self, tokens: _Tokens, running: int) -> Indices:
        """Choose the tokens of the first `running` utterances that the next frame goes on from."""
        counts = np.bincount(tokens.lane, minlength=len(self._scores))[:running]
        over = self._over(counts)
        keep = np.ones(counts.sum(), bool)
        for lane, here in over.items():
            self._is_limited[lane] = True
            keep[here] = tokens.cost[here] <= self._worst_kept(tokens.cost[here])
        self._limited += self._is_limited
        self._is_limited[:] = False
        return np.flatnonzero(keep)

    def _over(self, counts: Indices) -> dict[int, slice]:
        """List the utterances with too many of the tokens [counts.sum()], and where these are."""
        if self._max_active is None:
            return {}
        ends = np.cumsum(counts)
        over = np.flatnonzero(counts > self._max_active).tolist()
        return {lane: slice(ends[lane] - counts[lane], ends[lane]) for lane in over}

    def _worst_kept(self, cost: NDArray[np.float64]) -> float:
        """Return the cost up to which tokens stay; of tokens equally good, all do."""
        assert self._max_active is not None
        return float(np.partition(cost, self._max_active - 1)[self._max_active - 1])

    def _lowered(
        self, tokens: _Tokens, cutoff: NDArray[np.float64], frame: int
    ) -> NDArray[np.float64]:
        """Lower the cutoffs [utterances] to what the next frame will go on from.

        Where tokens are too many already, worse ones than those that stay need not be looked at,
        except behind the last frame, where they may be the only final ones.

        Returns:
            The new cutoffs.
        """
        counts = np.bincount(tokens.lane, minlength=len(self._scores))
        lowered = cutoff.copy()
        for lane, here in self._over(counts).items():
            if len(self._scores[lane]) > frame + 1:
                self._is_limited[lane] = True
                lowered[lane] = np.nextafter(self._worst_kept(tokens.cost[here]), np.inf)
        return lowered

    def _closed(self, tokens: _Tokens, cutoff: NDArray[np.float64]) -> tuple[_Tokens, Links]:
        """Follow the arcs that take no frame, as far as costs stay below `cutoff` [utterances].

        The number of each token's state is left in `_number`.

        Returns:
            All tokens below the cutoff, in the order of utterances, and the links between them.

        Raises:
            AlignmentError: arcs form a circle that makes paths ever better.
        """
        table = self._graph.still
        self._forget(tokens)
        below = np.flatnonzero(tokens.cost < cutoff[tokens.lane])
        lane, state, cost = tokens.lane[below], tokens.state[below], tokens.cost[below]
        self._number[self._keys(lane, state)] = np.arange(len(lane))
        changed = np.flatnonzero(table.count[state])
        followed: list[tuple[Indices, Indices, NDArray[np.float64]]] = []
        for _ in range(self._graph.num_states + 1):
            if not len(changed):
                break
            places, arc = table.leaving(state[changed])
            source = changed[places]
            reached = cost[source] + table.cost[arc]
            near = np.flatnonzero(reached < cutoff[lane[source]])
            source, arc, reached = source[near], arc[near], reached[near]
            followed.append((source, arc, reached))
            keys = self._keys(lane[source], table.target[arc])
            new = np.flatnonzero(self._number[keys] < 0)
            new = new[self._firsts(keys[new])]
            self._number[keys[new]] = np.arange(len(lane), len(lane) + len(new))
            lane = np.concatenate([lane, lane[source[new]]])
            state = np.concatenate([state, table.target[arc[new]]])
            cost = np.concatenate([cost, np.full(len(new), np.inf)])
            target = self._number[keys]
            better = reached < cost[target]
            target = target[better]
            np.minimum.at(cost, target, reached[better])
            is_changed = np.zeros(len(lane), bool)
            is_changed[target] = True
            changed = np.flatnonzero(is_changed & (table.count[state] > 0))
        else:
            raise AlignmentError(
                "epsilon arcs of the graph form a circle, on which paths get ever better",
                expected="a language model that cannot back off for ever",
                remedy="make language model and graph again",
            )
        return self._in_order(_Tokens(lane, state, cost), followed)

    def _in_order(
        self,
        tokens: _Tokens,
        followed: Sequence[tuple[Indices, Indices, NDArray[np.float64]]],
    ) -> tuple[_Tokens, Links]:
        """Bring tokens into the order of utterances, and link them by the arcs that were followed.

        Args:
            tokens: the tokens.
            followed: token that it leaves, number, and cost behind it, of each arc.

        Returns:
            Tokens and links.
        """
        order = np.argsort(tokens.lane.astype(np.int16), kind="stable")
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        ordered = _Tokens(tokens.lane[order], tokens.state[order], tokens.cost[order])
        keys = self._keys(ordered.lane, ordered.state)
        self._number[keys] = np.arange(len(keys))
        if not followed:
            return ordered, _NO_LINKS
        table = self._graph.still
        source, arc, reached = (np.concatenate(parts) for parts in zip(*followed, strict=True))
        source = place[source]
        target = self._number[self._keys(ordered.lane[source], table.target[arc])]
        behind = reached - ordered.cost[target]
        # An arc was followed anew when its token had become better.
        last = reached == ordered.cost[source] + table.cost[arc]
        near = np.flatnonzero(last & (behind <= self.history.lattice_beam))
        return ordered, links(source[near], target[near], arc[near], behind[near])

    def _keys(self, lane: Indices, state: NDArray[np.integer]) -> Indices:
        keys: Indices = lane * self._graph.num_states + state
        return keys

    def _firsts(self, keys: Indices) -> Indices:
        """Find one place of each different key."""
        places = np.arange(len(keys))
        self._number[keys] = places
        return np.flatnonzero(self._number[keys] == places)

    def _forget(self, tokens: _Tokens) -> None:
        self._number[self._keys(tokens.lane, tokens.state)] = -1


def _least(lane: Indices, cost: NDArray[np.float64], lanes: int) -> NDArray[np.float64]:
    """Find the least cost of each utterance [lanes], whose costs stand together."""
    counts = np.bincount(lane, minlength=lanes)
    least = np.full(lanes, np.inf)
    present = np.flatnonzero(counts)
    if len(present):
        least[present] = np.minimum.reduceat(cost, (np.cumsum(counts) - counts)[present])
    return least
