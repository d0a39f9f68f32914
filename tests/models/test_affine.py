"""Which layers of a network are affine, and which parameters belong to none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from asr_hf.curvature.affine import AffineLayer
from asr_hf.models.affine import linear_layers, other_parameters


class Net(nn.Module):
    """Layers that are registered in another order than they are used."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 2)
        self.first = nn.Linear(3, 4)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


class NoBias(Net):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4, bias=False)


class Frozen(Net):
    """A layer whose bias no vector holds."""

    def __init__(self) -> None:
        super().__init__()
        bias = self.first.bias.detach()
        del self.first.bias
        self.first.register_buffer("bias", bias)


class Tied(Net):
    def __init__(self) -> None:
        super().__init__()
        self.again = nn.Linear(3, 4)
        self.again.weight = self.first.weight


class Scaled(Net):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))


class Convolved(Net):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(1, 1, 3)


class Odd(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Derived(Net):
    def __init__(self) -> None:
        super().__init__()
        self.first = Odd(3, 4)


class Normed(Net):
    def __init__(self) -> None:
        super().__init__()
        nn.utils.parametrizations.weight_norm(self.first)


@pytest.mark.parametrize(
    ("kind", "others"),
    [
        (Net, []),
        (NoBias, []),
        (Frozen, ["first.weight"]),
        (Tied, ["again.bias"]),
        (Scaled, ["scale"]),
        (Convolved, ["convolution.weight", "convolution.bias"]),
        (Derived, ["first.weight", "first.bias"]),
        (
            Normed,
            [
                "first.bias",
                "first.parametrizations.weight.original0",
                "first.parametrizations.weight.original1",
            ],
        ),
    ],
)
def test_parameters_of_no_affine_layer_are_named(kind, others):
    network = kind()
    layers = linear_layers(network)
    assert sorted(other_parameters(network, layers)) == sorted(others)
    assert "last" in layers


def test_a_layer_s_place_is_that_in_the_flat_vector():
    assert list(linear_layers(Net()).items()) == [
        ("last", AffineLayer(0, 4, 2)),
        ("first", AffineLayer(10, 3, 4)),
    ]


def test_a_layer_made_without_a_bias_is_known_as_such():
    network = NoBias()
    layers = linear_layers(network)
    assert layers["first"] == AffineLayer(10, 3, 4, bias=False)
    vector = torch.cat([p.detach().flatten() for p in network.parameters()])
    weight, bias = layers["first"].views(vector)
    assert torch.equal(weight, network.first.weight) and not len(bias)
