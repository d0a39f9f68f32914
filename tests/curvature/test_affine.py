"""Which layers K-FAC knows, and that it never takes one for another."""

from __future__ import annotations

import pytest
import torch
from asr_hf.training.affine import LayerTap, affine_layers, layer_shapes, other_parameters
from torch import nn

from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.curvature.affine import AffineLayer
from asr_hf.hf.memory import ProblemSize
from asr_hf.hf.objective import Split
from asr_hf.hf.preconditioners.kfac import KFACPreconditioner
from asr_hf.hf.preconditioners.lbfgs import LBFGSPreconditioner
from asr_hf.models.flat import FlatModule, parameter_slices
from asr_hf.runtime.errors import InputError
from asr_hf.training.planning.memory import problem_size


class Net(FlatModule):
    """Layers that are registered in another order than they are used."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 2)
        self.first = nn.Linear(3, 4)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


def test_inputs_and_outputs_belong_to_their_layers_whatever_the_order_of_use():
    torch.manual_seed(0)
    net, x = Net(), torch.randn(7, 3)
    told = {}
    with LayerTap(net).tapped(told.__setitem__) as outputs:
        logits = net(x)
    hidden = torch.tanh(net.first(x)).detach()
    slices = parameter_slices(net)
    for number, (name, inputs) in enumerate((("last", hidden), ("first", x))):
        layer = getattr(net, name)
        shape = AffineLayer(slices[f"{name}.weight"].start, layer.in_features, layer.out_features)
        assert layer_shapes(net)[number] == shape
        torch.testing.assert_close(told[number], inputs)
        torch.testing.assert_close(outputs[number], layer(inputs))
    assert outputs[0] is logits


class NoBias(Net):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4, bias=False)


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
        (NoBias, ["first.weight"]),
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
def test_parameters_that_it_does_not_know_are_named(kind, others):
    assert sorted(other_parameters(kind())) == sorted(others)
    assert "last" in dict(affine_layers(kind()))


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
    tap = LayerTap(net)
    with pytest.raises(InputError, match=what), tap.tapped(lambda layer, a: None):
        FORWARDS[what](net, torch.randn(5, 3))


@pytest.mark.parametrize(
    "made", [KFACPreconditioner(), LBFGSPreconditioner(initial=KFACPreconditioner())]
)
def test_kfac_refuses_before_training(made):
    known = ProblemSize(20, 4, ((3, 4),), 100)
    assert made.memory(known) > 0
    for others, layers in ((("scale",), ((3, 4),)), ((), ())):
        with pytest.raises(InputError, match="K-FAC knows fully connected layers"):
            made.memory(ProblemSize(20, 4, layers, 100, others=others))


def test_models_of_ours_have_nothing_that_it_does_not_know(make_objective):
    assert problem_size(make_objective()).others == ()


def test_a_class_derived_from_the_dnn_is_not_taken_for_one(make_objective):
    """Its curvature is that of what it computes."""
    objective = make_objective()
    model = objective.model

    class Doubled(type(model)):
        def forward(self, spliced):
            return 2 * super().forward(spliced)

    from asr_hf.training.frame_objective import FrameObjective

    settings = {"hidden_sizes": [6, 5], "left": 1, "right": 2, "seed": 3}
    derived = Doubled(feature_dim=3, num_pdfs=4, **settings).double()
    other = FrameObjective(derived, CrossEntropy(), objective.stores, 40)
    sample = whole_part(other)
    theta = derived.flat.clone()
    vector = torch.randn_like(theta)
    product = other.curvature(theta, sample).product(vector)
    step = 1e-5
    # G v = J' H J v, with J v by differences and J' by back-propagation.
    expected = gauss_newton(derived, other, sample, theta, vector, step)
    torch.testing.assert_close(product, expected, rtol=1e-4, atol=1e-6)


def whole_part(objective):
    import numpy as np

    from asr_hf.hf.objective import Sample

    return Sample(Split.TRAIN, np.arange(3))


def gauss_newton(model, objective, sample, theta, vector, step):
    batch = objective.stores[Split.TRAIN].gather(sample.units, torch.device("cpu"))

    def logits(at):
        model.flat.copy_(at)
        return model(model.inputs(batch))

    with torch.no_grad():
        forward = (logits(theta + step * vector) - logits(theta - step * vector)) / (2 * step)
    found = logits(theta)
    at_outputs = CrossEntropy().curvature(found.detach())(forward)
    model.flat_grad.zero_()
    found.backward(at_outputs)
    return model.flat_grad.clone()
