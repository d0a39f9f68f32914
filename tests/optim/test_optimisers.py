"""The optimisers on modules that have nothing to do with speech."""

from __future__ import annotations

import copy
import io
from dataclasses import asdict

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from asr_hf.cli.groups import groups
from asr_hf.optim import (
    ConjugateGradient,
    FixedSampling,
    GeometricSampling,
    HessianFree,
    KFACPreconditioner,
    LBFGSPreconditioner,
    StochasticHessianFree,
)
from asr_hf.optim.parts import PRECONDITIONERS, options
from asr_hf.runtime.errors import InputError, RunError

from .problems import make


def spirals(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points on three intertwined arms, and the number of the arm."""
    generator = torch.Generator().manual_seed(seed)
    arm = torch.randint(3, (count,), generator=generator)
    radius = torch.rand(count, generator=generator) + 0.1
    angle = 4 * radius + arm * (2 * torch.pi / 3)
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
    return points + 0.03 * torch.randn(points.shape, generator=generator), arm


DATA, HELDOUT = spirals(600, 0), spirals(200, 1)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 3)
    )


def wrong(module: nn.Module) -> float:
    points, arms = HELDOUT
    return float((module(points).argmax(1) != arms).float().mean())


@pytest.mark.parametrize("preconditioner", PRECONDITIONERS)
def test_hessian_free_learns_spirals_with_every_preconditioner(preconditioner):
    module = network()
    optimiser = HessianFree(
        module, nn.CrossEntropyLoss(), DATA, HELDOUT,
        preconditioner=preconditioner, solver=ConjugateGradient(max_iterations=30),
        sampling=FixedSampling(curvature=0.5), chunk_size=256,
    )  # fmt: skip
    before = optimiser.evaluate()
    steps = [optimiser.step() for _ in range(12)]
    assert steps[-1].heldout_loss == pytest.approx(optimiser.evaluate(HELDOUT), rel=1e-5)
    assert optimiser.evaluate() < 0.6 * before and wrong(module) < 0.3
    losses = [before, *(step.heldout_loss for step in steps)]
    for step, earlier, later in zip(steps, losses, losses[1:], strict=False):
        assert (later < earlier) == step.accepted == (step.length > 0)
    assert [step.iteration for step in steps] == list(range(1, len(steps) + 1))
    assert steps[0].gradient_examples == 600 and steps[0].curvature_examples == 300


def test_stochastic_hessian_free_learns_them_without_a_rate_and_ends_at_its_horizon():
    module = network()
    optimiser = StochasticHessianFree(
        module, nn.CrossEntropyLoss(), DATA, HELDOUT, epochs=60, sampling=FixedSampling(128, 128)
    )
    while not optimiser.finished:
        step = optimiser.step()
    assert optimiser.evaluate() < 0.3 and wrong(module) < 0.12
    assert step.progress == optimiser.progress == 1.0 and step.annealing < 0.05
    assert sum(p.numel() for p in module.parameters()) == 747


def test_one_step_solves_a_least_squares_problem():
    """G is the Hessian there: CG ends in the solution, and λ vanishes beside it."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(50, k, generator=generator).double() for k in (4, 2))
    module = nn.Linear(4, 2).double()
    optimiser = HessianFree(
        module, nn.MSELoss(), (x, y), damping=1e-9, sampling=FixedSampling(curvature=1.0)
    )
    assert optimiser.step().accepted
    rows = torch.cat([x, torch.ones(50, 1).double()], dim=1)
    solution = torch.linalg.lstsq(rows, y).solution
    torch.testing.assert_close(module.weight.detach(), solution[:4].T, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(module.bias.detach(), solution[4], atol=1e-6, rtol=1e-5)


def assert_same(module: nn.Module, other: nn.Module) -> None:
    others = other.state_dict()
    for key, value in module.state_dict().items():
        assert torch.equal(value, others[key]), key


def hf(module: nn.Module, inputs, targets, **more):
    return HessianFree(
        module, nn.MSELoss(), (inputs, targets), preconditioner="kfac_lbfgs",
        sampling=FixedSampling(1.0, 0.7), averaging=0.5, seed=3, **more,
    )  # fmt: skip


def stochastic(module: nn.Module, inputs, targets, **more):
    return StochasticHessianFree(
        module, nn.MSELoss(), (inputs, targets), epochs=40, sampling=FixedSampling(4, 3),
        averaging=0.5, steps=3, seed=3, **more,
    )  # fmt: skip


@pytest.mark.parametrize("make_optimiser", [hf, stochastic])
@pytest.mark.parametrize("name", ["convolutional", "perceptron"])
def test_a_saved_state_goes_on_to_the_same_bits(make_optimiser, name):
    module, inputs = make(name)
    targets = torch.sin(3 * inputs.reshape(len(inputs), -1)[:, :3])
    optimiser = make_optimiser(module, inputs, targets)
    for _ in range(3):
        optimiser.step()
    file = io.BytesIO()
    torch.save(optimiser.state_dict(), file)
    file.seek(0)
    other, _ = make(name)
    torch.manual_seed(99)
    resumed = make_optimiser(other, inputs, targets)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for (key, value), same in zip(
        module.state_dict().items(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(value, same), key
    for _ in range(3):
        steps = [asdict(o.step()) | {"seconds": None} for o in (optimiser, resumed)]
        assert steps[0] == steps[1]
    for (key, value), same in zip(
        module.state_dict().items(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(value, same), key


def test_every_form_of_the_data_gives_the_same():
    x, y = DATA
    pairs = list(zip(x, y, strict=True))
    results = []
    for data in (DATA, TensorDataset(x, y), pairs, [x, y]):
        module = network()
        optimiser = HessianFree(module, nn.CrossEntropyLoss(), data, HELDOUT, seed=1)
        optimiser.step()
        results.append(torch.cat([p.detach().reshape(-1) for p in module.parameters()]))
    assert all(torch.equal(result, results[0]) for result in results)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (DataLoader(TensorDataset(*DATA)), "give the dataset itself"),
        ((DATA[0], DATA[1][:-1]), "tensors of 599, 600 examples"),
        (DATA[0], "Tensor"),
        ((DATA[0][:0], DATA[1][:0]), "tensors of 0 examples"),
        ([], "list"),
        ("text", "str"),
    ],
)
def test_data_of_another_kind_are_refused(data, said):
    with pytest.raises(InputError) as caught:
        HessianFree(network(), nn.CrossEntropyLoss(), data)
    assert said in str(caught.value) and "torch.utils.data.Dataset" in str(caught.value)


def test_several_inputs_by_name_and_parameters_that_are_frozen():
    module, inputs = make("named")
    module.words.requires_grad_(False)
    before = module.words.weight.clone()
    targets = torch.rand(len(inputs["word"]), 3).double()
    optimiser = HessianFree(module, nn.MSELoss(), (inputs, targets))
    assert optimiser.step().accepted
    assert torch.equal(module.words.weight, before)


def test_parameters_without_a_part_in_the_outputs_stay_and_are_named(caplog):
    module, inputs = make("residual")
    before = copy.deepcopy(module.idle)
    optimiser = HessianFree(module, nn.MSELoss(), (inputs, inputs[:, :3]), preconditioner="kfac")
    optimiser.step()
    assert torch.equal(module.idle.weight, before.weight)
    said = " ".join(record.getMessage() for record in caplog.records)
    assert "do not depend on idle.weight, idle.bias" in said
    # Of tied weights the first layer has them.
    assert "the identity stands for the curvature of shift, again.bias" in said


def test_the_caller_s_modes_and_random_numbers_stay_as_they_are():
    module, inputs = make("convolutional")
    module.train()
    module[1].eval()
    state = torch.get_rng_state()
    optimiser = hf(module, inputs, inputs[:, 0, :3])
    optimiser.step()
    optimiser.evaluate()
    assert torch.equal(torch.get_rng_state(), state)
    assert [layer.training for layer in module] == [True, False, True, True, True, True]


def test_parameters_that_somebody_else_changes_are_no_silent_loss():
    module = network()
    optimiser = HessianFree(module, nn.CrossEntropyLoss(), DATA)
    optimiser.step()
    with torch.no_grad():
        module[0].bias += 1
    with pytest.raises(RunError, match="changed since the last step"):
        optimiser.step()
    assert HessianFree(module, nn.CrossEntropyLoss(), DATA).step().iteration == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"preconditioner": "kfca"}, "did you mean 'kfac'?"),
        ({"sampling": "geometrical"}, "did you mean 'geometric'?"),
        ({"damping": -1.0}, "damping=-1.0"),
        ({"chunk_size": 0}, "chunk_size=0"),
        ({"precision": "fp16"}, "fp32, tf32, bf16"),
        ({"averaging": 1.0}, "0 <= averaging < 1"),
        ({"weight_decay": -1.0}, "weight_decay"),
    ],
)
def test_arguments_out_of_range_are_refused_by_name(given, said):
    with pytest.raises(InputError) as caught:
        HessianFree(network(), nn.CrossEntropyLoss(), DATA, **given)
    assert said in str(caught.value) and "trainer" not in str(caught.value)


@pytest.mark.parametrize("preconditioner", ["kfac", "shampoo"])
def test_kronecker_factors_of_a_network_without_layers_they_know_are_refused(preconditioner):
    module = nn.Sequential(nn.Conv1d(1, 3, 2), nn.Flatten())
    with pytest.raises(InputError, match="fully connected"):
        HessianFree(
            module, nn.MSELoss(), (torch.randn(9, 1, 2), torch.randn(9, 3)),
            preconditioner=preconditioner,
        )  # fmt: skip


def test_parts_by_name_are_all_those_of_the_configuration():
    for kind, names in options().items():
        assert names == set(groups()[kind]), kind


def test_parts_may_be_objects():
    optimiser = StochasticHessianFree(
        network(), nn.CrossEntropyLoss(), DATA, epochs=1,
        preconditioner=LBFGSPreconditioner(initial=KFACPreconditioner()),
        sampling=GeometricSampling(gradient=100, curvature=50), annealing="self_starting",
    )  # fmt: skip
    assert optimiser.step().gradient_examples == 100


def test_coarse_products_still_learn():
    module = network()
    optimiser = HessianFree(module, nn.CrossEntropyLoss(), DATA, precision="bf16")
    before = optimiser.evaluate()
    for _ in range(4):
        optimiser.step()
    assert optimiser.evaluate() < 0.9 * before
