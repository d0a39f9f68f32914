"""How gradients and curvature products are computed: how precisely, and from recordings or anew."""

from __future__ import annotations

import logging

import numpy as np
import torch

from asr_hf.curvature.cuda_graph import Recorder, record_on_gpu
from asr_hf.curvature.precision import Precision, arithmetic_units
from asr_hf.hf.objective import Sample, Split
from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings
from asr_hf.stages.training.declared import optimiser_needs
from asr_hf.training.frame_objective import FrameObjective

log = logging.getLogger(__name__)

_FRAMES_TRIED = 2048
# Of a gradient in bfloat16, relative to its length: what the choice of some hundred frames adds to
# it is several times that.
_LARGEST_ERROR = 0.1


def recorder(settings: Settings, device: torch.device) -> Recorder | None:
    """Return the recorder of curvature products; None without `runtime.cuda_graphs`.

    Raises:
        InputError: `runtime.cuda_graphs` is set, and the run is not on a GPU.
    """
    if not settings.runtime.cuda_graphs:
        return None
    if device.type != "cuda":
        raise InputError(
            f"runtime.cuda_graphs=true: the run is on {device}",
            remedy="leave it out, or choose a GPU with runtime.device=cuda",
        )
    return record_on_gpu


def choose_precision(name: str) -> Precision:
    """Set the arithmetic of gradients and losses; return the precision of curvature products."""
    precision = Precision(name)
    torch.set_float32_matmul_precision("highest" if precision is Precision.FP32 else "high")
    return precision


def choose_gradients(settings: Settings, objective: FrameObjective) -> None:
    """Let gradients go by bfloat16 with `precision=bf16`, where that is faster and does no harm.

    Otherwise they stay in float32, and the log says why: the optimiser compares their losses with
    others, the device has no units for it, or a gradient at the start parts from that in float32.
    What is chosen follows from the start of the run and the device alone.

    Args:
        settings: settings of the command.
        objective: objective at the start of the run; its `gradient_precision` is set.
    """
    if objective.precision is not Precision.BF16:
        return
    units = arithmetic_units(objective.device)
    if not optimiser_needs(settings.trainer).coarse_gradients:
        reason = "the trainer compares their losses with others"
    elif not units:
        reason = f"{objective.device} has no units that multiply bfloat16 faster"
    elif (error := coarse_error(objective)) > _LARGEST_ERROR:
        reason = f"bfloat16 is {error:.2g} of its length off at the start"
    else:
        objective.gradient_precision = Precision.BF16
        log.info("gradients in bf16 (%s), %.2g of their length off at the start", units, error)
        return
    log.info("precision=bf16: gradients stay in float32: %s", reason)


def coarse_error(objective: FrameObjective) -> float:
    """Return by how much of its length a gradient in bfloat16 differs from that in float32.

    Args:
        objective: the objective; the gradient is that of its first training frames, at the
            model's parameters.

    Returns:
        ‖coarse - exact‖ / ‖exact‖; infinite where one is not finite.
    """
    ends = np.cumsum(objective.unit_frames(Split.TRAIN))
    units = np.arange(1 + int(np.searchsorted(ends[:-1], _FRAMES_TRIED)))
    theta, sample = objective.model.flat.detach().clone(), Sample(Split.TRAIN, units)
    gradients = []
    before = objective.gradient_precision
    with objective.uncounted():
        for precision in (Precision.FP32, Precision.BF16):
            objective.gradient_precision = precision
            gradients.append(objective.gradient(theta, sample)[1].double())
    objective.gradient_precision = before
    exact, coarse = gradients
    error = float((coarse - exact).norm() / exact.norm())
    return error if np.isfinite(error) else float("inf")
