"""Gauss-Newton products of a multi-layer perceptron, by hand.

Pearlmutter's R-operator forward, then back-propagation (Schraudolph 2002; Martens 2010, section
4.2). With the activations kept, a product costs four GEMMs a layer, two for the first, against
three and two for a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor

from asr_hf.curvature.gauss_newton import OutputCurvature
from asr_hf.curvature.normalisation import NormalisedRows

# Normalises the outputs of a layer [F, U].
Normalise = Callable[[Tensor], NormalisedRows]


class Activation(StrEnum):
    """Hidden non-linearities whose derivative follows from their value."""

    SIGMOID = "sigmoid"
    TANH = "tanh"
    RELU = "relu"


@dataclass(frozen=True)
class Perceptron:
    """A network of fully connected layers and nothing else, as the R-operator needs it.

    Its parameters are W1, b1, W2, b2, ... in the order of the layers.

    Args:
        weights: W of each layer [out, in].
        biases: b of each layer [out].
        activation: the non-linearity after every layer but the last.
        first_rows: what the network takes -> the rows [F, in] that its first layer sees.
        normalise: normalisation after each activation, from the input up; none where it is empty.
        masks: what the network takes -> factors [F, U] of each hidden layer's outputs, after
            normalisation; None where there is no dropout.
    """

    weights: Sequence[Tensor]
    biases: Sequence[Tensor]
    activation: Activation
    first_rows: Callable[[Any], Tensor]
    normalise: Sequence[Normalise] = ()
    masks: Callable[[Any], Sequence[Tensor]] | None = None


_FORWARD: dict[Activation, Callable[[Tensor], Tensor]] = {
    Activation.SIGMOID: torch.sigmoid_,
    Activation.TANH: torch.tanh_,
    Activation.RELU: torch.relu_,
}


def _times_derivative(kind: Activation, value: Tensor, activation: Tensor) -> None:
    """Multiply `value` by the derivative at which the unit has `activation`, in place."""
    if kind is Activation.SIGMOID:
        torch.ops.aten.sigmoid_backward.grad_input(value, activation, grad_input=value)
    elif kind is Activation.TANH:
        torch.ops.aten.tanh_backward.grad_input(value, activation, grad_input=value)
    else:
        torch.ops.aten.threshold_backward.grad_input(value, activation, 0, grad_input=value)


class MLPCurvature:
    """G = J'H J of one chunk through a perceptron, its activations kept for many products.

    The vector's entries are W1, b1, W2, b2, ... in order, W stored [out, in].

    Args:
        weights: W of each layer [out, in].
        biases: b of each layer [out].
        activation: the hidden non-linearity.
        inputs: rows that the first layer sees [F, in].
        output_curvature: logits [F, C] -> (u -> H u).
        normalise: normalisation after each activation, from the input up; none where it is empty.
        masks: factors [F, U] of what the layer above sees, from the input up; none where it is
            empty.
    """

    replays = True

    def __init__(
        self,
        weights: Sequence[Tensor],
        biases: Sequence[Tensor],
        activation: Activation,
        inputs: Tensor,
        output_curvature: Callable[[Tensor], OutputCurvature],
        normalise: Sequence[Normalise] = (),
        masks: Sequence[Tensor] = (),
    ) -> None:
        self._weights = [w.detach() for w in weights]
        self._kind, self._masks = activation, masks
        # The rows that each layer sees; where they are normalised or masked, also what they were
        # before.
        self._inputs, self._activations = [inputs], [inputs]
        self._normalised: list[NormalisedRows] = []
        for depth, (weight, bias) in enumerate(zip(self._weights[:-1], biases[:-1], strict=True)):
            z = torch.addmm(bias.detach(), self._inputs[-1], weight.T)
            self._activations.append(_FORWARD[activation](z))
            rows = self._activations[-1]
            if normalise:
                self._normalised.append(normalise[depth](rows))
                rows = self._normalised[-1].rows
            self._inputs.append(rows * masks[depth] if masks else rows)
        logits = torch.addmm(biases[-1].detach(), self._inputs[-1], self._weights[-1].T)
        self._output_curvature = output_curvature(logits)
        self._logits_buffer = logits
        widest = max((w.shape[0] for w in self._weights[:-1]), default=0)
        self._buffers = [inputs.new_empty(len(inputs) * widest) for _ in range(2)]

    def add_product(self, vector: Tensor, out: Tensor) -> None:
        """Add G v [n] of v [n] to `out` [n]; nothing of the activations' size is allocated."""
        tangent = self._forward(layers_of(vector, self._weights))
        delta = self._output_curvature(tangent, out=tangent)
        self._backward(delta, layers_of(out, self._weights))

    def _forward(self, directions: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Return R z of the outputs [F, C]."""
        tangent: Tensor | None = None
        last = len(self._weights) - 1
        for layer, (direction, shift) in enumerate(directions):
            z = self._buffer(layer)
            torch.addmm(shift, self._inputs[layer], direction.T, out=z)
            if tangent is not None:
                z.addmm_(tangent, self._weights[layer].T)
            if layer < last:
                _times_derivative(self._kind, z, self._activations[layer + 1])
                if self._normalised:
                    self._normalised[layer].times_jacobian(z)
                if self._masks:
                    z.mul_(self._masks[layer])
            tangent = z
        assert tangent is not None
        return tangent

    def _backward(self, delta: Tensor, targets: list[tuple[Tensor, Tensor]]) -> None:
        for layer in range(len(self._weights) - 1, -1, -1):
            weight_target, bias_target = targets[layer]
            weight_target.addmm_(delta.T, self._inputs[layer])
            bias_target.add_(delta.sum(0))
            if layer:
                below = self._buffer(layer - 1)
                torch.mm(delta, self._weights[layer], out=below)
                if self._masks:
                    below.mul_(self._masks[layer - 1])
                if self._normalised:
                    self._normalised[layer - 1].times_jacobian(below)
                _times_derivative(self._kind, below, self._activations[layer])
                delta = below

    def _buffer(self, layer: int) -> Tensor:
        """Return scratch for a layer's values [F, out]; neighbours never share memory."""
        if layer == len(self._weights) - 1:
            return self._logits_buffer
        num_frames, width = len(self._inputs[0]), self._weights[layer].shape[0]
        return self._buffers[layer % 2][: num_frames * width].view(num_frames, width)


def layers_of(vector: Tensor, weights: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Return views of a flat vector [n] as (W, b) of each layer."""
    layers, start = [], 0
    for weight in weights:
        middle, stop = start + weight.numel(), start + weight.numel() + weight.shape[0]
        layers.append((vector[start:middle].view(weight.shape), vector[middle:stop]))
        start = stop
    return layers
