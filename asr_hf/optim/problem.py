"""A module, its loss and its data as one optimisation problem."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asr_hf.curvature.precision import Precision
from asr_hf.hf.memory import ProblemSize
from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.preconditioners.base import Preconditioner
from asr_hf.hf.state import State, nest, nested, restore
from asr_hf.optim.examples import Data, examples_of
from asr_hf.optim.known_losses import output_loss
from asr_hf.optim.losses import LossFunction, OutputLoss
from asr_hf.optim.network import Network
from asr_hf.optim.objective import ModuleObjective
from asr_hf.runtime.errors import InputError, RunError

_TRIED = 8


class Problem:
    """What both optimisers minimise, and the module that they leave the result in.

    Args:
        module: the network; it holds the parameters found so far after each step.
        loss: the loss of its outputs.
        data: training data.
        heldout: held-out data; None takes the training data.
        chunk_size: number of examples that go through the network at once.
        precision: arithmetic of curvature products: fp32, tf32 or bf16.
        seed: seed of samples and dropout.

    Raises:
        InputError: data, loss and module do not fit together.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: LossFunction | OutputLoss,
        data: Data,
        heldout: Data | None,
        *,
        chunk_size: int,
        precision: str,
        seed: int,
    ) -> None:
        if chunk_size < 1:
            raise InputError(f"chunk_size={chunk_size}", expected="1 or more")
        if precision not in list(Precision):
            raise InputError(f"precision={precision!r}", expected=f"one of {', '.join(Precision)}")
        train = examples_of(data)
        examples = {Split.TRAIN: train, Split.HELDOUT: train}
        if heldout is not None:
            examples[Split.HELDOUT] = examples_of(heldout)
        self.loss = output_loss(loss)
        tried = np.arange(min(_TRIED, len(train)))
        self.network = Network(module, train.take(tried)[0])
        self.objective = ModuleObjective(
            self.network, self.loss, examples, chunk_size, Precision(precision), seed
        )
        self.objective.check(tried)
        self._written = self.network.theta()

    def theta(self) -> Tensor:
        """Return the module's parameters [n]."""
        return self.network.theta()

    def size(self) -> ProblemSize:
        """Return what the memory of preconditioners depends on."""
        layers = tuple((layer.inputs, layer.outputs) for layer in self.objective.layers)
        examples = len(self.objective.unit_frames(Split.TRAIN))
        itemsize = self.network.dtype.itemsize
        return ProblemSize(self.network.size, itemsize, layers, examples, 1, self.network.others)

    def check(self, preconditioner: Preconditioner) -> None:
        """Refuse a preconditioner that knows nothing of the module; warn of what it leaves out."""
        preconditioner.memory(self.size())

    def before_step(self) -> None:
        """Refuse to go on where somebody else has changed the parameters.

        Raises:
            RunError: the module no longer holds what the optimiser left in it.
        """
        if not torch.equal(self.network.theta(), self._written):
            raise RunError(
                "the module's parameters were changed since the last step",
                expected="those that the optimiser left in it",
                remedy="make a new optimiser from here; frozen parameters may change at any time",
            )

    def write(self, theta: Tensor) -> None:
        """Leave θ [n] in the module."""
        self.network.write(theta)
        self._written = theta.detach().clone()

    def evaluate(self, data: Data | None) -> float:
        """Return the mean loss of data, or of the held-out data, in evaluation mode."""
        objective, theta = self.objective, self.network.theta()
        if data is None:
            count = len(objective.unit_frames(Split.HELDOUT))
            return objective.loss(theta, Sample(Split.HELDOUT, np.arange(count))).mean
        examples = examples_of(data)
        other = ModuleObjective(
            self.network,
            self.loss,
            {Split.HELDOUT: examples},
            objective.chunk_size,
            objective.precision,
            objective.seed,
        )
        return other.loss(theta, Sample(Split.HELDOUT, np.arange(len(examples)))).mean

    def with_statistics(self, state: State) -> State:
        """Return an optimiser's state with the running statistics of the module."""
        tensors = state["tensors"] | nest("statistics", self.network.statistics)
        return {"tensors": tensors, "values": state["values"]}

    def restore_statistics(self, state: dict[str, dict[str, Any]]) -> None:
        """Restore the running statistics that `with_statistics` put into a state."""
        restore(self.network.statistics, nested("statistics", state["tensors"]))
