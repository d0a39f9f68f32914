"""Steps, learning rates, weight decay and means of the minibatch optimisers, against torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asr_hf.baselines import orthogonal
from asr_hf.baselines.objective import heldout_loss
from asr_hf.baselines.parameters import ParameterViews
from asr_hf.baselines.schedules import Constant, Cosine, Linear, Newbob, Schedule
from asr_hf.hf.horizon import Horizon
from asr_hf.runtime.errors import InputError

from .conftest import HIDDEN, INPUTS, Network

RATE, DECAY = 0.02, 0.3
Make = Callable[..., Any]


def module_of(network: Network) -> nn.Sequential:
    """The network as torch has it, at its start; its bias input is a column of the data."""
    layers = [nn.Linear(INPUTS + 1, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 3)]
    module = nn.Sequential(*layers).double()
    with torch.no_grad():
        for parameter, place in zip(module.parameters(), network.parameters, strict=True):
            parameter.copy_(place.view(network.start()))
    return module


def groups_of(module: nn.Module) -> list[dict[str, Any]]:
    parameters = list(module.parameters())
    return [
        {"params": [p for p in parameters if p.dim() == 2], "weight_decay": DECAY},
        {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0},
    ]


def torch_adamw(module: nn.Module) -> list[torch.optim.Optimizer]:
    return [torch.optim.AdamW(groups_of(module), lr=RATE)]


def torch_nadamw(module: nn.Module) -> list[torch.optim.Optimizer]:
    return [torch.optim.NAdam(groups_of(module), lr=RATE, decoupled_weight_decay=True)]


def torch_muon(module: nn.Module) -> list[torch.optim.Optimizer]:
    hidden, bias, output, output_bias = module.parameters()
    return [
        torch.optim.Muon([hidden], RATE, DECAY, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW([{"params": [output], "weight_decay": DECAY}], lr=RATE),
        torch.optim.AdamW([{"params": [bias, output_bias], "weight_decay": 0.0}], lr=RATE),
    ]


def torch_sgd(nesterov: bool) -> Callable[[nn.Module], list[torch.optim.Optimizer]]:
    return lambda module: [
        torch.optim.SGD(module.parameters(), lr=RATE, momentum=0.9, nesterov=nesterov)
    ]


ORACLES: dict[str, Callable[[nn.Module], list[torch.optim.Optimizer]]] = {
    "sgd": torch_sgd(False),
    "nesterov": torch_sgd(True),
    "adamw": torch_adamw,
    "nadamw": torch_nadamw,
    "muon": torch_muon,
}


@pytest.mark.parametrize("units", ["", "AMX"])
@pytest.mark.parametrize("shape", [(5, 9), (9, 5)])
@pytest.mark.parametrize("nesterov", [False, True])
def test_muon_is_torch_s_whether_or_not_bfloat16_is_fast(
    units: str, shape: tuple[int, int], nesterov: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orthogonal, "arithmetic_units", lambda device: units)
    settings: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.1, "nesterov": nesterov}
    kind = orthogonal.muon_class(torch.device("cpu"))
    assert (kind is torch.optim.Muon) == bool(units)
    torch.manual_seed(0)
    start, ours, theirs = torch.randn(shape), *(nn.Parameter(torch.zeros(shape)) for _ in range(2))
    for weight, one in ((ours, kind), (theirs, torch.optim.Muon)):
        generator = torch.Generator().manual_seed(1)
        weight.data = start.clone()
        optimiser = one([weight], adjust_lr_fn="match_rms_adamw", **settings)
        for _ in range(3):
            weight.grad = torch.randn(shape, generator=generator)
            optimiser.step()
    # The steps in bfloat16 are off by some per cent of themselves.
    moved = (theirs - start).norm()
    assert moved > 0.1 and (ours - theirs).norm() < 0.02 * moved


def test_orthogonalising_brings_singular_values_near_one() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(40, 12, dtype=torch.float64)
    found = orthogonal.orthogonalised(matrix, (3.4445, -4.7750, 2.0315), 5, 1e-7)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    assert (torch.linalg.svdvals(found) - 1).abs().max() < 0.5
    # The same singular vectors.
    inner = u.T @ found @ v.T
    torch.testing.assert_close(inner, torch.diag(inner.diagonal()), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ORACLES)
def test_an_epoch_is_that_of_torch_s_own_optimiser_on_a_module(
    name: str, network: Network, make_trainer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orthogonal, "arithmetic_units", lambda device: "AMX")
    settings = {"schedule": Constant(), "learning_rate": RATE, "weight_decay": DECAY}
    trainer = make_trainer(name, network, **settings)
    module = module_of(network)
    optimisers = ORACLES[name](module)
    for batch in network.minibatches(1, 0, 32):
        for optimiser in optimisers:
            optimiser.zero_grad()
        nn.functional.cross_entropy(module(network.x[batch]), network.labels[batch]).backward()
        if name in ("sgd", "nesterov"):
            # Torch's SGD knows no decoupled decay.
            with torch.no_grad():
                for parameter in module.parameters():
                    if parameter.dim() == 2:
                        parameter.mul_(1 - RATE * DECAY)
        for optimiser in optimisers:
            optimiser.step()
    trainer.step()
    expected = torch.cat([p.detach().reshape(-1) for p in module.parameters()])
    torch.testing.assert_close(trainer.theta, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", ORACLES)
def test_weight_decay_leaves_biases_alone(name: str, network: Network, make_trainer: Make) -> None:
    network.minibatch_gradient = lambda theta, batch: (  # type: ignore[method-assign]
        theta.new_zeros(()),
        torch.zeros_like(theta),
    )
    rate = 0.125
    settings = {"schedule": Constant(), "learning_rate": rate, "weight_decay": 0.5}
    trainer = make_trainer(name, network, theta=torch.ones(57, dtype=torch.float64), **settings)
    trainer.step()
    shrunk = (1 - rate * 0.5) ** trainer.batches_per_epoch
    for place in network.parameters:
        expected = torch.full(place.shape, shrunk if len(place.shape) == 2 else 1.0).double()
        torch.testing.assert_close(place.view(trainer.theta), expected)


def noting_rates(trainer: Any) -> list[float]:
    """Collect the rates of the minibatches to come."""
    rates: list[float] = []
    step = trainer.update.step

    def note(gradient: Tensor, rate: float) -> None:
        rates.append(rate)
        step(gradient, rate)

    trainer.update.step = note
    return rates


@pytest.mark.parametrize("schedule", [Linear(0.1), Cosine(0.1)])
def test_the_rate_changes_with_every_minibatch_up_to_the_planned_end(
    schedule: Schedule, network: Network, make_trainer: Make
) -> None:
    settings = {"schedule": schedule, "learning_rate": RATE, "horizon": Horizon(3)}
    trainer = make_trainer("adamw", network, evaluations_per_epoch=2, **settings)
    rates = noting_rates(trainer)
    while not trainer.finished:
        trainer.step()
    count = 3 * trainer.batches_per_epoch
    expected = [RATE * schedule.factor((k + 0.5) / count) for k in range(count)]
    assert rates == pytest.approx(expected, rel=1e-14)
    assert len(set(rates)) > count / 2
    assert max(rates) > 0.9 * RATE and rates[-1] < 0.05 * RATE
    assert trainer.limit == "trainer.horizon.epochs"


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("count", [1, 11, 17, 23])
def test_a_horizon_ends_training_inside_an_epoch(
    count: int, parts: int, network: Network, make_trainer: Make
) -> None:
    settings = {
        "schedule": Linear(),
        "horizon": Horizon(count / network.num_minibatches(32)),
        "evaluations_per_epoch": parts,
    }
    trainer = make_trainer("sgd", network, **settings)
    rates = noting_rates(trainer)
    planned, steps = trainer.pass_costs(), 0
    while not trainer.finished:
        event = trainer.step()
        steps += 1
    assert len(rates) == count
    assert steps == len(planned)
    assert trainer.limit == "trainer.horizon.epochs"
    assert event["epoch"] == pytest.approx(count / trainer.batches_per_epoch)


class Clock:
    """A clock that goes on by a second a minibatch, and stands still otherwise."""

    def __init__(self, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, inner = 100.0, network.minibatch_gradient
        monkeypatch.setattr("asr_hf.runtime.clock.time.perf_counter", lambda: self.now)

        def tick(theta: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
            self.now += 1.0
            return inner(theta, batch)

        network.minibatch_gradient = tick  # type: ignore[method-assign]


def test_a_run_ends_and_its_rate_falls_by_seconds_of_training(
    network: Network, make_trainer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(network, monkeypatch)
    settings = {"schedule": Linear(0.0), "learning_rate": RATE, "horizon": Horizon(seconds=20.0)}

    def make() -> Any:
        return make_trainer("adamw", network, evaluations_per_epoch=4, **settings)

    trainer = make()
    rates = noting_rates(trainer)
    while not trainer.finished:
        trainer.step()
        # Looks at held-out data, say: they are no training.
        clock.now += 50.0
    assert len(rates) == 20 and trainer.limit == "trainer.horizon.seconds"
    assert rates == pytest.approx([RATE * (1 - (k + 1) / 20) for k in range(20)], abs=1e-15)

    cut, resumed = make(), make()
    cut.step()
    resumed.load_state_dict(cut.state_dict())
    while not resumed.finished:
        resumed.step()
    assert torch.equal(resumed.theta, trainer.theta)


@pytest.mark.parametrize("averaging", [0.5, 0.99])
def test_the_estimate_is_the_running_mean_of_iterates(
    averaging: float, network: Network, make_trainer: Make
) -> None:
    trainer = make_trainer("adamw", network, schedule=Constant(), averaging=averaging)
    iterates: list[Tensor] = []
    step = trainer.update.step

    def note(gradient: Tensor, rate: float) -> None:
        step(gradient, rate)
        iterates.append(trainer.theta.clone())

    trainer.update.step = note
    mean = trainer.theta.clone()
    trainer.step()
    for number, iterate in enumerate(iterates, start=1):
        keep = min(averaging, 1 - 1 / (number + 1))
        mean = keep * mean + (1 - keep) * iterate
    torch.testing.assert_close(trainer.estimate, mean, rtol=1e-12, atol=1e-14)
    assert not torch.equal(trainer.estimate, trainer.theta)


def test_an_undone_epoch_takes_its_iterates_out_of_the_mean(
    network: Network, make_trainer: Make
) -> None:
    trainer = make_trainer("adamw", network, schedule=Newbob(), averaging=0.9)
    trainer.step()
    kept = trainer.theta.clone()
    network.minibatch_gradient = lambda theta, batch: (  # type: ignore[method-assign]
        theta.sum() * math.nan,
        theta * math.nan,
    )
    assert not trainer.step()["accepted"]
    assert torch.equal(trainer.estimate, kept)


@pytest.mark.parametrize("name", ORACLES)
def test_fifty_steps_lower_the_loss(name: str, network: Network, make_trainer: Make) -> None:
    settings = {
        "schedule": Linear(),
        "horizon": Horizon(50 / network.num_minibatches(32)),
        "learning_rate": RATE,
        "weight_decay": 0.01,
    }
    trainer = make_trainer(name, network, **settings)
    before = heldout_loss(network, trainer.theta)
    while not trainer.finished:
        trainer.step()
    assert heldout_loss(network, trainer.theta) < before - 0.1


def test_muon_has_the_matrices_of_hidden_layers_alone(network: Network) -> None:
    theta = torch.arange(57.0)
    views = ParameterViews.of(theta, network.parameters)
    assert [list(view.shape) for view in views.hidden] == [[HIDDEN, INPUTS + 1]]
    assert [list(view.shape) for view in views.other_weights] == [[3, HIDDEN]]
    assert [list(view.shape) for view in views.biases] == [[HIDDEN], [3]]
    views.hidden[0].zero_()
    assert not theta[:30].any() and theta[30:].all()


def test_nesterov_without_momentum_is_refused(network: Network, make_trainer: Make) -> None:
    with pytest.raises(InputError, match="nesterov"):
        make_trainer("nesterov", network, momentum=0.0)
