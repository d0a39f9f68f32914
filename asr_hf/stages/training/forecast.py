"""What a run will take, said before it starts: memory and time."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

from asr_hf.hf.objective import Split
from asr_hf.settings.settings import Settings
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.loop import Optimiser
from asr_hf.training.planning.duration import estimate, measure_rates
from asr_hf.training.planning.memory import parse_bytes, plan_memory, problem_size
from asr_hf.training.try_out import failures_named, try_curvature

log = logging.getLogger(__name__)


def fit_memory(
    settings: Settings, objective: FrameObjective, optimiser: Optimiser, shares: int = 1
) -> None:
    """Predict the memory of this process, say it, and cut up the data so that it fits.

    Args:
        settings: settings of the command, which have the budget.
        objective: what is trained.
        optimiser: what it needs is predicted.
        shares: processes that a curvature sample is dealt to.

    Raises:
        InputError: it cannot be made to fit `runtime.memory`.
    """
    size = replace(problem_size(objective), shares=shares if settings.runtime.sharded else 1)
    need = optimiser.memory(size)
    # The loop keeps the best parameters.
    most = math.ceil(need.curvature_frames / shares)
    need = replace(need, bytes=need.bytes + size.vectors(1), curvature_frames=most)
    budget = parse_bytes(settings.runtime.memory, "runtime.memory")
    if need.curvature_frames:
        try_curvature(objective)
    with failures_named(objective):
        plan = plan_memory(objective, need, settings.runtime.chunk_frames, budget)
    objective.chunk_frames, objective.chunks_kept = plan.chunk_frames, plan.chunks_kept
    log.info("%s", plan.describe())


def say_duration(objective: FrameObjective, optimiser: Optimiser, shares: int = 1) -> None:
    """Time the passes of this process and say how long all iterations will take.

    Args:
        objective: what is trained.
        optimiser: how often, and on how much, is known from its settings.
        shares: processes that its samples are dealt to.
    """
    # The loop reports the loss of all held-out frames after every iteration.
    report = int(objective.unit_frames(Split.HELDOUT).sum())
    pass_costs = [replace(one, loss=one.loss + report) for one in optimiser.pass_costs()]
    if not pass_costs:
        return
    rates = measure_rates(objective, any(one.curvature for one in pass_costs))
    log.info("%s", estimate(rates, pass_costs, shares).describe())
