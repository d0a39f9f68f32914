"""What one step of an optimiser has done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """One outer iteration.

    Attributes:
        iteration: its number, from 1.
        loss: mean loss of the gradient samples, each at the parameters before its step.
        damping: λ.
        gradient_norm: ‖g‖ of the mean gradient (of the last sample, where there were several).
        gradient_examples: number of examples whose gradient was taken.
        curvature_examples: number of examples behind each curvature product.
        seconds: wall-clock seconds of each phase.
    """

    iteration: int
    loss: float
    damping: float
    gradient_norm: float
    gradient_examples: int
    curvature_examples: int
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class HessianFreeStep(Step):
    """One outer iteration of `HessianFree`.

    Attributes:
        accepted: whether a step was taken.
        length: length along the chosen CG iterate; 0 where the step was rejected.
        heldout_loss: mean loss on the held-out examples after it.
        reduction_ratio: ρ, the fall of the loss over the fall that the quadratic model promised;
            None where it was not measured.
        cg_iterations: number of CG steps.
        cg_reason: why CG ended: progress, steps, max_iterations, residual, ...
    """

    accepted: bool
    length: float
    heldout_loss: float
    reduction_ratio: float | None
    cg_iterations: int
    cg_reason: str

    @classmethod
    def of_event(cls, event: Mapping[str, Any]) -> HessianFreeStep:
        """Make a step of the event that the outer loop gives."""
        return cls(
            **_common(event),
            accepted=event["accepted"],
            length=event["step"],
            heldout_loss=event["acceptance_loss"],
            reduction_ratio=event["rho"],
            cg_iterations=event["cg_iterations"],
            cg_reason=event["cg_reason"],
        )


@dataclass(frozen=True)
class StochasticStep(Step):
    """One outer iteration of `StochasticHessianFree`: several short steps.

    Attributes:
        length: α, the length of a step along M⁻¹g that the quadratic model found.
        annealing: factor of that length at the end of the iteration.
        progress: share of the run that is over.
    """

    length: float
    annealing: float
    progress: float

    @classmethod
    def of_event(cls, event: Mapping[str, Any], progress: float) -> StochasticStep:
        """Make a step of the event that the outer loop gives."""
        return cls(
            **_common(event),
            length=event["length"],
            annealing=event["annealing"],
            progress=progress,
        )


def _common(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "iteration": event["iteration"],
        "loss": event["train_loss"],
        "damping": event["lambda"],
        "gradient_norm": event["gradient_norm"],
        "gradient_examples": event["gradient_frames"],
        "curvature_examples": event["curvature_frames"],
        "seconds": event["phase_seconds"],
    }
