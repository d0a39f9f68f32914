"""Hessian-free optimisers for any torch.nn.Module, and the parts that they are made of."""

from __future__ import annotations

from asr_hf.hf.acceptance import Backtracking, PairedTest
from asr_hf.hf.annealing import Constant, Cosine, Linear
from asr_hf.hf.damping import LevenbergMarquardt
from asr_hf.hf.line_search import Armijo
from asr_hf.hf.preconditioners.diagonal import DiagonalPreconditioner
from asr_hf.hf.preconditioners.identity import IdentityPreconditioner
from asr_hf.hf.preconditioners.kfac import KFACPreconditioner
from asr_hf.hf.preconditioners.lbfgs import LBFGSPreconditioner
from asr_hf.hf.preconditioners.shampoo import ShampooPreconditioner
from asr_hf.hf.sampling.fixed import FixedSampling
from asr_hf.hf.sampling.geometric import GeometricSampling
from asr_hf.hf.sampling.variance import VarianceSampling
from asr_hf.hf.self_starting import SelfStarting
from asr_hf.hf.solvers.cg import ConjugateGradient
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.hf.solvers.stopping import FixedSteps, ForcingTerm, RelativeProgress
from asr_hf.optim.hessian_free import HessianFree
from asr_hf.optim.losses import OutputLoss
from asr_hf.optim.steps import HessianFreeStep, Step, StochasticStep
from asr_hf.optim.stochastic import StochasticHessianFree

__all__ = [
    "Armijo",
    "Backtracking",
    "ConjugateGradient",
    "Constant",
    "Cosine",
    "DiagonalPreconditioner",
    "FixedSampling",
    "FixedSteps",
    "FlexibleConjugateGradient",
    "ForcingTerm",
    "GeometricSampling",
    "HessianFree",
    "HessianFreeStep",
    "IdentityPreconditioner",
    "KFACPreconditioner",
    "LBFGSPreconditioner",
    "LevenbergMarquardt",
    "Linear",
    "OutputLoss",
    "PairedTest",
    "RelativeProgress",
    "SelfStarting",
    "ShampooPreconditioner",
    "Step",
    "StochasticHessianFree",
    "StochasticStep",
    "VarianceSampling",
]
