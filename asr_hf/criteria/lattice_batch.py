"""Packs lattices of several utterances side by side, for passes over all of them at once."""

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
        pdf: pdf of each such arc [E].
        phone: phone of each such arc [E].
        graph: graph score of each arc [A], float64.
        utterance: number of the utterance that each arc belongs to [A].
        source: state that each arc comes from [A].
        target: state that each arc leads to [A].
        last: last state of each utterance [U].
        first: first state of each utterance [U].
        lengths: number of frames of each utterance [U].
        schedule: order of a pass.
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
    schedule: LatticeSchedule

    @property
    def num_frames(self) -> int:
        """Number of frames of the batch."""
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
            lattices: one lattice for each utterance.
            pdf_of: pdf of each transition id [transition ids + 1].
            phone_of: phone of each transition id [transition ids + 1].
            device: device of the batch.

        Returns:
            The batch.
        """
        joined = _join(lattices)
        order = np.argsort(joined.label == 0, kind="stable")
        source, target = joined.source[order], joined.target[order]
        label = joined.label[order]
        label = label[: np.count_nonzero(label)]
        levels = state_levels(
            joined.frame_of, joined.first, source, target, slice(len(label), None)
        )
        schedule = LatticeSchedule.make(
            source, target, levels, joined.first, joined.last, joined.utterance, device
        )
        frame = joined.frame_of[source[: len(label)]] + joined.first_frame[source[: len(label)]]

        def on_device(values: NDArray[Any]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).to(device)

        return cls(
            frame=on_device(frame),
            pdf=on_device(pdf_of[label].astype(np.int64)),
            phone=on_device(phone_of[label].astype(np.int64)),
            graph=on_device(joined.graph[order]),
            utterance=on_device(joined.utterance[source]),
            source=on_device(source),
            target=on_device(target),
            last=on_device(joined.last),
            first=on_device(joined.first),
            lengths=on_device(joined.lengths),
            schedule=schedule,
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
