"""What models say of themselves, and for which classes it holds."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from asr_hf.curvature.r_operator import Activation
from asr_hf.data.frame_batch import FrameBatch
from asr_hf.kaldi.network import network_of
from asr_hf.models.dnn import DNN
from asr_hf.models.pretrain import pretrain
from asr_hf.models.tdnn import TDNN
from asr_hf.runtime.errors import InputError

DIM, PDFS = 3, 5


def settings_of(kind):
    given = {"feature_dim": DIM, "num_pdfs": PDFS, "seed": 3}
    if issubclass(kind, TDNN):
        return given | {"hidden_sizes": [7, 6], "context": [[-1, 0, 2], [-3, 3]]}
    return given | {"hidden_sizes": [7, 6], "left": 1, "right": 2}


def make(kind, **changes):
    model = kind(**settings_of(kind) | changes)
    generator = torch.Generator().manual_seed(1)
    model.flat.copy_(torch.randn(model.flat.shape, generator=generator))
    model.set_input_statistics(torch.randn(DIM, generator=generator), torch.ones(DIM) * 2)
    return model


def utterance(frames):
    features = torch.randn(frames, DIM, generator=torch.Generator().manual_seed(frames))
    zeros = torch.zeros(frames, dtype=torch.long)
    return FrameBatch(features, zeros, zeros, torch.full((frames,), frames))


class Doubled(DNN):
    """Computes something else."""

    def forward(self, spliced):
        return 2 * super().forward(spliced)


class Dropping(DNN):
    """Has other layers, though `forward` is inherited."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.layers[0] = nn.Sequential(self.layers[0], nn.Dropout(0.5))


class Same(DNN):
    """Computes the same, and does not say so."""


class SaysSo(DNN):
    """Computes the same, and says so."""

    def describe(self):
        return super().describe()


class DoubledAfterAll(SaysSo):
    """Its base says something that it does not keep."""

    def forward(self, spliced):
        return 2 * super().forward(spliced)


class DoubledTDNN(TDNN):
    """Computes something else."""

    def forward(self, inputs):
        return 2 * super().forward(inputs)


@pytest.mark.parametrize("kind", [DNN, TDNN, SaysSo])
@pytest.mark.parametrize("activation", Activation)
@pytest.mark.parametrize("frames", [1, 9])
def test_a_description_gives_the_logits_of_forward(kind, activation, frames):
    model, batch = make(kind, activation=activation), utterance(frames)
    described = model.description.logits(batch.features, model.normalise)
    torch.testing.assert_close(described, model(model.inputs(batch)))


@pytest.mark.parametrize("kind", [Doubled, Dropping, Same, DoubledAfterAll, DoubledTDNN])
def test_a_description_is_not_inherited(kind):
    model = make(kind)
    assert model.description is None and model.perceptron() is None
    with pytest.raises(InputError, match=f"{kind.__name__}: no exported form"):
        network_of(model)
    with pytest.raises(InputError, match=f"{kind.__name__} cannot be grown"):
        pretrain(model, lambda smaller: pytest.fail("trained a network"))


@pytest.mark.parametrize("kind", [DNN, SaysSo])
def test_a_plain_perceptron_goes_by_the_r_operator(kind):
    model = make(kind, activation="tanh")
    perceptron = model.perceptron()
    assert perceptron.activation is Activation.TANH
    pairs = zip(perceptron.weights, perceptron.biases, strict=True)
    parameters = [parameter for pair in pairs for parameter in pair]
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))


def test_what_is_no_plain_perceptron_does_not():
    assert make(TDNN).description is not None and make(TDNN).perceptron() is None
    parametrised = make(DNN)
    nn.utils.parametrizations.weight_norm(parametrised.layers[0])
    assert parametrised.perceptron() is None


class Upside(SaysSo):
    """Registers its layers in another order than it uses them."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.layers = nn.ModuleList(reversed(self.layers))

    def linear_layers(self):
        return super().linear_layers()[::-1]

    def forward(self, spliced):
        x = self.normalise(spliced)
        for layer in self.linear_layers()[:-1]:
            x = torch.sigmoid(layer(x))
        return self.linear_layers()[-1](x)

    def describe(self):
        return super().describe()


def test_layers_in_another_order_than_their_parameters_do_not_either():
    model = make(Upside)
    batch = utterance(4)
    described = model.description.logits(batch.features, model.normalise)
    torch.testing.assert_close(described, model(model.inputs(batch)))
    assert model.perceptron() is None


def test_a_network_without_hidden_layers_is_one_too():
    assert len(make(DNN, hidden_sizes=[]).perceptron().weights) == 1


@pytest.mark.parametrize(("kind", "expected"), [(DNN, (1, 2)), (TDNN, (4, 5))])
def test_the_context_is_that_of_all_layers(kind, expected):
    assert make(kind).description.context == expected
