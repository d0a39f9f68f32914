"""Lattices of several utterances packed side by side, for passes over all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_hf.criteria.level_schedule import LatticeSchedule, state_levels
from asr_hf.data.lattice import Lattice

Ints = NDArray[np.int64]


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
    sweep: LatticeSchedule

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
        levels = state_levels(
            joined.frame_of, joined.first, source, target, slice(len(label), None)
        )
        sweep = LatticeSchedule.make(
            source, target, levels, joined.first, joined.last, joined.utterance, device
        )
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
