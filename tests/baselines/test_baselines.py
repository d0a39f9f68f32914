"""The baselines reach known minima, follow their definitions, and resume bit for bit."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from asr_hf.baselines.objective import heldout_loss
from asr_hf.baselines.schedules import Constant, Cosine, Newbob
from asr_hf.hf.horizon import Horizon
from asr_hf.runtime.errors import InputError, RunError

MINIBATCH = ["sgd", "nesterov", "adamw", "nadamw", "muon"]
EVERY = [*MINIBATCH, "lbfgs"]
Make = Callable[..., Any]


def through_a_file(state: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What a checkpoint would give back."""
    data = safetensors.torch.save({k: v.contiguous() for k, v in state["tensors"].items()})
    values = json.loads(json.dumps(state["values"], allow_nan=False))
    return {"tensors": safetensors.torch.load(data), "values": values}


@pytest.mark.parametrize("name", EVERY)
def test_reaches_the_known_minimum(name: str, problem: Any, make_trainer: Make) -> None:
    annealed = {} if name == "lbfgs" else {"schedule": Cosine(0.05), "horizon": Horizon(60)}
    trainer, minimum = make_trainer(name, problem, **annealed), problem.minimum()
    events = []
    while not trainer.finished:
        events.append(trainer.step())
    tolerance = 1e-8 if name == "lbfgs" else 1e-4
    reached = heldout_loss(problem, trainer.theta)
    assert minimum - 1e-10 <= reached < minimum + tolerance
    assert [event["iteration"] for event in events] == list(range(1, len(events) + 1))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("stop", [0, 1, 4])
def test_resuming_equals_going_through(
    name: str, dtype: torch.dtype, stop: int, network: Any, make_trainer: Make
) -> None:
    problem = type(network)(dtype)

    def make() -> Any:
        parts = {
            "evaluations_per_epoch": 3,
            "schedule": Newbob(0.5, -9),
            "weight_decay": 0.1,
            "averaging": 0.9,
        }
        return make_trainer(name, problem, **({} if name == "lbfgs" else parts))

    straight, before = make(), make()
    expected = [straight.step() for _ in range(stop + 6)]
    for _ in range(stop):
        before.step()
    after = make()
    after.load_state_dict(through_a_file(before.state_dict()))
    for event in expected[stop:]:
        found = after.step()
        del found["phase_seconds"], event["phase_seconds"]
        assert found == event
    assert torch.equal(after.theta, straight.theta)
    assert torch.equal(after.estimate, straight.estimate)


@pytest.mark.parametrize("name", MINIBATCH)
def test_heldout_data_cost_nothing_unless_the_schedule_looks_at_them(
    name: str, problem: Any, make_trainer: Make
) -> None:
    frames = len(problem.labels)
    trainer = make_trainer(name, problem, schedule=Cosine(), evaluations_per_epoch=2)
    for _ in range(4):
        trainer.step()
    assert problem.frames_by_pass["loss"] == 0
    trainer = make_trainer(name, problem, schedule=Newbob(), evaluations_per_epoch=2)
    for _ in range(4):
        trainer.step()
    assert problem.frames_by_pass["loss"] == 3 * frames


@pytest.mark.parametrize("name", MINIBATCH)
def test_resuming_does_not_disturb_the_state_it_was_given(
    name: str, problem: Any, make_trainer: Make
) -> None:
    first, second = make_trainer(name, problem), make_trainer(name, problem)
    first.step()
    kept = {k: v.clone() for k, v in first.state_dict()["tensors"].items()}
    second.load_state_dict(first.state_dict())
    second.step()
    for key, value in first.state_dict()["tensors"].items():
        assert torch.equal(value, kept[key]), key


@pytest.mark.parametrize("name", EVERY)
def test_the_start_is_not_written_to(name: str, problem: Any, make_trainer: Make) -> None:
    start = torch.zeros(problem.num_parameters, dtype=torch.float64)
    trainer = make_trainer(name, problem, theta=start)
    trainer.step()
    assert not start.any()
    assert trainer.theta.any()


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_follows_its_definition(nesterov: bool, problem: Any, make_trainer: Make) -> None:
    trainer = make_trainer("nesterov" if nesterov else "sgd", problem, schedule=Constant())
    theta = torch.zeros_like(trainer.theta)
    velocity, losses = torch.zeros_like(theta), []
    for batch in problem.minibatches(1, 0, 32):
        loss, gradient = problem.minibatch_gradient(theta, batch)
        velocity = 0.9 * velocity + gradient
        theta = theta - 0.1 * (gradient + 0.9 * velocity if nesterov else velocity)
        losses.append(float(loss))
    event = trainer.step()
    torch.testing.assert_close(trainer.theta, theta, rtol=1e-12, atol=1e-14)
    assert event["train_loss"] == pytest.approx(sum(losses) / len(losses))


@pytest.mark.parametrize("parts", [2, 3, 10])
def test_parts_of_an_epoch_take_every_minibatch_once(
    parts: int, problem: Any, make_trainer: Make
) -> None:
    whole = make_trainer("sgd", problem, schedule=Constant())
    parted = make_trainer("sgd", problem, schedule=Constant(), evaluations_per_epoch=parts)
    for _ in range(2):
        whole.step()
        for _ in range(parts):
            parted.step()
        assert torch.equal(whole.theta, parted.theta)
        assert (parted.epoch, parted.position) == (whole.epoch, 0)


def test_every_epoch_has_its_own_order(problem: Any, make_trainer: Make) -> None:
    seen: list[Tensor] = []
    inner = problem.minibatch_gradient

    def noting(theta: Tensor, minibatch: Tensor) -> Any:
        seen.append(minibatch)
        return inner(theta, minibatch)

    problem.minibatch_gradient = noting
    trainer = make_trainer("sgd", problem, schedule=Constant())
    trainer.step()
    trainer.step()
    first, second = torch.cat(seen[: len(seen) // 2]), torch.cat(seen[len(seen) // 2 :])
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, second.sort().values)
    assert torch.equal(first.sort().values, torch.arange(len(problem.labels)))


@pytest.mark.parametrize("parts", [1, 2])
def test_newbob_undoes_an_epoch_that_blew_up(parts: int, problem: Any, make_trainer: Make) -> None:
    trainer = make_trainer("sgd", problem, evaluations_per_epoch=parts)
    while trainer.epoch < 1:
        good = trainer.step()
    theta, inner = trainer.theta.clone(), problem.minibatch_gradient
    problem.minibatch_gradient = lambda theta, batch: (theta.sum() * math.nan, theta * math.nan)
    event = trainer.step()
    assert not event["accepted"]
    assert torch.equal(trainer.theta, theta)
    assert event["acceptance_loss"] == good["acceptance_loss"]
    problem.minibatch_gradient = inner
    for _ in range(parts):
        after = trainer.step()
        assert after["accepted"]
        assert after["learning_rate"] == good["learning_rate"] / 2
    assert after["acceptance_loss"] < good["acceptance_loss"]
    json.dumps(event, allow_nan=False)


@pytest.mark.parametrize("schedule", [Constant(), Cosine()])
def test_divergence_without_a_way_back_is_an_error(
    schedule: Constant, problem: Any, make_trainer: Make
) -> None:
    trainer = make_trainer("sgd", problem, schedule=schedule, learning_rate=1e308)
    with pytest.raises(RunError, match=r"training loss is .*\n.*lower trainer.learning_rate"):
        for _ in range(10):
            trainer.step()


@pytest.mark.parametrize("name", EVERY)
def test_a_loss_that_is_not_finite_at_the_start_is_an_error(
    name: str, problem: Any, make_trainer: Make
) -> None:
    problem.x[3, 1] = math.nan
    with pytest.raises(RunError, match="loss is nan"):
        make_trainer(name, problem).step()


def test_a_store_that_gives_too_few_minibatches_is_an_error(
    problem: Any, make_trainer: Make
) -> None:
    problem.minibatches = lambda seed, epoch, batch_frames: iter([torch.arange(32)])
    with pytest.raises(RunError, match="epoch 1 gave 1 minibatches"):
        make_trainer("sgd", problem).step()


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"batch_frames": 0},
        {"evaluations_per_epoch": 0},
        {"evaluations_per_epoch": 1000},
        {"weight_decay": -0.1},
        {"averaging": 1.0},
    ],
)
def test_settings_out_of_range_are_input_errors(
    change: dict[str, float], problem: Any, make_trainer: Make
) -> None:
    with pytest.raises(InputError, match=f"trainer.{next(iter(change))}"):
        make_trainer("adamw", problem, **change)


def test_lbfgs_equals_torch_without_its_repeated_passes(problem: Any, make_trainer: Make) -> None:
    trainer = make_trainer("lbfgs", problem)
    frames = len(problem.labels)
    for _ in range(12):
        trainer.step()
    ours, passes = trainer.theta, problem.frames_by_pass["gradient"] / frames
    everything, calls = trainer._train, 0
    theta = torch.zeros_like(ours)

    def closure() -> Any:
        nonlocal calls
        calls += 1
        loss, gradient = problem.gradient(theta, everything)
        theta.grad = gradient / loss.num_frames
        return loss.mean

    reference = torch.optim.LBFGS(
        [theta],
        max_iter=12,
        max_eval=999,
        tolerance_change=0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )
    reference.step(closure)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ours, theta, rtol=1e-12, atol=1e-14)
    assert passes == calls


def test_lbfgs_ends_where_nothing_moves(problem: Any, make_trainer: Make) -> None:
    trainer = make_trainer("lbfgs", problem, max_iterations=500, tolerance_gradient=1e-4)
    while not trainer.finished:
        event = trainer.step()
    assert trainer.converged
    assert not event["accepted"]
    assert trainer.iteration < 100
    gradient = problem.gradient(trainer.theta, trainer._train)[1] / len(problem.labels)
    assert float(gradient.abs().max()) <= 1e-4
