"""What is said of a run's duration against what the run then does."""

from __future__ import annotations

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from asr_hf.cli.compose import load_config
from asr_hf.hf.objective import Split
from asr_hf.hf.pass_cost import PassCost, hf_pass_costs
from asr_hf.hf.sampling.base import SampleSizes
from asr_hf.training.planning.duration import Duration, Rates, estimate, measure_rates

RATES = Rates(gradient=3.0, loss=1.0, product=4.0, linearise=2.0)


def optimiser_of(objective, *overrides: str):
    config = load_config(["+recipe=prompts", *overrides])
    OmegaConf.resolve(config)
    return instantiate(config.trainer)(objective=objective, theta=objective.model.flat.detach())


def test_seconds_are_those_of_the_passes():
    effort = PassCost(gradient=10, loss=7, curvature=5, products=(2, 6))
    assert RATES.seconds(effort, 2) == 3 * 10 + 7 + (2 + 4 * 2) * 5
    assert RATES.seconds(effort, 2, shares=4) == RATES.seconds(effort, 2) / 4


def test_a_run_is_the_sum_of_its_iterations_with_few_and_with_many_products():
    pass_costs = [PassCost(10, 0, 5, (2, 6)), PassCost(20, 0, 10, (2, 6))]
    found = estimate(RATES, pass_costs)
    assert found.first == (30 + 10 + 40, 30 + 10 + 120)
    assert found.last == (160, 320)
    assert found.total == (240, 480)
    assert found.iterations == 2


def test_an_iteration_of_hf():
    sizes = [SampleSizes(100, 20), SampleSizes(100, 900)]
    found = hf_pass_costs(sizes, 30, (3, 2), 12)
    assert found == [PassCost(100, 290, 20, (10, 12)), PassCost(100, 290, 100, (10, 12))]


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (Duration(Rates(1e-3, 0), (2, 2), (2, 2), (7200, 7200), 9), ["2 s an", "9 of them: 2 h"]),
        (
            Duration(RATES, (0.5, 3), (90, 650), (60, 36_000), 5),
            ["0.5 s to 3 s", "1.5 min to 11 m"],
        ),
        (Duration(Rates(1e-3, 0), (2, 2), (2, 2), (20, 20), 10, 90.0), ["for the 1.5 min given"]),
    ],
)
def test_durations_are_said_in_units_a_person_reads(duration, words):
    assert all(word in duration.describe() for word in words)


def test_measuring_counts_no_work_and_leaves_the_parameters(make_objective):
    objective = make_objective()
    before = objective.model.flat.detach().clone()
    rates = measure_rates(objective, curvature=True)
    assert min(rates.gradient, rates.loss, rates.product, rates.linearise) > 0
    assert objective.frames_by_pass == {"gradient": 0, "curvature": 0, "loss": 0}
    assert before.equal(objective.model.flat.detach())
    assert measure_rates(objective, curvature=False).product == 0


@pytest.mark.parametrize("sampling", ["geometric", "fixed"])
@pytest.mark.parametrize("acceptance", ["backtracking", "paired_test"])
def test_hf_sends_as_many_frames_as_it_said(make_objective, sampling, acceptance):
    """Samples end with a whole utterance of at most 15 frames."""
    objective = make_objective()
    optimiser = optimiser_of(
        objective,
        f"sampling={sampling}",
        f"acceptance={acceptance}",
        "preconditioner=identity",
        "sampling.gradient=0.4",
        "sampling.curvature=0.2",
        "trainer.stopping.max_iterations=6",
        "solver.max_iterations=3",
    )
    pass_costs = optimiser.pass_costs()
    assert len(pass_costs) == 6
    for effort in pass_costs:
        event = optimiser.step()
        assert effort.gradient <= event["gradient_frames"] <= effort.gradient + 14
        assert effort.curvature <= event["curvature_frames"] <= effort.curvature + 14
        assert event["cg_iterations"] <= effort.products[1]


@pytest.mark.parametrize("trainer", ["sgd", "adamw", "nadamw", "muon"])
def test_minibatches_of_all_parts_are_the_epochs(make_objective, trainer):
    objective = make_objective()
    settings = [
        "trainer.horizon.epochs=3",
        "trainer.batch_frames=20",
        "trainer.evaluations_per_epoch=2",
    ]
    optimiser = optimiser_of(objective, f"trainer={trainer}", *settings)
    pass_costs = optimiser.pass_costs()
    total = int(objective.unit_frames(Split.TRAIN).sum())
    assert len(pass_costs) == 6
    assert sum(effort.gradient for effort in pass_costs) == pytest.approx(3 * total, abs=6)
    for _ in range(2):
        optimiser.step()
    assert objective.frames_by_pass["gradient"] == pytest.approx(total, abs=20)
