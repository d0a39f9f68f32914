"""Predicts the memory and time of a run before it starts."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

from asr_hf.hf.objective import Split
from asr_hf.hf.pass_cost import PassCost
from asr_hf.settings.settings import Settings
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.loop import Optimiser
from asr_hf.training.planning.duration import estimate, measure_rates
from asr_hf.training.planning.memory import parse_bytes, plan_memory, problem_size
from asr_hf.training.try_out import failures_named, try_curvature
from asr_hf.training.work_counter import work_of

log = logging.getLogger(__name__)


def fit_memory(
    settings: Settings, objective: FrameObjective, optimiser: Optimiser, shares: int = 1
) -> None:
    """Predict the memory of this process, log it, and set the chunk size so that it fits.

    Args:
        settings: settings of the command, with the memory budget.
        objective: objective of this process; its chunk size is set.
        optimiser: optimiser whose memory is predicted.
        shares: number of processes that share a curvature sample.

    Raises:
        InputError: no chunk size fits into `runtime.memory`.
    """
    size = replace(problem_size(objective), shares=shares if settings.runtime.sharded else 1)
    need = optimiser.memory(size)
    # The loop keeps the best parameters.
    num_frames = math.ceil(need.curvature_frames / shares)
    need = replace(need, bytes=need.bytes + size.vectors(1), curvature_frames=num_frames)
    budget = parse_bytes(settings.runtime.memory, "runtime.memory")
    if need.curvature_frames:
        try_curvature(objective)
    with failures_named(objective):
        plan = plan_memory(objective, need, settings.runtime.chunk_frames, budget)
    objective.chunk_frames, objective.chunks_kept = plan.chunk_frames, plan.chunks_kept
    log.info("%s", plan.describe())


def say_duration(
    objective: FrameObjective, optimiser: Optimiser, shares: int, look_share: float | None
) -> None:
    """Time the passes of this process and log how long all iterations will take.

    Args:
        objective: objective of this process.
        optimiser: optimiser, which knows the passes of its iterations.
        shares: number of processes that share its samples.
        look_share: share of the work that looks at held-out data take (see `TrainingLoop`).
    """
    heldout_frames = int(objective.unit_frames(Split.HELDOUT).sum())
    pass_costs = [_with_looks(c, heldout_frames, look_share) for c in optimiser.pass_costs()]
    if not pass_costs:
        return
    rates = measure_rates(objective, any(cost.curvature for cost in pass_costs))
    log.info("%s", estimate(rates, pass_costs, shares, optimiser.seconds_given).describe())


def _with_looks(cost: PassCost, heldout_frames: int, look_share: float | None) -> PassCost:
    """Add an iteration's part of the losses of all held-out frames, at most one."""
    looked = heldout_frames
    if look_share is not None:
        work = work_of(cost.gradient, cost.curvature * cost.products[0], cost.loss)
        looked = min(looked, round(look_share * work))
    return replace(cost, loss=cost.loss + looked)
