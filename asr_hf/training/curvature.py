"""Which way Gauss-Newton products of a model are computed."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from torch import Tensor

from asr_hf.criteria.base import FrameCriterion
from asr_hf.hf.gauss_newton import ChunkCurvature, KeptDoubleBackward
from asr_hf.hf.r_operator import Activation, MLPCurvature
from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.dnn import DNN
from asr_hf.runtime.errors import InputError


class CurvaturePath(StrEnum):
    """AUTO takes the R-operator where the model allows it."""

    AUTO = "auto"
    R_OPERATOR = "r_operator"
    DOUBLE_BACKWARD = "double_backward"


def curvature_chunks(
    model: AcousticModel, criterion: FrameCriterion, path: CurvaturePath
) -> Callable[[Tensor], ChunkCurvature]:
    """Return what makes the curvature of one chunk from its spliced inputs [F, input_dim].

    Raises:
        InputError: the R-operator is asked of a model that is no plain DNN.
    """
    plain = isinstance(model, DNN)
    if path is CurvaturePath.R_OPERATOR and not plain:
        raise InputError(
            f"runtime.curvature_path=r_operator: {type(model).__name__} is no plain DNN",
            remedy="use runtime.curvature_path=auto",
        )
    if isinstance(model, DNN) and path is not CurvaturePath.DOUBLE_BACKWARD:
        dnn = model
        return lambda inputs: _by_r_operator(dnn, criterion, inputs)
    return lambda inputs: _by_double_backward(model, criterion, inputs)


def _by_r_operator(model: DNN, criterion: FrameCriterion, inputs: Tensor) -> ChunkCurvature:
    layers = model.linear_layers()
    return MLPCurvature(
        [layer.weight for layer in layers],
        [layer.bias for layer in layers],
        Activation(model.activation),
        model.normalise(inputs),
        criterion.curvature,
    )


def _by_double_backward(
    model: AcousticModel, criterion: FrameCriterion, inputs: Tensor
) -> ChunkCurvature:
    logits = model(inputs)
    return KeptDoubleBackward(
        logits, list(model.parameters()), criterion.curvature(logits.detach())
    )
