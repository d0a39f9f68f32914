"""The curvature of one chunk of data, by the path that suits the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from asr_hf.curvature.gauss_newton import (
    ChunkCurvature,
    KeptDoubleBackward,
    NarrowedChunk,
    OutputCurvature,
)
from asr_hf.curvature.precision import Precision, narrow_layers
from asr_hf.curvature.r_operator import MLPCurvature, Perceptron, layers_of
from asr_hf.runtime.errors import InputError

AtOutputs = Callable[[Tensor], OutputCurvature]


class CurvaturePath(StrEnum):
    """How Gauss-Newton products are computed; AUTO takes the R-operator where it can."""

    AUTO = "auto"
    R_OPERATOR = "r_operator"
    DOUBLE_BACKWARD = "double_backward"


class LinearisedModel(Protocol):
    """What products need to know of a model.

    Attributes:
        flat: θ [n], of which the parameters are views in their order.
    """

    @property
    def flat(self) -> Tensor:
        """θ [n]."""
        ...

    def perceptron(self) -> Perceptron | None:
        """Return what the R-operator needs, or None where products go by double backward."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the leaves to differentiate by."""
        ...

    def __call__(self, inputs: Any) -> Tensor:
        """Return logits [F, C]."""
        ...


class ChunkMaker:
    """Makes the curvature of one chunk from a model's inputs.

    Args:
        model: the network; the curvature is that of its logits by its parameters.
        path: how products are computed.

    Raises:
        InputError: the R-operator is asked for, and the model is no plain perceptron.
    """

    def __init__(self, model: LinearisedModel, path: CurvaturePath) -> None:
        perceptron = model.perceptron()
        if path is CurvaturePath.R_OPERATOR and perceptron is None:
            raise InputError(
                f"runtime.curvature_path=r_operator: {type(model).__name__} is no plain DNN",
                remedy="use runtime.curvature_path=auto",
            )
        self._model = model
        self._perceptron = None if path is CurvaturePath.DOUBLE_BACKWARD else perceptron
        self._narrow: tuple[Tensor, Tensor, Tensor] | None = None

    def __call__(self, inputs: Any, at_outputs: AtOutputs, precision: Precision) -> ChunkCurvature:
        """Return the curvature of some frames.

        Args:
            inputs: what the model takes.
            at_outputs: logits [F, C] -> (u -> H u), the curvature of the loss at the outputs.
            precision: arithmetic of the products.
        """
        if self._perceptron is None:
            return self._by_double_backward(inputs, at_outputs, precision)
        return self._by_r_operator(self._perceptron, inputs, at_outputs, precision)

    def _by_r_operator(
        self, perceptron: Perceptron, inputs: Any, at_outputs: AtOutputs, precision: Precision
    ) -> ChunkCurvature:
        weights, biases, kind = perceptron.weights, perceptron.biases, perceptron.activation
        normalise = perceptron.normalise
        rows = perceptron.first_rows(inputs)
        masks = perceptron.masks(inputs) if perceptron.masks is not None else ()
        if precision is not Precision.BF16:
            return MLPCurvature(weights, biases, kind, rows, at_outputs, normalise, masks)
        narrow, vector, product = self._narrow_vectors()
        layers = layers_of(narrow.copy_(self._model.flat), weights)
        inner = MLPCurvature(
            [w for w, _ in layers],
            [b for _, b in layers],
            kind,
            rows.bfloat16(),
            at_outputs,
            normalise,
            [mask.bfloat16() for mask in masks],
        )
        return NarrowedChunk(inner, vector, product)

    def _narrow_vectors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return buffers for θ, a vector and a product [n] in bfloat16, allocated once."""
        if self._narrow is None:
            flat = self._model.flat
            theta, vector, product = (torch.empty_like(flat, dtype=torch.bfloat16) for _ in "tvp")
            self._narrow = theta, vector, product
        return self._narrow

    def _by_double_backward(
        self, inputs: Any, at_outputs: AtOutputs, precision: Precision
    ) -> ChunkCurvature:
        with narrow_layers(self._model.flat.device, precision):
            logits = self._model(inputs)
        parameters = list(self._model.parameters())
        return KeptDoubleBackward(logits, parameters, at_outputs(logits.detach()))
