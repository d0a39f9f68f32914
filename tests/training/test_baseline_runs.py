"""Runs of the baselines as the configuration has them: killed, continued, and what they reach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from asr_hf.cli.compose import load_config
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.loop import TrainingLoop
from asr_hf.training.parameter_places import parameter_places

from .killed import Killed, events, run

SETTINGS = (
    "trainer.batch_frames=16",
    "trainer.learning_rate=0.02",
    "trainer.evaluations_per_epoch=2",
)
RUNS = {
    "sgd": ["trainer=sgd"],
    "adamw": ["trainer=adamw", "schedule=cosine", "trainer.averaging=0.9"],
    "nadamw": ["trainer=nadamw"],
    "muon": ["trainer=muon", "trainer.averaging=0.9"],
    "newbob": ["trainer=muon", "schedule=newbob"],
}


def train(make_objective: Any, path: Path, name: str, kill_at: int | None = None) -> TrainingLoop:
    objective: FrameObjective = make_objective(dtype=torch.float32)
    fifty = f"trainer.horizon.epochs={50 / objective.num_minibatches(16)}"
    config = load_config(["+recipe=prompts", *RUNS[name], *SETTINGS, fifty])
    OmegaConf.resolve(config)
    optimiser = instantiate(config.trainer)(
        objective=objective, theta=objective.model.flat.detach().clone()
    )
    return run(optimiser, objective, path, kill_at)


@pytest.mark.parametrize("name", RUNS)
def test_fifty_minibatches_lower_the_heldout_loss_and_a_killed_run_has_the_same(
    make_objective: Any, tmp_path: Path, name: str
) -> None:
    whole = train(make_objective, tmp_path / "whole", name)
    losses = [event["heldout_loss"] for event in events(tmp_path / "whole")]
    assert losses[-1] < losses[0] - 0.02
    for kill_at in (0, 1, 4):
        cut = tmp_path / f"cut{kill_at}"
        with pytest.raises(Killed):
            train(make_objective, cut, name, kill_at)
        resumed = train(make_objective, cut, name)
        assert torch.equal(whole.optimiser.estimate, resumed.optimiser.estimate)
        assert torch.equal(whole.best.theta, resumed.best.theta)
        assert events(tmp_path / "whole") == events(cut)
        assert whole.objective.frames_by_pass == resumed.objective.frames_by_pass


def test_places_of_parameters_fill_theta_and_name_the_output_layer(make_objective: Any) -> None:
    model = make_objective().model
    places = parameter_places(model)
    for place, parameter in zip(places, model.parameters(), strict=True):
        assert place.view(model.flat).data_ptr() == parameter.data_ptr()
        assert place.shape == parameter.shape
    assert [place.shape for place in places if place.output] == [
        model.linear_layers()[-1].weight.shape
    ]
