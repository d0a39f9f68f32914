"""Faults of the user's own classes are found before training, and named."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from asr_hf.criteria.base import FrameLoss
from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.curvature.r_operator import Activation
from asr_hf.data.splice import splice, splice_at
from asr_hf.hf.objective import Split
from asr_hf.hf.preconditioners.base import Stateless
from asr_hf.kaldi.network import network_of
from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.description import DescribedLayer, Description
from asr_hf.models.registry import build
from asr_hf.runtime.errors import InputError
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.try_out import (
    failures_named,
    try_criterion,
    try_curvature,
    try_model,
    try_preconditioner,
)


class Own(AcousticModel):
    """A model without a fault."""

    def __init__(self, *, feature_dim: int, num_pdfs: int, width: int = 5, seed: int = 0) -> None:
        super().__init__(feature_dim, num_pdfs, 1, 1, 3 * feature_dim)
        torch.manual_seed(seed)
        self.hidden = nn.Linear(3 * feature_dim, width)
        self.output = nn.Linear(width, num_pdfs)
        self.width = width

    def inputs(self, batch, index=None):
        if index is None:
            return splice(batch, 1, 1, self.flat.dtype)
        return splice_at(batch, index, 1, 1, self.flat.dtype)

    def forward(self, inputs):
        return self.output(self.middle(torch.tanh(self.hidden(self.normalise(inputs)))))

    def middle(self, x):
        return x

    def start_at_priors(self):
        pass


class Dropped(Own):
    def middle(self, x):
        return nn.functional.dropout(x, 0.5, self.training)


class BatchNormed(Own):
    def __init__(self, **more) -> None:
        super().__init__(**more)
        self.norm = nn.BatchNorm1d(self.width)

    def middle(self, x):
        return self.norm(x)


class BatchMean(Own):
    def middle(self, x):
        return x - x.mean(0)


class FewOutputs(Own):
    def forward(self, inputs):
        return super().forward(inputs)[:, 1:]


class NotFinite(Own):
    def middle(self, x):
        return x / 0


class Blind(Own):
    def inputs(self, batch, index=None):
        return super().inputs(batch)[: None if index is None else len(index)]


class Idle(Own):
    def __init__(self, **more) -> None:
        super().__init__(**more)
        self.idle = nn.Linear(2, 2)


class Forgetful(Own):
    """What it learned lies outside of its parameters and buffers."""

    made = 0

    def __init__(self, **more) -> None:
        super().__init__(**more)
        type(self).made += 1
        self.number = type(self).made

    def middle(self, x):
        return x * self.number


class Failing(Own):
    def middle(self, x):
        raise IndexError("out of range")


class WronglyDescribed(Own):
    """Leaves an activation out of its description."""

    def describe(self):
        layers = [DescribedLayer(layer, (0,), None) for layer in (self.hidden, self.output)]
        return Description((-1, 0, 1), tuple(layers))


class RightlyDescribed(Own):
    """Says what it is made of."""

    def describe(self):
        hidden = DescribedLayer(self.hidden, (0,), Activation.TANH)
        return Description((-1, 0, 1), (hidden, DescribedLayer(self.output, (0,), None)))


FAULTS = {
    WronglyDescribed: r"describe\(\) gives other logits",
    Dropped: "a second time",
    BatchNormed: "changes its buffers",
    BatchMean: "other logits|depend on those beside it",
    FewOutputs: r"logits \[\d+, 4\] are expected, not \[\d+, 3\]",
    NotFinite: "finite logits",
    Blind: r"inputs\(batch, index\)",
    Idle: r"idle\.weight, idle\.bias",
    Forgetful: "made again from its settings",
    Failing: "IndexError: out of range",
}


def tried(kind, stores, **more):
    store = stores[Split.TRAIN]

    def make(seed):
        return build(kind, {}, store.dim, store.num_pdfs, seed)

    model = make(0)
    before = {name: tensor.clone() for name, tensor in model.state_tensors().items()}
    try:
        try_model(model, store, lambda: make(1), **more)
    finally:
        if kind is not BatchNormed:
            assert all(torch.equal(before[n], t) for n, t in model.state_tensors().items())
    return model


def test_a_model_without_a_fault_passes_and_stays_as_it_is(stores, caplog):
    with caplog.at_level("INFO"):
        tried(Own, stores)
    assert "not nnet1, nnet3, vosk or onnx" in caplog.text


@pytest.mark.parametrize("kind", FAULTS)
def test_a_model_s_fault_is_named(stores, kind):
    with pytest.raises(InputError, match=FAULTS[kind]) as error:
        tried(kind, stores)
    assert kind.__name__ in str(error.value) and "model._target_" in str(error.value)


@pytest.mark.parametrize("form", ["nnet1", "nnet3", "onnx"])
def test_a_form_that_it_cannot_have_is_refused(stores, form):
    with pytest.raises(InputError, match=f"export.format={form}"):
        tried(Own, stores, exported=form)
    tried(Own, stores, exported="loglikes")


@pytest.mark.parametrize("form", ["nnet1", "nnet3", "onnx"])
def test_a_model_that_describes_itself_has_every_form(stores, form, caplog):
    with caplog.at_level("INFO"):
        model = tried(RightlyDescribed, stores, exported=form)
    assert "nnet1" not in caplog.text
    assert len(network_of(model).layers) == 2 and model.perceptron() is not None


def test_models_of_ours_are_not_tried(make_objective, stores):
    def never():
        raise AssertionError

    try_model(make_objective().model, stores[Split.TRAIN], never, "nnet3")


class Smooth(CrossEntropy):
    """A criterion without a fault."""


class Total(CrossEntropy):
    def loss_and_gradient(self, logits, labels):
        loss, gradient = super().loss_and_gradient(logits, labels)
        return FrameLoss(loss.total, loss.errors, loss.total), gradient


class OnePerFrame(CrossEntropy):
    def gradient(self, logits, labels):
        return super().gradient(logits, labels)[:, 0]


class Sharded(CrossEntropy):
    def sampled_gradient(self, logits, labels, uniforms):
        return super().sampled_gradient(logits, labels, uniforms) / 0


class Untaught(CrossEntropy):
    def curvature(self, logits, labels=None):
        raise NotImplementedError("no curvature")


CRITERIA = {
    Total: "loss of another shape",
    OnePerFrame: "gradient of another shape",
    Sharded: "sampled_gradient of another shape, or not finite",
    Untaught: "NotImplementedError: no curvature",
}


@pytest.mark.parametrize("kind", CRITERIA)
def test_a_criterion_s_fault_is_named(make_objective, stores, kind):
    model = make_objective().model
    try_criterion(Smooth(), model, stores[Split.TRAIN])
    with pytest.raises(InputError, match=CRITERIA[kind]) as error:
        try_criterion(kind(), model, stores[Split.TRAIN])
    assert "criterion._target_" in str(error.value)


class Kept(Stateless):
    def __init__(self, values=None, tensors=None) -> None:
        self.values, self.tensors = values or {}, tensors or {}

    def state_dict(self):
        return {"tensors": self.tensors, "values": self.values}


@pytest.mark.parametrize(
    "fault", [Kept({"a": object()}), Kept({"a": torch.ones(1)}), Kept(None, {"a": 1.0})]
)
def test_a_state_that_no_checkpoint_can_hold_is_named(fault):
    try_preconditioner(None)
    try_preconditioner(Kept({"a": [1, None]}, {"b": torch.ones(2)}))
    with pytest.raises(InputError, match=r"preconditioner._target_: .*Kept: its state"):
        try_preconditioner(fault)


class OnceOnly(Own):
    """Its backward pass cannot be differentiated."""

    def middle(self, x):
        return _Once.apply(x)


class Kinked(Own):
    def middle(self, x):
        return torch.relu(x)


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient


def test_a_model_without_a_second_derivative_is_named_before_training(stores):
    objective = FrameObjective(tried(OnceOnly, stores), CrossEntropy(), stores)
    theta = objective.model.flat.clone()
    with pytest.raises(InputError, match="OnceOnly: its second derivatives are wrong"):
        try_curvature(objective)
    for kind in (Own, Kinked):
        try_curvature(FrameObjective(tried(kind, stores), CrossEntropy(), stores))
    assert torch.equal(objective.model.flat, theta)


def test_passes_that_fail_name_the_classes_of_one_s_own(make_objective, stores):
    own = FrameObjective(tried(Own, stores), CrossEntropy(), stores)
    with pytest.raises(InputError, match=r"Own: no gradient or curvature(.|\n)*RuntimeError: x"):
        fail_in(own)
    with pytest.raises(RuntimeError):
        fail_in(make_objective())


def fail_in(objective):
    with failures_named(objective):
        raise RuntimeError("x")
