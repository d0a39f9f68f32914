"""The optimisers of HF on the toy stores, for tests of what they do to a network."""

from __future__ import annotations

from asr_hf.hf.acceptance import Backtracking
from asr_hf.hf.annealing import Linear
from asr_hf.hf.damping import LevenbergMarquardt
from asr_hf.hf.hessian_free import HessianFree, Stopping
from asr_hf.hf.horizon import Horizon
from asr_hf.hf.preconditioners.kfac import KFACPreconditioner
from asr_hf.hf.sampling.fixed import FixedSampling
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.hf.stochastic import StochasticHessianFree
from asr_hf.training.frame_objective import FrameObjective


def hessian_free(objective: FrameObjective) -> HessianFree:
    """Six iterations of HF under Kronecker factors."""
    return HessianFree(
        objective=objective,
        theta=objective.model.flat.clone(),
        solver=FlexibleConjugateGradient(max_iterations=5),
        preconditioner=KFACPreconditioner(),
        sampling=FixedSampling(0.6, 0.3),
        damping=LevenbergMarquardt(),
        acceptance=Backtracking(),
        stopping=Stopping(max_iterations=6, patience=0),
        seed=1,
    )


def stochastic(objective: FrameObjective) -> StochasticHessianFree:
    """Eight epochs of short steps under Kronecker factors."""
    return StochasticHessianFree(
        objective=objective,
        theta=objective.model.flat.clone(),
        preconditioner=KFACPreconditioner(),
        sampling=FixedSampling(0.3, 0.3),
        annealing=Linear(),
        horizon=Horizon(epochs=8),
        steps=4,
        seed=1,
    )
