"""How curvature products are computed: in which precision, and from recordings or anew."""

from __future__ import annotations

import torch

from asr_hf.curvature.cuda_graph import Recorder, record_on_gpu
from asr_hf.curvature.precision import Precision
from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings


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
