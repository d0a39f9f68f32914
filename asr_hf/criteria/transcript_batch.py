"""Packs transcript graphs of several utterances side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_hf.data.transcript_graph import TranscriptGraph

# The logarithm of nothing: finite, so that differences are numbers; below any sum of outputs.
NOTHING = -1e300


@dataclass(frozen=True)
class TranscriptBatch:
    """The graphs of some utterances on one device, the longest utterance first.

    Those of utterances that go on after a frame are then always the first states and arcs.

    Args:
        source: state that each arc comes from [A].
        target: state that each arc leads to [A].
        weight: log weight of each arc [A], float64.
        first: pdf of the frame that enters each state [S].
        rest: pdf of the frames that stay there [S].
        stay: log weight of each of these [S], float64.
        final: 0 where the last frame may be, `NOTHING` elsewhere [S], float64.
        start: number in the batch of the first frame of each state's utterance [S].
        utterance: utterance of each state, by its place in the order of lengths [S].
        starts: state before the first frame of each utterance, in the order of lengths [U].
        order: utterances in the order of lengths [U].
        lengths: number of frames of each utterance, in the order of the batch [U].
        going_on: numbers of states and of arcs whose utterances have a t-th frame, for all t.
    """

    source: Tensor
    target: Tensor
    weight: Tensor
    first: Tensor
    rest: Tensor
    stay: Tensor
    final: Tensor
    start: Tensor
    utterance: Tensor
    starts: Tensor
    order: Tensor
    lengths: Tensor
    going_on: Sequence[tuple[int, int]]

    @classmethod
    def pack(cls, graphs: Sequence[TranscriptGraph], device: torch.device) -> TranscriptBatch:
        """Put graphs side by side.

        Args:
            graphs: one graph for each utterance, in the order of their frames.
            device: device of the batch.

        Returns:
            The batch.
        """
        lengths = np.array([graph.num_frames for graph in graphs])
        starts, order = np.cumsum(lengths) - lengths, np.argsort(-lengths, kind="stable")
        ordered = [graphs[n] for n in order]
        sizes = np.array([[len(graph.states), len(graph.arcs)] for graph in ordered])
        before = np.cumsum(sizes, axis=0) - sizes
        states = np.concatenate([graph.states for graph in ordered])
        arcs = np.concatenate([graph.arcs for graph in ordered])
        of_arcs = np.repeat(before[:, 0], sizes[:, 1])
        upto = np.cumsum(sizes, axis=0)
        counts = np.searchsorted(-lengths[order], -np.arange(lengths.max()), side="left")

        def on_device(values: NDArray[Any]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).to(device)

        return cls(
            source=on_device(arcs["source"] + of_arcs),
            target=on_device(arcs["target"] + of_arcs),
            weight=on_device(np.log(arcs["weight"])),
            first=on_device(states["first"].astype(np.int64)),
            rest=on_device(states["rest"].astype(np.int64)),
            stay=on_device(_log(states["stay"])),
            final=on_device(_log(states["final"])),
            start=on_device(np.repeat(starts[order], sizes[:, 0])),
            utterance=on_device(np.repeat(np.arange(len(graphs)), sizes[:, 0])),
            starts=on_device(before[:, 0]),
            order=on_device(order),
            lengths=on_device(lengths),
            going_on=[tuple(upto[n - 1].tolist()) for n in counts],
        )


def _log(weights: NDArray[Any]) -> NDArray[np.float64]:
    """Return logarithms of weights, `NOTHING` for 0."""
    logs = np.full(len(weights), NOTHING)
    np.log(weights, out=logs, where=weights > 0)
    return logs
