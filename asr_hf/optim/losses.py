"""Losses of a network's outputs: one value an example, its curvature, and draws from it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from asr_hf.curvature.gauss_newton import OutputCurvature
from asr_hf.optim.examples import mapped
from asr_hf.runtime.errors import InputError

# (outputs [N, ...], targets [N, ...]) -> loss of the batch [], or of each example [N].
LossFunction = Callable[..., Tensor]
# Given a number K, returns numbers in [0, 1) for the examples [N, K].
Uniforms = Callable[[int], Tensor]
# Outputs of an example up to which H is taken apart as a matrix.
_MOST_DENSE = 256


class OutputLoss(ABC):
    """A loss that is convex in the outputs of each example."""

    @abstractmethod
    def per_example(self, outputs: Tensor, targets: Any) -> Tensor:
        """Return the loss of each example [N], which can be differentiated, of outputs [N, ...]."""

    def curvature(self, outputs: Tensor, targets: Any) -> OutputCurvature:
        """Return u -> H u for the Hessian H of the summed loss by the outputs, u of their shape."""
        return AutogradCurvature(self, outputs, targets)

    def sampled_gradient(self, outputs: Tensor, targets: Any, uniforms: Uniforms) -> Tensor:
        """Draw vectors of mean 0 and covariance H, as K-FAC needs them: here H^½ ε, ε Gaussian.

        For a negative log-likelihood they may be gradients with targets drawn from the model.

        Args:
            outputs: outputs of the network [N, ...].
            targets: the targets.
            uniforms: numbers that fix the draws.

        Returns:
            The vectors in the shape of the outputs.

        Raises:
            InputError: the loss couples too many outputs of an example.
        """
        curvature = self.curvature(outputs, targets)
        width = outputs[0].numel()
        noise = _normal(uniforms(2 * width)).to(outputs).view(outputs.shape)
        # A diagonal times ones is the diagonal; no other matrix gives its products with noise.
        diagonal = curvature(torch.ones_like(outputs))
        product = curvature(noise)
        if torch.allclose(product, diagonal * noise, rtol=1e-4, atol=1e-8):
            return diagonal.clamp_min(0).sqrt() * noise
        if width > _MOST_DENSE:
            raise InputError(
                f"loss: K-FAC needs the root of its Hessian, which couples {width} outputs",
                expected=f"at most {_MOST_DENSE} outputs, cross-entropy, or a loss of single "
                "outputs",
                remedy='preconditioner="lbfgs" or "diagonal", which serve any loss',
            )
        columns = []
        for place in range(width):
            unit = torch.zeros_like(outputs).view(len(outputs), width)
            unit[:, place] = 1
            columns.append(curvature(unit.view(outputs.shape)).reshape(len(outputs), width))
        values, vectors = torch.linalg.eigh(torch.stack(columns, dim=2).double())
        root = vectors * values.clamp_min(0).sqrt().unsqueeze(1)
        draws: Tensor = root @ noise.view(len(outputs), width, 1).double()
        return draws.to(outputs).view(outputs.shape)

    def errors(self, outputs: Tensor, targets: Any) -> int:
        """Return the number of examples whose most probable class is not the target."""
        return 0


class AutogradCurvature:
    """u -> H u by differentiating the gradient of the loss at the outputs.

    Args:
        loss: the loss.
        outputs: outputs of the network [N, ...].
        targets: the targets.
    """

    def __init__(self, loss: OutputLoss, outputs: Tensor, targets: Any) -> None:
        with torch.enable_grad():
            self._outputs = outputs.detach().requires_grad_()
            total = loss.per_example(self._outputs, targets).sum()
            (self._gradient,) = torch.autograd.grad(total, self._outputs, create_graph=True)

    def __call__(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return H u in the shape of the outputs, in `out` if given; it may be `vector` itself."""
        if self._gradient.requires_grad:
            (product,) = torch.autograd.grad(
                self._gradient,
                self._outputs,
                vector,
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
        else:
            product = torch.zeros_like(vector)
        return product if out is None else out.copy_(product)


class ConvexLoss(OutputLoss):
    """Any loss that is convex in the outputs; its curvature comes by differentiating twice.

    Args:
        function: (outputs, targets) -> a scalar or the loss of each example [N]. One that gives
            scalars is called for each example by itself, as a batch of one, under torch's vmap.
    """

    def __init__(self, function: LossFunction) -> None:
        self._function = function
        self._gives_examples: bool | None = None

    def per_example(self, outputs: Tensor, targets: Any) -> Tensor:
        """See `OutputLoss`."""
        if self._gives_examples is None:
            found = self._function(outputs, targets)
            self._gives_examples = found.shape == (len(outputs),) and found.dim() == 1
            if not self._gives_examples and found.dim():
                raise InputError(
                    f"loss: its value is {list(found.shape)} for {len(outputs)} examples",
                    expected="a scalar, or one value for each example [N]",
                )
        if self._gives_examples:
            return self._function(outputs, targets)
        return self._one_by_one(outputs, targets)

    def _one_by_one(self, outputs: Tensor, targets: Any) -> Tensor:
        def of_one(output: Tensor, target: Any) -> Tensor:
            batch = mapped(lambda tensor: tensor.unsqueeze(0), target)
            return self._function(output.unsqueeze(0), batch)

        try:
            losses: Tensor = torch.func.vmap(of_one)(outputs, targets)
        except RuntimeError as error:
            raise InputError(
                f"loss: torch cannot compute it example by example: {str(error).splitlines()[0]}",
                expected="a function that torch.func.vmap takes, or one that returns the loss of "
                "each example [N]",
            ) from error
        return losses


def _normal(uniforms: Tensor) -> Tensor:
    """Return normal numbers [N, K] from uniform ones [N, 2 K] (Box & Muller 1958)."""
    first, second = uniforms.chunk(2, dim=1)
    return torch.log1p(-first).mul(-2).sqrt() * torch.cos(2 * math.pi * second)
