"""Short preconditioned steps on a torch.nn.Module, in the manner of torch.optim."""

from __future__ import annotations

from torch import nn

from asr_hf.hf import stochastic
from asr_hf.hf.annealing import Annealing
from asr_hf.hf.horizon import Horizon
from asr_hf.hf.preconditioners.base import Preconditioner
from asr_hf.hf.sampling.base import SamplingSchedule
from asr_hf.hf.sampling.fixed import FixedSampling
from asr_hf.optim.examples import Data
from asr_hf.optim.losses import LossFunction, OutputLoss
from asr_hf.optim.module_optimiser import ModuleOptimiser, refused
from asr_hf.optim.parts import ANNEALINGS, PRECONDITIONERS, chosen, samplings
from asr_hf.optim.problem import Problem
from asr_hf.optim.steps import StochasticStep


class StochasticHessianFree(ModuleOptimiser):
    """Many short steps on small samples, whose length the quadratic model sets; no rate is tuned.

    Each `step()` renews the preconditioner M on a small curvature sample, finds there the length α
    at which the damped quadratic model along M⁻¹g is least, and takes several steps
    p ← μp + M⁻¹g, θ ← θ - (1 - μ) α a (M⁻¹g + μp) on fresh gradient samples. The annealing a
    shrinks them to nothing at the end of the run, which `epochs` or `seconds` name.

    Args:
        module: as for `HessianFree`. Batch normalisation goes by each gradient sample.
        loss: as for `HessianFree`.
        data: as for `HessianFree`.
        heldout: data for `evaluate`; they decide nothing.
        epochs: length of the run in passes over the examples.
        seconds: length of the run in seconds, in the place of `epochs`.
        preconditioner: as for `HessianFree`. With another one than "kfac" steps are far shorter.
        sampling: "fixed", "geometric", "variance", or an object. None takes 1024 examples for each
            gradient and 512 for the curvature.
        annealing: "linear", "cosine", "none", "self_starting", or an object.
        damping: λ.
        momentum: μ.
        weight_decay: as for `HessianFree`.
        steps: steps between two looks at the curvature; the first rounds have 1, 2, 4, ... of them.
        averaging: as for `HessianFree`.
        chunk_size: as for `HessianFree`.
        precision: as for `HessianFree`.
        seed: as for `HessianFree`.

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
        epochs: float = 8.0,
        seconds: float | None = None,
        preconditioner: str | Preconditioner = "kfac",
        sampling: str | SamplingSchedule | None = None,
        annealing: str | Annealing = "linear",
        damping: float = 5e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        steps: int = 15,
        averaging: float = 0.0,
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
        schedule = FixedSampling(1024, 512) if sampling is None else sampling
        try:
            loop = stochastic.StochasticHessianFree(
                objective=problem.objective,
                theta=problem.theta(),
                preconditioner=preconditioner,
                sampling=chosen("sampling", schedule, samplings(count)),
                annealing=chosen("annealing", annealing, ANNEALINGS),
                horizon=Horizon(epochs, seconds),
                damping=damping,
                momentum=momentum,
                weight_decay=weight_decay,
                steps=steps,
                averaging=averaging,
                seed=seed,
            )
        except ValueError as error:
            raise refused(error) from error
        super().__init__(problem, loop)
        self._loop: stochastic.StochasticHessianFree = loop

    @property
    def finished(self) -> bool:
        """Whether the run is over."""
        return self._loop.finished

    @property
    def progress(self) -> float:
        """The share of the run that is over."""
        return self._loop.progress

    def step(self) -> StochasticStep:
        """Take the short steps of one round, and leave the result in the module.

        Returns:
            What was done.

        Raises:
            RunError: the loss is not finite, the module's parameters were changed by others, or the
                run is over.
        """
        return StochasticStep.of_event(self._stepped(), self._loop.progress)
