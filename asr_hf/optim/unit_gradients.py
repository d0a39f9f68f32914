"""Gradients of single examples, many at once."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from asr_hf.optim.examples import Tree, leaves, mapped
from asr_hf.optim.losses import OutputLoss
from asr_hf.optim.network import Network

log = logging.getLogger(__name__)

# Numbers of the gradients that are there at once.
_MOST_NUMBERS = 1 << 22


class UnitGradients:
    """Computes gradients example by example, by torch's vmap where it knows the operations.

    Args:
        network: the module.
        loss: the loss of its outputs.
    """

    def __init__(self, network: Network, loss: OutputLoss) -> None:
        self._network, self._loss = network, loss
        self._by_vmap = True

    @property
    def at_once(self) -> int:
        """The number of examples for one call."""
        return max(1, _MOST_NUMBERS // self._network.size)

    def __call__(self, theta: Tensor, inputs: Tree, targets: Tree, *, training: bool) -> Tensor:
        """Return the gradient of each example [N, n] at θ [n]."""
        if self._by_vmap:
            try:
                return self._mapped(theta, inputs, targets, training)
            except (RuntimeError, NotImplementedError) as error:
                log.info("gradients of examples go one by one: %s", str(error).splitlines()[0])
                self._by_vmap = False
        count = len(leaves(targets)[0])
        return torch.stack(
            [self._of_one(theta, _row(inputs, k), _row(targets, k), training) for k in range(count)]
        )

    def _mapped(self, theta: Tensor, inputs: Tree, targets: Tree, training: bool) -> Tensor:
        def loss(parameters: list[Tensor], *one: Any) -> Tensor:
            batch = [mapped(lambda tensor: tensor.unsqueeze(0), part) for part in one]
            outputs = self._network.outputs(parameters, batch[0], training=training)
            return self._loss.per_example(outputs, batch[1]).sum()

        gradients = torch.func.vmap(
            torch.func.grad(loss), in_dims=(None, 0, 0), randomness="different"
        )(self._network.leaves(theta), inputs, targets)
        return torch.cat([g.flatten(1) for g in gradients], dim=1)

    def _of_one(self, theta: Tensor, inputs: Tree, targets: Tree, training: bool) -> Tensor:
        parameters = self._network.leaves(theta, requires_grad=True)
        outputs = self._network.outputs(parameters, inputs, training=training)
        loss = self._loss.per_example(outputs, targets).sum()
        return torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, parameters)])


def _row(tree: Tree, number: int) -> Tree:
    return mapped(lambda tensor: tensor[number : number + 1], tree)
