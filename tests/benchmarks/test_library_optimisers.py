"""Optimisers of another package as trainers; only where that package is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from asr_hf.baselines.objective import heldout_loss
from asr_hf.cli.check import check_targets
from asr_hf.cli.compose import load_config
from asr_hf.cli.typed import settings_of

from ..baselines.conftest import Network

CONF = Path(__file__).parents[2] / "benchmarks" / "conf"
OPTIONS = ["soap", "shampoo", "schedule_free"]


def trainer_of(option: str, network: Network) -> Any:
    pytest.importorskip("pytorch_optimizer")
    settings = [
        "trainer.batch_frames=32",
        f"trainer.horizon.epochs={50 / network.num_minibatches(32)}",
        "trainer.evaluations_per_epoch=3",
    ]
    settings += ["trainer.learning_rate=0.02", "schedule=constant"]
    more = {
        "soap": [],
        "shampoo": ["trainer.options.start_preconditioning_step=5"],
        "schedule_free": ["trainer.options.warmup_steps=5"],
    }[option]
    own = ["--config-dir", str(CONF), "+recipe=prompts", f"trainer={option}"]
    built = settings_of(load_config([*own, *settings, *more])).trainer.build()
    return built(objective=network, theta=network.start())


@pytest.mark.parametrize("option", OPTIONS)
def test_options_compose(option: str) -> None:
    config = load_config(["--config-dir", str(CONF), "+recipe=prompts", f"trainer={option}"])
    check_targets(config)


@pytest.mark.parametrize("option", OPTIONS)
def test_fifty_steps_lower_the_loss(option: str) -> None:
    network = Network()
    trainer = trainer_of(option, network)
    before = heldout_loss(network, trainer.estimate)
    while not trainer.finished:
        trainer.step()
    assert heldout_loss(network, trainer.estimate) < before - 0.05


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("stop", [0, 1, 4])
def test_resuming_equals_going_through(option: str, stop: int) -> None:
    network = Network()
    straight, before, after = (trainer_of(option, network) for _ in range(3))
    while not straight.finished:
        straight.step()
    for _ in range(stop):
        before.step()
        assert before.estimate.isfinite().all()
    state = before.state_dict()
    saved = safetensors.torch.load(safetensors.torch.save(state["tensors"]))
    after.load_state_dict({"tensors": saved, "values": state["values"]})
    while not after.finished:
        after.step()
    assert torch.equal(after.theta, straight.theta)
    assert torch.equal(after.estimate, straight.estimate)
