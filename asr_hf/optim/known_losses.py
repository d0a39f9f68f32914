"""torch's own losses, whose curvature is known in closed form.

The objective is the mean over examples of the loss of one example. A loss with reduction="mean" is
the mean over what one example has of outputs, so that it equals torch's own value where all
examples have the same number of them.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as f
from torch import Tensor, nn

from asr_hf.criteria.sample_classes import sample_classes
from asr_hf.curvature.gauss_newton import OutputCurvature
from asr_hf.optim.losses import ConvexLoss, LossFunction, OutputLoss, Uniforms
from asr_hf.runtime.errors import InputError


class CrossEntropyLoss(OutputLoss):
    """torch's cross-entropy with any of its options, on logits [N, C, ...].

    Every option leaves -Σ a_c log p_c with a >= 0 for the softmax p of each position, whose
    Hessian is s (diag(p) - pp') with s = Σ a_c. At equal logits the loss is s log C.

    Args:
        elements: the loss of each position [N, ...].
        mean: whether positions of an example are averaged; otherwise they are added up.
    """

    def __init__(self, elements: LossFunction, mean: bool) -> None:
        self._elements, self._mean = elements, mean

    def per_example(self, outputs: Tensor, targets: Any) -> Tensor:
        """See `OutputLoss`."""
        return _reduced(self._elements(outputs, targets), self._mean)

    def curvature(self, outputs: Tensor, targets: Any) -> OutputCurvature:
        """See `OutputLoss`."""
        posteriors = torch.softmax(outputs.detach(), dim=1)
        strength = self._strength(outputs, targets)

        @torch.no_grad()
        def product(vector: Tensor, out: Tensor | None = None) -> Tensor:
            out = torch.mul(posteriors, vector, out=out)
            out.addcmul_(posteriors, out.sum(dim=1, keepdim=True), value=-1.0)
            return out.mul_(strength)

        return product

    @torch.no_grad()
    def sampled_gradient(self, outputs: Tensor, targets: Any, uniforms: Uniforms) -> Tensor:
        """Return √s (p - e_y) with y drawn from p; see `OutputLoss`."""
        gradient = torch.softmax(outputs, dim=1)
        # A row for each position.
        rows = gradient.movedim(1, -1)
        flat = rows.reshape(-1, rows.shape[-1])
        drawn = sample_classes(flat, uniforms(len(flat) // len(outputs)).flatten())
        flat = flat.scatter_add(1, drawn, flat.new_full(drawn.shape, -1.0))
        return flat.view(rows.shape).movedim(-1, 1) * self._strength(outputs, targets).sqrt()

    @torch.no_grad()
    def _strength(self, outputs: Tensor, targets: Any) -> Tensor:
        """Return s of each position [N, 1, ...], divided as the loss of positions is."""
        level = self._elements(torch.zeros_like(outputs), targets) / math.log(outputs.shape[1])
        return (level / _divisor(level, self._mean)).unsqueeze(1)

    def errors(self, outputs: Tensor, targets: Any) -> int:
        """See `OutputLoss`; 0 unless there is one label for each example."""
        if outputs.dim() != 2 or not isinstance(targets, Tensor) or targets.dim() != 1:
            return 0
        return int((outputs.argmax(1) != targets).sum())


class BinaryCrossEntropyLoss(OutputLoss):
    """torch's binary cross-entropy with any of its options, on logits of any shape.

    Every option leaves -a log σ(z) - b log(1 - σ(z)) of each element with a, b >= 0, whose second
    derivative is s σ(1 - σ) with s = a + b. At z = 0 the loss is s log 2.

    Args:
        elements: the loss of each element, in the shape of the outputs.
        mean: whether elements of an example are averaged; otherwise they are added up.
    """

    def __init__(self, elements: LossFunction, mean: bool) -> None:
        self._elements, self._mean = elements, mean

    def per_example(self, outputs: Tensor, targets: Any) -> Tensor:
        """See `OutputLoss`."""
        return _reduced(self._elements(outputs, targets), self._mean)

    def curvature(self, outputs: Tensor, targets: Any) -> OutputCurvature:
        """See `OutputLoss`."""
        return DiagonalCurvature(self._diagonal(outputs, targets))

    @torch.no_grad()
    def _diagonal(self, outputs: Tensor, targets: Any) -> Tensor:
        level = self._elements(torch.zeros_like(outputs), targets) / math.log(2.0)
        p = torch.sigmoid(outputs)
        return p * (1 - p) * level / _divisor(level, self._mean)

    @torch.no_grad()
    def sampled_gradient(self, outputs: Tensor, targets: Any, uniforms: Uniforms) -> Tensor:
        """Return √s (σ - y) with y drawn from σ; see `OutputLoss`."""
        level = self._elements(torch.zeros_like(outputs), targets) / math.log(2.0)
        p = torch.sigmoid(outputs)
        drawn = uniforms(outputs[0].numel()).to(p).view(p.shape) < p
        return (p - drawn.to(p)) * (level / _divisor(level, self._mean)).sqrt()


class SquaredLoss(OutputLoss):
    """torch's mean squared error (z - y)², on outputs of any shape; H = 2 I of each element.

    Args:
        mean: whether elements of an example are averaged; otherwise they are added up.
    """

    def __init__(self, mean: bool) -> None:
        self._mean = mean

    def per_example(self, outputs: Tensor, targets: Any) -> Tensor:
        """See `OutputLoss`."""
        return _reduced(f.mse_loss(outputs, targets, reduction="none"), self._mean)

    def curvature(self, outputs: Tensor, targets: Any) -> OutputCurvature:
        """See `OutputLoss`."""
        return DiagonalCurvature(torch.full_like(outputs, 2 / _divisor(outputs, self._mean)))


class DiagonalCurvature:
    """u -> d ∘ u.

    Args:
        diagonal: d in the shape of the outputs.
    """

    def __init__(self, diagonal: Tensor) -> None:
        self._diagonal = diagonal

    @torch.no_grad()
    def __call__(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return d ∘ u, in `out` if given; `out` may be `vector` itself."""
        return torch.mul(self._diagonal, vector, out=out)


def output_loss(loss: LossFunction | OutputLoss) -> OutputLoss:
    """Return a loss as the optimisers need it.

    Args:
        loss: torch's cross-entropy, mean squared error or binary cross-entropy with logits, as
            module or as function; or any other loss that is convex in the outputs.

    Raises:
        InputError: the loss is linear in the outputs, so that it has no curvature.
    """
    if isinstance(loss, OutputLoss):
        return loss
    if isinstance(loss, nn.NLLLoss | nn.L1Loss) or loss in (f.nll_loss, f.l1_loss):
        raise InputError(
            f"loss: {_name(loss)} is linear in the network's outputs, so that it has no curvature",
            expected="a loss that is convex in the outputs, such as torch.nn.CrossEntropyLoss",
            remedy="let the network end before its log_softmax, and take CrossEntropyLoss"
            if "nll" in _name(loss).lower()
            else "torch.nn.SmoothL1Loss or torch.nn.HuberLoss",
        )
    mean = getattr(loss, "reduction", "mean") != "sum"
    if type(loss) is nn.CrossEntropyLoss:
        return CrossEntropyLoss(_elements(f.cross_entropy, loss, _CROSS_ENTROPY), mean)
    if type(loss) is nn.BCEWithLogitsLoss:
        function = f.binary_cross_entropy_with_logits
        return BinaryCrossEntropyLoss(_elements(function, loss, _BINARY), mean)
    if type(loss) is nn.MSELoss or loss is f.mse_loss:
        return SquaredLoss(mean)
    if loss is f.cross_entropy:
        return output_loss(nn.CrossEntropyLoss())
    if loss is f.binary_cross_entropy_with_logits:
        return output_loss(nn.BCEWithLogitsLoss())
    return ConvexLoss(loss)


_CROSS_ENTROPY = ("weight", "ignore_index", "label_smoothing")
_BINARY = ("weight", "pos_weight")


def _elements(function: LossFunction, loss: nn.Module, options: tuple[str, ...]) -> LossFunction:
    """Return a loss module's function of single elements, with the module's options."""
    given = {name: vars(loss).get(name, dict(loss.named_buffers()).get(name)) for name in options}

    def elements(outputs: Tensor, targets: Tensor) -> Tensor:
        placed = {
            name: value.to(outputs) if isinstance(value, Tensor) else value
            for name, value in given.items()
        }
        return function(outputs, targets, reduction="none", **placed)

    return elements


def _reduced(elements: Tensor, mean: bool) -> Tensor:
    return elements.flatten(1).sum(1) / _divisor(elements, mean) if elements.dim() > 1 else elements


def _divisor(elements: Tensor, mean: bool) -> int:
    return max(1, elements[0].numel()) if mean else 1


def _name(loss: Any) -> str:
    return str(getattr(loss, "__name__", type(loss).__name__))
