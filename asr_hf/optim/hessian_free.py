"""The outer loop of Hessian-free training on a torch.nn.Module, in the manner of torch.optim."""

from __future__ import annotations

import sys

from torch import nn

from asr_hf.hf import hessian_free
from asr_hf.hf.acceptance import Acceptance
from asr_hf.hf.damping import Damping
from asr_hf.hf.hessian_free import Stopping
from asr_hf.hf.preconditioners.base import Preconditioner
from asr_hf.hf.sampling.base import SamplingSchedule
from asr_hf.hf.solvers.base import Solver
from asr_hf.optim.examples import Data
from asr_hf.optim.losses import LossFunction, OutputLoss
from asr_hf.optim.module_optimiser import ModuleOptimiser, refused
from asr_hf.optim.parts import (
    ACCEPTANCES,
    PRECONDITIONERS,
    SOLVERS,
    chosen,
    damping_of,
    samplings,
)
from asr_hf.optim.problem import Problem
from asr_hf.optim.steps import HessianFreeStep

# Rounds without progress after which HessianFree calls itself converged.
_CONVERGED = Stopping(max_iterations=sys.maxsize, patience=8, min_improvement=1e-3)


class HessianFree(ModuleOptimiser):
    """Truncated Newton steps: conjugate gradients on the Gauss-Newton matrix, few and long.

    The method of Martens (2010) with the preconditioner and the sampling of Sainath et al. (2013).
    Each `step()` takes the gradient on a sample, minimises the damped quadratic model there by CG,
    backtracks over CG's iterates on held-out data, searches along the chosen one, and adapts λ.
    Samples grow from step to step. No learning rate is set.

    Args:
        module: the network. Its parameters that require a gradient are optimised; after each step
            it holds those found so far. Examples must not depend on one another; batch
            normalisation goes by running statistics, which are renewed before each step.
        loss: `torch.nn.CrossEntropyLoss()`, `MSELoss`, `BCEWithLogitsLoss` or any other function
            (outputs, targets) that is convex in the outputs. The objective is its mean over
            examples.
        data: (inputs [N, ...], targets [N, ...]), where inputs may be a tuple or a dictionary of
            tensors; or a `torch.utils.data.Dataset` of pairs.
        heldout: the same, of other examples: steps are accepted by their loss. None takes `data`.
        preconditioner: "lbfgs", "kfac", "kfac_lbfgs", "diagonal", "shampoo", "identity", or an
            object of such a class. "kfac", "kfac_lbfgs" and "shampoo" know `torch.nn.Linear` with a
            bias, and take the identity for all other parameters.
        solver: "flexible_cg", "cg", or an object.
        sampling: "geometric", "fixed", "variance", or an object, whose sizes are shares of the
            examples, or numbers of them where above 1.
        damping: λ at the start, or a rule.
        acceptance: "backtracking", "paired_test", or an object.
        warm_start_decay: β; CG starts from β times the step before.
        weight_decay: ρ; training examples have ½ρ‖W‖² beside their loss, W all but vectors.
        averaging: share of the old in the running mean of iterates that the module is given; 0
            gives it the iterates.
        acceptance_examples: number of held-out examples by which steps are accepted; None: all.
        chunk_size: number of examples that go through the network at once; it sets memory and
            speed, not the result.
        precision: arithmetic of curvature products: "fp32", "tf32" or "bf16".
        seed: seed of samples and dropout.

    Raises:
        InputError: the parts do not fit together; the message says which and how.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: LossFunction | OutputLoss,
        data: Data,
        heldout: Data | None = None,
        *,
        preconditioner: str | Preconditioner = "lbfgs",
        solver: str | Solver = "flexible_cg",
        sampling: str | SamplingSchedule = "geometric",
        damping: float | Damping = 0.1,
        acceptance: str | Acceptance = "backtracking",
        warm_start_decay: float = 0.95,
        weight_decay: float = 0.0,
        averaging: float = 0.0,
        acceptance_examples: int | None = 5000,
        chunk_size: int = 1024,
        precision: str = "fp32",
        seed: int = 0,
    ) -> None:
        problem = Problem(
            module, loss, data, heldout, chunk_size=chunk_size, precision=precision, seed=seed
        )
        preconditioner = chosen("preconditioner", preconditioner, PRECONDITIONERS)
        problem.check(preconditioner)
        count = problem.size().frames
        try:
            loop = hessian_free.HessianFree(
                objective=problem.objective,
                theta=problem.theta(),
                solver=chosen("solver", solver, SOLVERS),
                preconditioner=preconditioner,
                sampling=chosen("sampling", sampling, samplings(count)),
                damping=damping_of(damping),
                acceptance=chosen("acceptance", acceptance, ACCEPTANCES),
                stopping=_CONVERGED,
                warm_start_decay=warm_start_decay,
                weight_decay=weight_decay,
                heldout_frames=acceptance_examples,
                averaging=averaging,
                seed=seed,
            )
        except ValueError as error:
            raise refused(error) from error
        super().__init__(problem, loop)
        self._loop: hessian_free.HessianFree = loop

    @property
    def converged(self) -> bool:
        """Whether the loss has hardly fallen over the last 8 steps, against the 8 before them."""
        return self._loop.finished

    @property
    def damping(self) -> float:
        """λ of the next step."""
        return self._loop.current_damping

    def step(self) -> HessianFreeStep:
        """Take one step, which may be rejected, and leave its result in the module.

        Returns:
            What was done.

        Raises:
            RunError: the loss is not finite, or the module's parameters were changed by others.
        """
        return HessianFreeStep.of_event(self._stepped())
