"""Which way Gauss-Newton products of a model are computed."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor

from asr_hf.criteria.base import Criterion, OutputCurvature
from asr_hf.curvature.gauss_newton import ChunkCurvature, KeptDoubleBackward, NarrowedChunk
from asr_hf.curvature.precision import Precision
from asr_hf.curvature.r_operator import Activation, MLPCurvature, layers_of
from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.dnn import DNN
from asr_hf.runtime.errors import InputError

AtOutputs = Callable[[Tensor], OutputCurvature]


class CurvaturePath(StrEnum):
    """AUTO takes the R-operator where the model allows it."""

    AUTO = "auto"
    R_OPERATOR = "r_operator"
    DOUBLE_BACKWARD = "double_backward"


class ChunkMaker:
    """Makes the curvature of one chunk from a model's inputs.

    Args:
        model: whose parameters the curvature is of.
        criterion: gives the curvature at the outputs.
        path: how products are computed.

    Raises:
        InputError: the R-operator is asked of a model that is no plain DNN.
    """

    def __init__(
        self, model: AcousticModel, criterion: Criterion[Any], path: CurvaturePath
    ) -> None:
        # A class derived from it may compute something else.
        plain = type(model) is DNN
        if path is CurvaturePath.R_OPERATOR and not plain:
            raise InputError(
                f"runtime.curvature_path=r_operator: {type(model).__name__} is no plain DNN",
                remedy="use runtime.curvature_path=auto",
            )
        self._model, self._criterion = model, criterion
        self.by_hand = path is not CurvaturePath.DOUBLE_BACKWARD and plain
        self._narrow: tuple[Tensor, Tensor, Tensor] | None = None

    def __call__(self, inputs: Any, targets: Any, precision: Precision) -> ChunkCurvature:
        """The curvature of some frames.

        Args:
            inputs: as the model's `inputs()` made them.
            targets: what the criterion is told of them.
            precision: of the products.
        """

        def at_outputs(logits: Tensor) -> OutputCurvature:
            return self._criterion.curvature(logits, targets)

        if self.by_hand:
            assert isinstance(self._model, DNN)
            return self._by_r_operator(self._model, inputs, at_outputs, precision)
        return self._by_double_backward(inputs, at_outputs, precision)

    def _by_r_operator(
        self, model: DNN, inputs: Tensor, at_outputs: AtOutputs, precision: Precision
    ) -> ChunkCurvature:
        layers = model.linear_layers()
        weights, biases = [x.weight for x in layers], [x.bias for x in layers]
        normalised = model.normalise(inputs)
        kind = Activation(model.activation)
        if precision is not Precision.BF16:
            return MLPCurvature(weights, biases, kind, normalised, at_outputs)
        narrow, vector, product = self._narrow_vectors()
        pieces = layers_of(narrow.copy_(model.flat), weights)
        inner = MLPCurvature(
            [w for w, _ in pieces],
            [b for _, b in pieces],
            kind,
            normalised.bfloat16(),
            at_outputs,
        )
        return NarrowedChunk(inner, vector, product)

    def _narrow_vectors(self) -> tuple[Tensor, Tensor, Tensor]:
        """θ, a vector and a product [n] in bfloat16, allocated once."""
        if self._narrow is None:
            flat = self._model.flat
            theta, vector, product = (torch.empty_like(flat, dtype=torch.bfloat16) for _ in "tvp")
            self._narrow = theta, vector, product
        return self._narrow

    def _by_double_backward(
        self, inputs: Any, at_outputs: AtOutputs, precision: Precision
    ) -> ChunkCurvature:
        device = self._model.flat.device.type
        with torch.autocast(device, torch.bfloat16, enabled=precision is Precision.BF16):
            logits = self._model(inputs)
        parameters = list(self._model.parameters())
        return KeptDoubleBackward(logits, parameters, at_outputs(logits.detach()))
