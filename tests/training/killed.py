"""Runs that are killed before an iteration, and what they wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_hf.runtime.run_folder import RunFolder
from asr_hf.training.loop import TrainingLoop


class Killed(Exception):
    """The end of a run that is killed."""


def run(
    optimiser: Any, objective: Any, path: Path, kill_at: int | None = None, **settings: Any
) -> TrainingLoop:
    """Train in a run folder, to the end or to the iteration after which the run is killed."""
    step = optimiser.step

    def failing() -> Any:
        if optimiser.iteration == kill_at:
            raise Killed
        return step()

    optimiser.step = failing
    with RunFolder.open(path, {"name": "test"}) as folder:
        loop = TrainingLoop(
            optimiser, objective, folder, keep_last=2, checkpoint_seconds=0, **settings
        )
        loop.run()
    return loop


def events(path: Path) -> list[dict[str, Any]]:
    """The events of a run without what a clock measured."""
    timing = ("seconds", "phase_seconds")
    lines = (path / "events.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(x).items() if k not in timing} for x in lines]


def assert_resumed_to_the_same_bits(trained: Callable[..., TrainingLoop], folder: Path) -> None:
    """A run that is killed before its third iteration goes on to what an undisturbed one gives.

    `trained(path, kill_at)` trains in a run folder, as `run` does.
    """
    undisturbed = trained(folder / "whole")
    with pytest.raises(Killed):
        trained(folder / "cut", 2)
    resumed = trained(folder / "cut")
    assert events(folder / "whole") == events(folder / "cut")
    assert torch.equal(undisturbed.best.theta, resumed.best.theta)
