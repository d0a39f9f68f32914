"""Parameters and gradients as views of one vector."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise

import pytest
import safetensors.torch
import torch
from torch import Tensor

from asr_hf.models.dnn import DNN
from asr_hf.models.flat import flatten_parameters, parameter_slices

MakeDNN = Callable[..., DNN]


def assert_views(model: DNN) -> None:
    """Writing the flat vector changes what the model computes, and both agree entry by entry."""
    flat = model.flat
    flat.copy_(torch.arange(flat.numel(), dtype=flat.dtype))
    for name, where in parameter_slices(model).items():
        parameter = model.get_parameter(name)
        expected = torch.arange(where.start, where.stop, dtype=flat.dtype).view(parameter.shape)
        assert torch.equal(parameter, expected), name
    with torch.no_grad():
        next(model.parameters()).fill_(-1.0)
    assert (flat[: next(model.parameters()).numel()] == -1.0).all()


def test_parameters_are_views_in_order_without_gaps(make_dnn: MakeDNN) -> None:
    model = make_dnn()
    before = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert torch.equal(model.flat, before)
    slices = list(parameter_slices(model).values())
    assert slices[0].start == 0
    assert slices[-1].stop == model.flat.numel() == sum(p.numel() for p in model.parameters())
    assert all(a.stop == b.start for a, b in pairwise(slices))
    assert_views(model)


def test_views_survive_a_change_of_dtype(make_dnn: MakeDNN) -> None:
    model = make_dnn()
    before = model.flat.clone()
    model.to(torch.float64)
    assert model.flat.dtype == torch.float64
    assert torch.equal(model.flat, before.double())
    assert_views(model)


def test_a_move_to_where_it_is_already_keeps_the_vector(make_dnn: MakeDNN) -> None:
    model = make_dnn()
    flat = model.flat
    assert model.to("cpu", torch.float32).flat is flat


def test_views_survive_a_deep_copy_that_shares_nothing(make_dnn: MakeDNN) -> None:
    model = make_dnn()
    before = model.flat.clone()
    twin = copy.deepcopy(model)
    assert torch.equal(twin.flat, before)
    assert_views(twin)
    assert torch.equal(model.flat, before)


def test_views_survive_assigned_state(make_dnn: MakeDNN) -> None:
    model, other = make_dnn(), make_dnn(seed=9)
    assert not torch.equal(model.flat, other.flat)
    model.load_state_dict({k: v.clone() for k, v in other.state_dict().items()}, assign=True)
    assert torch.equal(model.flat, other.flat)
    assert_views(model)


def test_backward_adds_straight_into_flat_grad(make_dnn: MakeDNN, spliced: Tensor) -> None:
    model = make_dnn()
    expected = torch.autograd.grad(model(spliced).square().sum(), list(model.parameters()))
    gradient = model.flat_grad
    assert not gradient.any()
    for times in (1, 2):
        model(spliced).square().sum().backward()
        torch.testing.assert_close(gradient, times * torch.cat([e.flatten() for e in expected]))
    assert model.flat_grad is gradient


def test_gradients_survive_zero_grad_to_none(make_dnn: MakeDNN, spliced: Tensor) -> None:
    model = make_dnn()
    model(spliced).sum().backward()
    first = model.flat_grad.clone()
    model.zero_grad(set_to_none=True)
    assert not model.flat_grad.any()
    model(spliced).sum().backward()
    assert torch.equal(model.flat_grad, first)
    model.zero_grad(set_to_none=True)
    model(spliced).sum().backward()
    assert torch.equal(model.flat_grad, first)


def test_mixed_dtypes_are_refused() -> None:
    mixed = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2).double())
    with pytest.raises(ValueError, match="one dtype"):
        flatten_parameters(mixed)


def test_state_goes_through_safetensors(make_dnn: MakeDNN, spliced: Tensor) -> None:
    model, other = make_dnn(), make_dnn(seed=9)
    model.set_log_priors(torch.arange(5.0))
    model.set_input_statistics(torch.arange(3.0), torch.ones(3) * 2)
    data = safetensors.torch.save(model.state_tensors())
    other.load_state_tensors(safetensors.torch.load(data))
    assert torch.equal(other.log_likelihoods(spliced), model.log_likelihoods(spliced))
    assert_views(other)


def test_state_of_another_model_is_refused_by_name(make_dnn: MakeDNN) -> None:
    tensors = make_dnn(num_pdfs=6).state_tensors()
    with pytest.raises(ValueError, match=r"flat: expected .* log_priors: expected \[5\], found"):
        make_dnn().load_state_tensors(tensors)
    tensors = make_dnn().state_tensors()
    del tensors["input_mean"]
    with pytest.raises(ValueError, match=r"input_mean: expected \[12\], found None"):
        make_dnn().load_state_tensors(tensors)
