"""Measures how much memory passes take on a few utterances, and draws it on as straight lines."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from asr_hf.criteria.held_sums import HoldsSums
from asr_hf.hf.memory import MemoryNeed
from asr_hf.hf.objective import Sample, Split
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.planning.allocation_probe import Usage, measured

_PROBES = (256, 1024)


@dataclass(frozen=True)
class Line:
    """Bytes as a linear function of the number of frames, which may bend once.

    Args:
        fixed: bytes of no frames.
        per_frame: bytes that each frame adds.
        bend: number of frames beyond which each adds fewer.
        beyond: bytes that each of those adds.
    """

    fixed: float
    per_frame: float
    bend: float = math.inf
    beyond: float = 0.0

    def at(self, frames: float) -> float:
        """Return the bytes of so many frames."""
        more = max(0.0, frames - self.bend)
        return self.fixed + self.per_frame * min(frames, self.bend) + self.beyond * more


@dataclass(frozen=True)
class Passes:
    """Bytes of the passes through the network.

    Args:
        gradient: peak of a gradient.
        loss: peak of a loss.
        kept: what a curvature keeps between products.
        product: peak of a product beside what is kept.
    """

    gradient: Line
    loss: Line
    kept: Line
    product: Line

    def sums(self, frames: float, need: MemoryNeed) -> float:
        """Return the peak of a gradient or loss over chunks of `frames` frames."""
        gradient = min(frames, need.gradient_frames or frames)
        return max(self.gradient.at(gradient), self.loss.at(frames))

    def products(self, frames: float) -> float:
        """Return the peak of a product over chunks of `frames` frames that are made anew."""
        return self.kept.at(frames) + self.product.at(frames)


def measure_passes(objective: FrameObjective, curvature: bool) -> Passes:
    """Measure each pass on two small samples; leaves the work counters as they were."""
    criterion = objective.criterion
    if not isinstance(criterion, HoldsSums):
        return _measure(objective, curvature)
    held = criterion.frames_held(objective.model.flat.dtype, objective.device)
    if held is None:
        return _measure(objective, curvature)
    # The lines are drawn up to the larger probe.
    held = max(held, _PROBES[-1])
    passes = _measure(objective, curvature)
    bound, criterion.sums_bytes = criterion.sums_bytes, 0
    try:
        without = _measure(objective, curvature)
    finally:
        criterion.sums_bytes = bound
    # Curvatures keep the sums of all groups. A chunk has more frames than its bound only if it is
    # one utterance.
    alone = max(held, objective.chunk_frames)
    return Passes(
        replace(passes.gradient, bend=held, beyond=without.gradient.per_frame),
        replace(passes.loss, bend=held, beyond=without.loss.per_frame),
        replace(passes.kept, bend=alone, beyond=without.kept.per_frame),
        replace(passes.product, bend=held, beyond=without.product.per_frame),
    )


def _measure(objective: FrameObjective, curvature: bool) -> Passes:
    theta = objective.model.flat.detach().clone()
    points: dict[str, list[tuple[int, int]]] = {}
    with objective.uncounted(), objective.in_one_chunk():
        _ = objective.model.flat_grad
        for probe_frames in _PROBES:
            sample = _first_units(objective, probe_frames)
            num_frames = int(objective.unit_frames(Split.TRAIN)[sample.units].sum())
            for name, size in _probe(objective, theta, sample, curvature).items():
                points.setdefault(name, []).append((num_frames, size))
    lines = {name: _line(measured_at) for name, measured_at in points.items()}
    none = Line(0.0, 0.0)
    return Passes(
        lines["gradient"], lines["loss"], lines.get("kept", none), lines.get("product", none)
    )


def _probe(
    objective: FrameObjective, theta: torch.Tensor, sample: Sample, curvature: bool
) -> dict[str, int]:
    device = objective.device

    def peak(work: Callable[[], Any]) -> Usage:
        with measured(device) as usage:
            result = work()
        # Only now may what the work returned go.
        del result
        return usage

    sizes = {
        "gradient": peak(lambda: objective.gradient(theta, sample)).peak,
        "loss": peak(lambda: objective.loss(theta, sample)).peak,
    }
    if not curvature:
        return sizes
    with measured(device) as usage:
        held = objective.curvature(theta, sample)
    out = torch.empty_like(theta)
    sizes["kept"] = usage.held
    during = peak(lambda: held.product(theta, out)).peak
    sizes["product"] = max(during, usage.peak - usage.held)
    return sizes


def _first_units(objective: FrameObjective, num_frames: int) -> Sample:
    ends = np.cumsum(objective.unit_frames(Split.TRAIN))
    return Sample(Split.TRAIN, np.arange(int(np.searchsorted(ends, num_frames)) + 1)[: len(ends)])


def _line(points: list[tuple[int, int]]) -> Line:
    (few, low), (many, high) = points
    if few == many:
        return Line(0.0, low / max(1, few))
    slope = max(0.0, (high - low) / (many - few))
    return Line(max(0.0, low - slope * few), slope)
