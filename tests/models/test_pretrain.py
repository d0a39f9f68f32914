"""Layer-wise pretraining keeps what it has trained."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from asr_hf.models.dnn import DNN
from asr_hf.models.pretrain import pretrain

MakeDNN = Callable[..., DNN]


def scribble(trained: list[list[Tensor]]) -> Callable[[DNN], None]:
    """A 'training' that shifts every weight, and notes what it was given."""

    def train(smaller: DNN) -> None:
        trained.append([layer.weight.detach().clone() for layer in smaller.linear_layers()])
        smaller.flat.add_(100.0)

    return train


def test_each_depth_starts_from_the_layers_trained_before(make_dnn: MakeDNN) -> None:
    model = make_dnn(hidden_sizes=[7, 6, 5, 4])
    initial = [layer.weight.detach().clone() for layer in model.linear_layers()]
    seen: list[list[Tensor]] = []
    pretrain(model, scribble(seen))
    assert [len(weights) for weights in seen] == [2, 3, 4]
    torch.testing.assert_close(seen[0][0], initial[0])
    torch.testing.assert_close(seen[1][:2], [initial[0] + 100, initial[1]])
    torch.testing.assert_close(seen[2][:3], [initial[0] + 200, initial[1] + 100, initial[2]])
    final = [layer.weight.detach() for layer in model.linear_layers()]
    shifts = [300, 200, 100, 0, 0]
    for was, now, shift in zip(initial, final, shifts, strict=True):
        torch.testing.assert_close(now, was + shift)


def test_output_layers_are_fresh_at_every_depth(make_dnn: MakeDNN) -> None:
    model = make_dnn(hidden_sizes=[6, 6, 6])
    seen: list[list[Tensor]] = []
    pretrain(model, scribble(seen))
    assert not torch.equal(seen[0][-1], seen[1][-1])
    assert float(seen[1][-1].abs().max()) < 50, "the trained output layer was kept"


def test_resuming_at_a_depth_equals_going_through(make_dnn: MakeDNN) -> None:
    def grow(smaller: DNN) -> None:
        smaller.flat.mul_(1.5)

    def fail_at_depth_two(smaller: DNN) -> None:
        if len(smaller.hidden_sizes) == 2:
            raise KeyboardInterrupt
        grow(smaller)

    whole, interrupted = make_dnn(hidden_sizes=[7, 6, 5]), make_dnn(hidden_sizes=[7, 6, 5])
    pretrain(whole, grow)
    with pytest.raises(KeyboardInterrupt):
        pretrain(interrupted, fail_at_depth_two)
    assert not torch.equal(whole.flat, interrupted.flat)
    pretrain(interrupted, grow, first_depth=2)
    assert torch.equal(whole.flat, interrupted.flat)


def test_one_hidden_layer_needs_no_pretraining(make_dnn: MakeDNN) -> None:
    model = make_dnn(hidden_sizes=[7])
    before = model.flat.clone()
    pretrain(model, lambda smaller: pytest.fail("trained a network"))
    assert torch.equal(model.flat, before)


def test_the_shallower_network_has_its_own_memory_and_the_same_buffers(make_dnn: MakeDNN) -> None:
    model = make_dnn().double()
    model.set_log_priors(torch.arange(5.0))
    model.set_input_statistics(torch.arange(3.0), torch.ones(3))
    before = model.flat.clone()
    smaller = model.shallower(1)
    assert smaller.flat.dtype == torch.float64
    for name, buffer in model.named_buffers():
        assert torch.equal(smaller.get_buffer(name), buffer), name
    smaller.flat.zero_()
    smaller.log_priors.zero_()
    assert torch.equal(model.flat, before)
    assert model.log_priors.any()
