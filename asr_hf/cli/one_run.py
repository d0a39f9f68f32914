"""Trains one run, for `asr-hf train` and for each job of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from asr_hf.cli.processes import train_in_processes
from asr_hf.cli.stage import run_stage
from asr_hf.report.ending import describe_ending


def train(config: DictConfig) -> dict[str, Any]:
    """Train, and decode and score where the configuration says so; return the training's result."""
    if config.runtime.processes == 1:
        return after_training(config, run_stage("train", config))
    return after_training(config, train_in_processes(config))


def after_training(config: DictConfig, result: dict[str, Any]) -> dict[str, Any]:
    """Decode and score where the configuration says so; return `result`."""
    if config.decode.after_training:
        run_stage("decode", config)
        run_stage("score", config)
    return result


def say(config: DictConfig, result: dict[str, Any]) -> None:
    """Print the result of a run and the path of its report."""
    print(
        f"held-out loss {result['heldout_loss']:.4f}, "
        f"frame error {100 * result['heldout_frame_error']:.2f} %"
    )
    if ending := describe_ending(result):
        print(ending)
    say_where(config.run_dir)


def say_where(run_dir: str) -> None:
    """Print the path of a run's report, if there is one."""
    report = Path(run_dir) / "report.html"
    if report.exists():
        print(f"report: {report}")
