"""The order in which passes go through lattices: level by level, forwards and backwards at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ints = NDArray[np.int64]

# Frames within which levels are lengthened together by the arcs that take none.
WINDOW = 32
# Path counts up to e^600 leave room in float64 for one level more.
MAX_LOG_PATHS = 600.0


class LevelBlock(NamedTuple):
    """A run of levels so short that fewer than e^709 paths lead to any node within it.

    Args:
        levels: numbers of the levels, the first level not being counted.
        nodes: numbers of the levels' nodes.
        edges: numbers of the edges that lead to these nodes.
    """

    levels: slice
    nodes: slice
    edges: slice


@dataclass(frozen=True)
class LatticeSchedule:
    """A schedule of all lattices of a batch.

    Each state has two nodes: the forward one sums over the paths that lead to it, the backward one
    over those that lead from it. Nodes are numbered by level and edges ordered by the level they
    lead to, so that all edges into a level come from earlier ones; level l holds forward nodes near
    frame l and backward nodes near the l-th frame from the end.

    Args:
        num_nodes: number of nodes, two for each state.
        starts: nodes without edges into them, the whole first level [2 U].
        edge_sizes: number of edges into each level, the first level left out.
        arc: arc of each edge [2 A].
        source: node that each edge comes from [2 A].
        target: node that each edge leads to [2 A].
        sources: `source` split by level.
        targets: `target` split by level.
        blocks: blocks of all levels but the first.
        nodes: forward node [S] and backward node [S] of each state.
    """

    num_nodes: int
    starts: Tensor
    edge_sizes: list[int]
    arc: Tensor
    source: Tensor
    target: Tensor
    sources: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    blocks: list[LevelBlock]
    nodes: tuple[Tensor, Tensor]

    @classmethod
    def make(
        cls,
        source: Ints,
        target: Ints,
        levels: Ints,
        first: Ints,
        last: Ints,
        utterance: Ints,
        device: torch.device,
    ) -> LatticeSchedule:
        """Number nodes and order edges.

        Args:
            source: state that each arc comes from [A].
            target: state that each arc leads to [A].
            levels: level of each state [S], see `state_levels`.
            first: first state of each utterance [U].
            last: last state of each utterance [U].
            utterance: number of the utterance that each state belongs to [S].
            device: device of the schedule.

        Returns:
            The schedule.
        """
        states, arcs = len(levels), len(source)
        # Levels that rise along arcs fall along them when counted from the end.
        level = _without_gaps(np.concatenate([levels, levels[last][utterance] - levels]))
        order = np.argsort(level, kind="stable")
        node = np.empty_like(order)
        node[order] = np.arange(2 * states)
        enters = np.concatenate([target, states + source])
        into = level[enters]
        edge_order = np.argsort(into, kind="stable")
        node_sizes = np.bincount(level)
        edge_sizes = np.bincount(into, minlength=len(node_sizes))
        leaves = node[np.concatenate([source, states + target])[edge_order]]
        enters = node[enters[edge_order]]

        def on_device(values: Ints) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).to(device)

        sources, targets = on_device(leaves), on_device(enters)
        by_level = edge_sizes[1:].tolist()
        return cls(
            2 * states,
            on_device(np.concatenate([node[first], node[states + last]])),
            by_level,
            on_device(edge_order % arcs),
            sources,
            targets,
            torch.split(sources, by_level),
            torch.split(targets, by_level),
            list(_blocks(node_sizes, edge_sizes, np.bincount(enters, minlength=2 * states))),
            (on_device(node[:states]), on_device(node[states:])),
        )


def state_levels(frame: Ints, first: Ints, source: Ints, target: Ints, still: slice) -> Ints:
    """Compute levels of states: numbers that rise along every arc, from 0 at each start.

    A state's level is its frame, plus the most arcs without a frame on a path to it within its
    window of frames, plus the most within each window before. Longest paths would be 1 or 2 % less,
    but could not be had in so few steps.

    Args:
        frame: number of frames before each state [S], rising within each utterance.
        first: first state of each utterance [U].
        source: state that each arc comes from [A].
        target: state that each arc leads to [A].
        still: numbers of the arcs that take no frame, which follow all others.

    Returns:
        The level of each state [S].
    """
    depth = np.zeros_like(frame)
    phase = (frame % WINDOW).astype(np.uint8)
    moving = slice(0, still.start)
    moves = _by_phase(phase, source[moving], target[moving])
    stays = _by_phase(phase, source[still], target[still])
    for (here, there), (before, behind) in zip(stays, moves, strict=True):
        while len(here):
            deeper = depth[here] + 1
            short = depth[there] < deeper
            if not short.any():
                break
            np.maximum.at(depth, there[short], deeper[short])
        np.maximum.at(depth, behind, depth[before])
    opens = np.diff(frame // WINDOW, prepend=-1) != 0
    opens[first] = True
    windows = np.flatnonzero(opens)
    deepest = np.maximum.reduceat(depth, windows)
    passed = np.cumsum(deepest) - deepest
    window = np.cumsum(opens) - 1
    passed -= np.repeat(passed[window[first]], np.diff(window[first], append=len(windows)))
    levels: Ints = frame + passed[window] + depth
    return levels


def _by_phase(phase: NDArray[np.uint8], source: Ints, target: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield sources and targets of the arcs that stay within a window, by the source's phase."""
    inside = np.flatnonzero(phase[target] >= phase[source])
    of_source = phase[source[inside]]
    order = inside[np.argsort(of_source, kind="stable")]
    ends = np.cumsum(np.bincount(of_source, minlength=WINDOW))[:-1]
    yield from zip(np.split(source[order], ends), np.split(target[order], ends), strict=True)


def _without_gaps(levels: Ints) -> NDArray[np.uint16] | Ints:
    """Number levels anew, leaving out empty ones."""
    taken = np.zeros(int(levels.max(initial=0)) + 1, bool)
    taken[levels] = True
    number = np.cumsum(taken) - 1
    # Numbers of two bytes are sorted in linear time.
    return number.astype(np.uint16)[levels] if len(taken) < 1 << 16 else number[levels]


def _blocks(node_sizes: Ints, edge_sizes: Ints, edges_into: Ints) -> Iterator[LevelBlock]:
    """Cut levels where the paths to a node might be too many to be counted in float64.

    Args:
        node_sizes: number of nodes of each level.
        edge_sizes: number of edges into each level; the first level has none.
        edges_into: number of edges into each node.

    Yields:
        The blocks, in order.
    """
    nodes, edges = np.cumsum(node_sizes), np.cumsum(edge_sizes)
    max_edges = np.maximum.reduceat(edges_into, nodes[:-1])
    log_paths = np.cumsum(np.log(max_edges))
    cuts = np.flatnonzero(np.diff(log_paths // MAX_LOG_PATHS)) + 1
    for start, stop in pairwise([0, *cuts.tolist(), len(max_edges)]):
        yield LevelBlock(
            slice(start, stop),
            slice(int(nodes[start]), int(nodes[stop])),
            slice(int(edges[start]), int(edges[stop])),
        )
