"""Inputs and outputs of affine layers, and their parts of a vector."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from asr_hf.curvature.affine import AffineLayer, LayerTap
from asr_hf.runtime.errors import InputError


class Net(nn.Module):
    """Layers that are registered in another order than they are used."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 2)
        self.first = nn.Linear(3, 4)

    def tap(self):
        return LayerTap({"last": self.last, "first": self.first})

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


def test_inputs_and_outputs_belong_to_their_layers_whatever_the_order_of_use():
    torch.manual_seed(0)
    net, x = Net(), torch.randn(7, 3)
    told = {}
    with net.tap().tapped(told.__setitem__) as outputs:
        logits = net(x)
    hidden = torch.tanh(net.first(x)).detach()
    for number, (layer, inputs) in enumerate(((net.last, hidden), (net.first, x))):
        torch.testing.assert_close(told[number], inputs)
        torch.testing.assert_close(outputs[number], layer(inputs))
    assert outputs[0] is logits


def test_a_layer_s_views_are_its_weights_and_its_bias():
    vector = torch.arange(20.0)
    weight, bias = AffineLayer(start=3, inputs=4, outputs=2).views(vector)
    assert torch.equal(weight, torch.arange(3.0, 11.0).view(2, 4))
    assert bias.tolist() == [11, 12]
    weight.zero_()
    assert not vector[3:11].any()


def test_the_matrix_of_a_layer_has_a_column_for_its_bias():
    vector = torch.arange(20.0)
    with_bias = AffineLayer(start=3, inputs=4, outputs=2)
    without = AffineLayer(start=3, inputs=4, outputs=2, bias=False)
    weight = torch.arange(3.0, 11.0).view(2, 4)
    assert torch.equal(without.matrix(vector), weight) and without.columns == 4
    expected = torch.cat([weight, torch.tensor([[11.0], [12.0]])], dim=1)
    assert torch.equal(with_bias.matrix(vector), expected) and with_bias.columns == 5
    assert without.views(vector)[1].shape == (0,)


def use_twice(net, x):
    return net.last(torch.tanh(net.first(torch.tanh(net.first(x)[:, :3]))))


FORWARDS = {
    "more than once": use_twice,
    "on an input": lambda net, x: net(x[None])[0],
    "is not used": lambda net, x: net.first(x),
    "changed in place": lambda net, x: net.last(torch.relu_(net.first(x))),
}


@pytest.mark.parametrize("what", FORWARDS)
def test_layers_that_are_used_otherwise_are_refused(what):
    net = Net()
    with pytest.raises(InputError, match=what), net.tap().tapped(lambda layer, a: None):
        FORWARDS[what](net, torch.randn(5, 3))
