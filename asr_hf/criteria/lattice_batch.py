"""Lattices of several utterances packed side by side, for passes over all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_hf.data.lattice import Lattice

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Sweep:
    """The order in which a pass goes through the lattices, forwards and backwards at once.

    Each state has two nodes: the forward one sums over the paths that lead to it, the backward one
    over those that lead from it. Nodes are numbered by level, so that all edges into a level come
    from earlier ones; level l holds forward nodes of frame l and backward nodes of the l-th frame
    from the end, with some levels more where arcs take no frame.

    Args:
        starts: nodes without edges into them, of value one [2 U].
        node_sizes: nodes of each level; the first holds `starts`.
        edge_sizes: edges into each level, the first left out.
        arc: of each edge [2 A].
        source: node that each edge comes from, for each level.
        target: node that it leads to, counted from the level's first, for each level.
        edges: where each arc's forward and backward edge stand [A] each.
        nodes: each state's forward and backward node [S] each.
    """

    starts: Tensor
    node_sizes: list[int]
    edge_sizes: list[int]
    arc: Tensor
    source: tuple[Tensor, ...]
    target: tuple[Tensor, ...]
    edges: tuple[Tensor, Tensor]
    nodes: tuple[Tensor, Tensor]


@dataclass(frozen=True)
class LatticeBatch:
    """Arcs of several lattices on one device; first those that take a frame, then the others.

    Every final state has one more arc, without a frame, to one last state of its utterance.

    Args:
        frame: the frame of the batch that each arc takes [E], E of the A arcs taking one.
        pdf: its pdf [E].
        phone: its phone [E].
        graph: graph score of each arc [A], float64.
        utterance: which one each arc belongs to [A].
        source: state each arc comes from [A].
        target: state it leads to [A].
        last: the last state of each utterance [U].
        first: the start of each utterance [U].
        lengths: frames of each utterance [U].
        sweep: the order of a pass.
    """

    frame: Tensor
    pdf: Tensor
    phone: Tensor
    graph: Tensor
    utterance: Tensor
    source: Tensor
    target: Tensor
    last: Tensor
    first: Tensor
    lengths: Tensor
    sweep: Sweep

    @property
    def num_frames(self) -> int:
        """Frames of the batch."""
        return int(self.lengths.sum())

    @classmethod
    def pack(
        cls,
        lattices: Sequence[Lattice],
        pdf_of: NDArray[np.int32],
        phone_of: NDArray[np.int32],
        device: torch.device,
    ) -> LatticeBatch:
        """Put lattices side by side, in the order given.

        Args:
            lattices: one an utterance.
            pdf_of: pdf of each transition id [transition ids + 1].
            phone_of: phone of each transition id [transition ids + 1].
            device: where to.
        """
        joined = _join(lattices)
        order = np.argsort(joined.label == 0, kind="stable")
        source, target = joined.source[order], joined.target[order]
        label = joined.label[order]
        label = label[: np.count_nonzero(label)]
        sweep = _sweep(source, target, joined, len(label), device)
        frame = joined.frame_of[source[: len(label)]] + joined.first_frame[source[: len(label)]]

        def there(values: NDArray[Any]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).to(device)

        return cls(
            frame=there(frame),
            pdf=there(pdf_of[label].astype(np.int64)),
            phone=there(phone_of[label].astype(np.int64)),
            graph=there(joined.graph[order]),
            utterance=there(joined.utterance[source]),
            source=there(source),
            target=there(target),
            last=there(joined.last),
            first=there(joined.first),
            lengths=there(joined.lengths),
            sweep=sweep,
        )


@dataclass(frozen=True)
class _Joined:
    """Arcs and states of all lattices, one last state added to each."""

    source: Ints
    target: Ints
    label: NDArray[np.int32]
    graph: NDArray[np.float64]
    frame_of: Ints
    first_frame: Ints
    utterance: Ints
    first: Ints
    last: Ints
    lengths: Ints


def _join(lattices: Sequence[Lattice]) -> _Joined:
    sizes = np.array([lattice.num_states + 1 for lattice in lattices])
    lengths = np.array([lattice.num_frames for lattice in lattices])
    first = np.cumsum(sizes) - sizes
    last = first + sizes - 1
    arcs = np.concatenate([lattice.arcs for lattice in lattices])
    finals = np.concatenate([lattice.finals for lattice in lattices])
    of_arcs = np.repeat(first, [len(lattice.arcs) for lattice in lattices])
    of_finals = [len(lattice.finals) for lattice in lattices]
    frames = [np.append(lattice.frame_of, lattice.frame_of[-1]) for lattice in lattices]
    return _Joined(
        np.concatenate([arcs["source"] + of_arcs, finals["state"] + np.repeat(first, of_finals)]),
        np.concatenate([arcs["target"] + of_arcs, np.repeat(last, of_finals)]),
        np.concatenate([arcs["label"], np.zeros(len(finals), np.int32)]),
        np.concatenate([arcs["graph"], finals["graph"]]).astype(np.float64),
        np.concatenate(frames).astype(np.int64),
        np.repeat(np.cumsum(lengths) - lengths, sizes),
        np.repeat(np.arange(len(lattices)), sizes),
        first,
        last,
        lengths,
    )


def _sweep(source: Ints, target: Ints, joined: _Joined, emitting: int, device: Any) -> Sweep:
    """See `Sweep`; the arcs from `emitting` on take no frame."""
    still = slice(emitting, None)
    states, arcs = len(joined.frame_of), len(source)
    left = joined.lengths[joined.utterance] - joined.frame_of
    forward = _levels(joined.frame_of, source[still], target[still])
    backward = _levels(left, target[still], source[still])
    level = np.concatenate([forward, backward])
    order = np.argsort(level, kind="stable")
    node = np.empty_like(order)
    node[order] = np.arange(2 * states)
    leaves = np.concatenate([node[source], node[states + target]])
    enters = np.concatenate([node[target], node[states + source]])
    into = np.concatenate([forward[target], backward[source]])
    edge_order = np.argsort(into, kind="stable")
    edge = np.empty_like(edge_order)
    edge[edge_order] = np.arange(2 * arcs)
    node_sizes = np.bincount(level)
    edge_sizes = np.bincount(into, minlength=len(node_sizes))[1:].tolist()
    firsts = np.cumsum(node_sizes) - node_sizes
    within = (enters - firsts[into])[edge_order]

    def there(values: Ints) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)

    return Sweep(
        there(np.concatenate([node[joined.first], node[states + joined.last]])),
        node_sizes.tolist(),
        edge_sizes,
        there(edge_order % arcs),
        torch.split(there(leaves[edge_order]), edge_sizes),
        torch.split(there(within), edge_sizes),
        (there(edge[:arcs]), there(edge[arcs:])),
        (there(node[:states]), there(node[states:])),
    )


def _levels(frame: Ints, source: Ints, target: Ints) -> NDArray[np.uint16] | Ints:
    """Level of each state: by its frame, and by the arcs without one that lead there within it.

    Args:
        frame: frames behind each state [S].
        source: states that arcs without a frame lead from.
        target: states that they lead to.
    """
    depth = np.zeros_like(frame)
    while True:
        deeper = depth[source] + 1
        behind = depth[target] < deeper
        if not behind.any():
            break
        np.maximum.at(depth, target[behind], deeper[behind])
    key = frame * (int(depth.max(initial=0)) + 1) + depth
    taken = np.zeros(int(key.max(initial=0)) + 1, bool)
    taken[key] = True
    level: Ints = (np.cumsum(taken) - 1)[key]
    # Numbers of two bytes are sorted in linear time.
    return level.astype(np.uint16) if len(taken) < 1 << 16 else level
