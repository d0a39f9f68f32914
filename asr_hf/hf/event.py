"""The record of one outer iteration for the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asr_hf.hf.objective import LossSum
from asr_hf.hf.solvers.base import SolverResult
from asr_hf.hf.verdict import Verdict


@dataclass(frozen=True)
class IterationRecord:
    """One outer iteration.

    Args:
        iteration: its number, from 1.
        optimiser: name of the optimiser.
        loss: loss on the gradient sample before the step.
        damping: λ of the CG run.
        run: the CG run.
        verdict: what was decided about its iterates.
        gradient_norm: ‖g‖ of the mean gradient.
        curvature_frames: number of frames of the curvature sample.
        seconds: seconds of each phase.
    """

    iteration: int
    optimiser: str
    loss: LossSum
    damping: float
    run: SolverResult
    verdict: Verdict
    gradient_norm: float
    curvature_frames: int
    seconds: dict[str, float]

    def event(self) -> dict[str, Any]:
        """Return the record as a line of the events file has it."""
        return {
            "iteration": self.iteration,
            "optimiser": self.optimiser,
            "train_loss": self.loss.data_mean,
            "acceptance_loss": self.verdict.heldout.mean,
            "lambda": self.damping,
            "rho": self.verdict.rho,
            "cg_iterations": self.run.iterations,
            "cg_reason": str(self.run.reason),
            "cg_value": self.run.values[-1],
            "cg_drift": self.run.drift,
            "cg_precision": str(self.run.precision),
            "iterate": self.verdict.iterate.iteration,
            "step": self.verdict.length,
            "accepted": self.verdict.length > 0,
            "gradient_norm": self.gradient_norm,
            "gradient_frames": self.loss.num_frames,
            "curvature_frames": self.curvature_frames,
            "phase_seconds": self.seconds,
        }
