"""How much memory a run will take, and how frames are cut up to stay within a budget.

Passes through the network are measured on a few utterances and drawn on as straight lines; what
the optimiser keeps is known from its parts. Chunk size depends on nothing that changes from run
to run, because sums of other chunks differ in their last bits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr_hf.hf.memory import MemoryNeed, ProblemSize
from asr_hf.hf.objective import Sample, Split
from asr_hf.models.affine import other_parameters
from asr_hf.runtime.errors import InputError
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.planning.allocation_probe import Usage, measured

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_PROBES = (256, 1024)
_FEWEST_CHUNK_FRAMES = 128
# The interpreter with torch loaded, for choices that must not follow the true figure.
_USUAL_BASE = 500 * 10**6


@dataclass(frozen=True)
class Line:
    """Bytes as a function of frames."""

    fixed: float
    per_frame: float

    def at(self, frames: float) -> float:
        """Bytes of so many frames."""
        return self.fixed + self.per_frame * frames


@dataclass(frozen=True)
class Passes:
    """Bytes of the passes through the network: at their peak, and what a curvature keeps."""

    gradient: Line
    loss: Line
    kept: Line
    product: Line

    def sums(self, frames: float, need: MemoryNeed) -> float:
        """Peak of a gradient or loss over chunks of `frames` frames."""
        gradient = min(frames, need.gradient_frames or frames)
        return max(self.gradient.at(gradient), self.loss.at(frames))

    def products(self, frames: float) -> float:
        """Peak of a product over chunks of `frames` frames that are made anew each time."""
        return self.kept.at(frames) + self.product.at(frames)


@dataclass(frozen=True)
class MemoryPlan:
    """What was decided and what it will take, in bytes.

    Args:
        chunk_frames: frames that go through the network at once.
        kept_bytes: bound on kept activations; None keeps all.
        kept_line: bytes that a chunk keeps.
        base: held before training starts.
        optimiser: vectors and matrices of the optimiser.
        passes: peak of a pass.
        recomputed: share of the largest curvature sample whose activations are made anew for
            each product.
    """

    chunk_frames: int
    kept_bytes: int | None
    kept_line: Line
    base: int
    optimiser: int
    passes: int
    recomputed: float

    @property
    def peak(self) -> int:
        """The predicted peak."""
        return self.base + self.optimiser + self.passes

    def chunks_kept(self, frames: Sequence[int]) -> int:
        """How many of the first chunks, of so many frames each, keep their activations."""
        if self.kept_bytes is None:
            return len(frames)
        held = np.cumsum([self.kept_line.at(f) for f in frames])
        return int(np.searchsorted(held, self.kept_bytes, side="right"))

    def describe(self) -> str:
        """One line a person can follow."""
        again = f", {self.recomputed:.0%} of the curvature sample's activations made anew"
        return (
            f"memory: {_gb(self.peak)} predicted at most: {_gb(self.base)} held already, "
            f"{_gb(self.optimiser)} optimiser, {_gb(self.passes)} passes in chunks of "
            f"{self.chunk_frames} frames{again if self.recomputed else ''}"
        )


def _gb(size: float) -> str:
    return f"{size / 1e9:.2f} GB"


def parse_bytes(text: str | int | None, key: str) -> int | None:
    """Read a size such as 4GB, 800M or a number of bytes; None stays None.

    Raises:
        InputError: it is no size.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", str(text).strip(), re.IGNORECASE)
    if not found or float(found[1]) == 0:
        raise InputError(f"{key}={text}: no size of memory", expected="e.g. 4GB, 800MB or null")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def held_now(device: torch.device) -> int:
    """Bytes held: by this process's anonymous pages, or by tensors on the GPU."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return _USUAL_BASE
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else _USUAL_BASE


def problem_size(objective: FrameObjective) -> ProblemSize:
    """What the optimisers' memory depends on."""
    model = objective.model
    layers = model.affine_layers()
    frames = int(objective.unit_frames(Split.TRAIN).sum())
    return ProblemSize(
        model.flat.numel(),
        model.flat.element_size(),
        tuple((layer.inputs, layer.outputs) for layer in layers.values()),
        frames,
        others=tuple(other_parameters(model, layers)),
    )


def measure_passes(objective: FrameObjective, curvature: bool) -> Passes:
    """Measure each pass on two small samples; leaves the work counters as they were."""
    theta = objective.model.flat.detach().clone()
    points: dict[str, list[tuple[int, int]]] = {}
    with objective.uncounted(), objective.in_one_chunk():
        _ = objective.model.flat_grad
        for wanted in _PROBES:
            sample = _first_units(objective, wanted)
            frames = int(objective.unit_frames(Split.TRAIN)[sample.units].sum())
            for name, size in _probe(objective, theta, sample, curvature).items():
                points.setdefault(name, []).append((frames, size))
    lines = {name: _line(found) for name, found in points.items()}
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

    found = {
        "gradient": peak(lambda: objective.gradient(theta, sample)).peak,
        "loss": peak(lambda: objective.loss(theta, sample)).peak,
    }
    if not curvature:
        return found
    with measured(device) as usage:
        held = objective.curvature(theta, sample)
    out = torch.empty_like(theta)
    found["kept"] = usage.held
    during = peak(lambda: held.product(theta, out)).peak
    found["product"] = max(during, usage.peak - usage.held)
    return found


def _first_units(objective: FrameObjective, wanted: int) -> Sample:
    lengths = np.cumsum(objective.unit_frames(Split.TRAIN))
    return Sample(Split.TRAIN, np.arange(int(np.searchsorted(lengths, wanted)) + 1)[: len(lengths)])


def _line(points: list[tuple[int, int]]) -> Line:
    (few, low), (many, high) = points
    if few == many:
        return Line(0.0, low / max(1, few))
    slope = max(0.0, (high - low) / (many - few))
    return Line(max(0.0, low - slope * few), slope)


def plan_memory(
    objective: FrameObjective, need: MemoryNeed, max_frames: int, budget: int | None
) -> MemoryPlan:
    """Choose the chunk size and how many activations are kept.

    Args:
        objective: what is trained; `most_frames` bounds its chunks.
        need: what the optimiser will allocate.
        most_frames: frames of a chunk where memory allows it.
        budget: most bytes; None takes what it takes.

    Raises:
        InputError: the budget is too small for the smallest chunks.
    """
    if need.gradient_frames:
        need = replace(need, bytes=need.bytes + objective.minibatch_bytes)
    passes = measure_passes(objective, bool(need.curvature_frames))
    longest = int(max(objective.unit_frames(split).max() for split in Split))
    base = held_now(objective.device)
    chunk = max_frames
    if budget is not None:
        usual = 0 if objective.device.type == "cuda" else _USUAL_BASE
        room = budget - usual - need.bytes
        # Half for a pass, where it can be: the rest keeps activations.
        while chunk > _FEWEST_CHUNK_FRAMES and (
            max(passes.sums(chunk, need), passes.products(chunk)) > room / 2
        ):
            chunk //= 2
    largest = max(chunk, longest)
    chunks = math.ceil(need.curvature_frames / largest)
    whole = passes.kept.fixed * chunks + passes.kept.per_frame * need.curvature_frames
    kept, bound = whole, None
    if budget is not None:
        room = budget - base - need.bytes
        kept = min(whole, room - passes.products(largest))
        if whole + passes.product.at(largest) <= room:
            kept = whole
        bound = int(kept)
        left = min(kept, room - passes.sums(largest, need))
        if left < 0:
            raise InputError(
                f"runtime.memory: {_gb(budget)} are too few: chunks of {largest} frames need "
                f"{_gb(budget - left)}",
                remedy="raise runtime.memory, keep fewer L-BFGS pairs, or take a smaller network",
            )
    recomputed = 1 - kept / whole if whole else 0.0
    again = passes.kept.at(largest) if recomputed else 0.0
    products = kept + again + passes.product.at(largest) if whole else 0.0
    peak = int(max(passes.sums(largest, need), products))
    return MemoryPlan(chunk, bound, passes.kept, base, need.bytes, peak, recomputed)
