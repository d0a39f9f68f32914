"""The path that the products of a model take."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from asr_hf.curvature.chunks import ChunkMaker, CurvaturePath
from asr_hf.curvature.gauss_newton import KeptDoubleBackward, NarrowedChunk
from asr_hf.curvature.precision import Precision
from asr_hf.curvature.r_operator import Activation, MLPCurvature, Perceptron
from asr_hf.runtime.errors import InputError


class Network(nn.Module):
    """A perceptron that may say so, in one flat vector."""

    def __init__(self, describes: bool) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.describes, self.flat = (
            describes,
            torch.randn(4 * 3 + 4 + 2 * 4 + 2, generator=generator),
        )
        places = self.flat.split([12, 4, 8, 2])
        shapes = ((4, 3), (4,), (2, 4), (2,))
        self.leaves = nn.ParameterList(
            nn.Parameter(place.view(shape)) for place, shape in zip(places, shapes, strict=True)
        )

    def perceptron(self):
        if not self.describes:
            return None
        w1, b1, w2, b2 = self.leaves
        return Perceptron([w1, w2], [b1, b2], Activation.TANH, lambda inputs: inputs)

    def forward(self, inputs):
        w1, b1, w2, b2 = self.leaves
        return torch.tanh(inputs @ w1.T + b1) @ w2.T + b2


def squared(logits):
    """The curvature of half the squared logits."""
    return lambda u, out=None: u if out is None else out.copy_(u)


INPUTS = torch.randn(7, 3, generator=torch.Generator().manual_seed(1))


def made(describes, path, precision=Precision.FP32):
    return ChunkMaker(Network(describes), path)(INPUTS, squared, precision)


@pytest.mark.parametrize(
    ("describes", "path", "expected"),
    [
        (True, CurvaturePath.AUTO, MLPCurvature),
        (True, CurvaturePath.R_OPERATOR, MLPCurvature),
        (True, CurvaturePath.DOUBLE_BACKWARD, KeptDoubleBackward),
        (False, CurvaturePath.AUTO, KeptDoubleBackward),
        (False, CurvaturePath.DOUBLE_BACKWARD, KeptDoubleBackward),
    ],
)
def test_the_r_operator_serves_models_that_are_perceptrons(describes, path, expected):
    assert type(made(describes, path)) is expected


def test_it_is_refused_to_others():
    with pytest.raises(InputError, match="Network is no plain DNN"):
        made(False, CurvaturePath.R_OPERATOR)


@pytest.mark.parametrize(
    ("precision", "tolerance"), [(Precision.FP32, 1e-5), (Precision.BF16, 0.1)]
)
def test_both_paths_give_the_same_products(precision, tolerance):
    v = torch.randn(26, generator=torch.Generator().manual_seed(2))
    products = []
    for path in (CurvaturePath.R_OPERATOR, CurvaturePath.DOUBLE_BACKWARD):
        chunk = made(True, path, precision)
        chunk.add_product(v, out := torch.zeros_like(v))
        products.append(out)
    by_hand, generic = products
    assert (by_hand - generic).norm() < tolerance * generic.norm()


def test_coarse_products_are_narrowed():
    assert type(made(True, CurvaturePath.AUTO, Precision.BF16)) is NarrowedChunk
