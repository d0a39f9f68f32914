"""Foretells how much memory a run takes, and cuts up frames to stay within a budget.

Passes are measured (see `pass_memory`); what the optimiser keeps is known from its parts. Chunk
size depends on nothing that changes from run to run, because sums of other chunks differ in their
last bits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from asr_hf.criteria.held_sums import SUMS_BYTES, HoldsSums
from asr_hf.hf.memory import MemoryNeed, ProblemSize
from asr_hf.hf.objective import Split
from asr_hf.models.affine import other_parameters
from asr_hf.runtime.errors import InputError
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.planning.pass_memory import Line, Passes, measure_passes

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_FEWEST_CHUNK_FRAMES = 128
# Beside forward sums, a product holds about as many others twice; all take half of what is free.
_SHARE_OF_SUMS = 8
# The interpreter with torch loaded, for choices that must not follow the true figure.
_USUAL_BASE = 500 * 10**6


@dataclass(frozen=True)
class MemoryPlan:
    """Sizes that were decided on, and the bytes that they take.

    Args:
        chunk_frames: number of frames that go through the network at once.
        kept_bytes: bound on kept activations; None keeps all.
        kept_line: bytes that a chunk keeps.
        base: bytes held before training starts.
        optimiser: bytes of the optimiser's vectors and matrices.
        passes: peak of a pass.
        recomputed: share of the largest curvature sample whose activations are made anew for
            each product.
        features: bytes of features that stay on the device, a part of `base`.
    """

    chunk_frames: int
    kept_bytes: int | None
    kept_line: Line
    base: int
    optimiser: int
    passes: int
    recomputed: float
    features: int = 0

    @property
    def peak(self) -> int:
        """The predicted peak in bytes."""
        return self.base + self.optimiser + self.passes

    def chunks_kept(self, frame_counts: Sequence[int]) -> int:
        """Return how many of the first chunks, of so many frames each, keep their activations."""
        if self.kept_bytes is None:
            return len(frame_counts)
        held = np.cumsum([self.kept_line.at(count) for count in frame_counts])
        return int(np.searchsorted(held, self.kept_bytes, side="right"))

    def describe(self) -> str:
        """Return one line for the log."""
        again = f", {self.recomputed:.0%} of the curvature sample's activations made anew"
        return (
            f"memory: {_gb(self.peak)} predicted at most: {_gb(self.base)} held already "
            f"({_gb(self.features)} of it features), "
            f"{_gb(self.optimiser)} optimiser, {_gb(self.passes)} passes in chunks of "
            f"{self.chunk_frames} frames{again if self.recomputed else ''}"
        )


def _gb(size: float) -> str:
    return f"{size / 1e9:.2f} GB"


def parse_bytes(text: str | int | None, key: str) -> int | None:
    """Read a size such as 4GB, 800M or a number of bytes.

    Args:
        text: the size.
        key: key of the setting, for the message.

    Returns:
        The number of bytes; None for None.

    Raises:
        InputError: the text is no size.
    """
    if text is None:
        return None
    size = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", str(text).strip(), re.IGNORECASE)
    if not size or float(size[1]) == 0:
        raise InputError(f"{key}={text}: no size of memory", expected="e.g. 4GB, 800MB or null")
    return int(float(size[1]) * _UNITS[size[2].upper()])


def held_now(device: torch.device) -> int:
    """Return the bytes held by this process's anonymous pages, or by tensors on the GPU."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return _USUAL_BASE
    pages = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(pages[1]) * 1024 if pages else _USUAL_BASE


def problem_size(objective: FrameObjective) -> ProblemSize:
    """Return what the memory of optimisers depends on."""
    model = objective.model
    layers = model.affine_layers()
    num_frames = int(objective.unit_frames(Split.TRAIN).sum())
    return ProblemSize(
        model.flat.numel(),
        model.flat.element_size(),
        tuple((layer.inputs, layer.outputs) for layer in layers.values()),
        num_frames,
        others=tuple(other_parameters(model, layers)),
    )


def _chunk_within(free: float, passes: Passes, need: MemoryNeed, max_frames: int) -> int:
    """Halve the chunk until a pass takes half of what is free: the rest keeps activations."""
    chunk = max_frames
    while chunk > _FEWEST_CHUNK_FRAMES and (
        max(passes.sums(chunk, need), passes.products(chunk)) > free / 2
    ):
        chunk //= 2
    return chunk


def _bound_sums(objective: FrameObjective, free: int) -> None:
    """Let the criterion hold as many bytes of sums as go well with what is free."""
    if isinstance(objective.criterion, HoldsSums):
        objective.criterion.sums_bytes = min(SUMS_BYTES, max(0, free) // _SHARE_OF_SUMS)


def plan_memory(
    objective: FrameObjective, need: MemoryNeed, max_frames: int, budget: int | None
) -> MemoryPlan:
    """Choose the chunk size and how many activations are kept.

    Args:
        objective: the objective that is trained.
        need: memory that the optimiser will allocate.
        max_frames: bound on the number of frames of a chunk.
        budget: bound on the bytes of the run; None sets no bound.

    Returns:
        The sizes and the bytes that they take.

    Raises:
        InputError: the budget is too small for the smallest chunks.
    """
    if need.gradient_frames:
        need = replace(need, bytes=need.bytes + objective.minibatch_bytes)
    features = sum(source.resident_bytes for source in objective.sources.values())
    usual = 0 if objective.device.type == "cuda" else _USUAL_BASE + features
    if budget is not None:
        _bound_sums(objective, budget - usual - need.bytes)
    passes = measure_passes(objective, bool(need.curvature_frames))
    longest = int(max(objective.unit_frames(split).max() for split in Split))
    base = held_now(objective.device)
    chunk = max_frames
    if budget is not None:
        chunk = _chunk_within(budget - usual - need.bytes, passes, need, max_frames)
    largest = max(chunk, longest)
    chunks = math.ceil(need.curvature_frames / largest)
    whole = passes.kept.fixed * chunks + passes.kept.per_frame * need.curvature_frames
    kept, bound = whole, None
    if budget is not None:
        free = budget - base - need.bytes
        kept = min(whole, free - passes.products(largest))
        if whole + passes.product.at(largest) <= free:
            kept = whole
        bound = int(kept)
        left = min(kept, free - passes.sums(largest, need))
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
    return MemoryPlan(
        chunk,
        bound,
        passes.kept,
        base,
        need.bytes,
        peak,
        recomputed,
        features,
    )
