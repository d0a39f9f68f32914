"""Train an acoustic model; the same command continues a run that was cut off.

Writes exp/<name>/: config.yaml, events.jsonl, checkpoints, model.safetensors, result.json,
report.html and TensorBoard files. With decode.after_training=true it also decodes and scores.
With -m (or --multirun) every override that lists several values (trainer=hf,sgd) is swept: each
combination is a run in exp/<name>/<swept overrides>, and exp/<name>/sweep.md compares them.

runtime.processes=N shares the work of HF among N processes; on several machines, start it with
torchrun ... -m asr_hf train. SIGTERM and SIGUSR1 end a run with a checkpoint and exit code 75.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from asr_hf.cli.compose import load_config
from asr_hf.cli.processes import launched, train_as_rank, train_in_processes
from asr_hf.cli.stage import run_stage
from asr_hf.report.ending import describe_ending


def run(arguments: list[str]) -> None:
    """Train once, or sweep; under torchrun, be one of the processes that train."""
    if launched():
        train_as_rank(arguments, lambda config, result: say(config, after_training(config, result)))
        return
    if {"-m", "--multirun"} & set(arguments):
        from asr_hf.cli.sweep import sweep

        sweep([a for a in arguments if a not in ("-m", "--multirun")])
        return
    config = load_config(arguments)
    say(config, train(config))


def say(config: DictConfig, result: dict[str, Any]) -> None:
    """Print what came of a run, and where its report is."""
    print(
        f"held-out loss {result['heldout_loss']:.4f}, "
        f"frame error {100 * result['heldout_frame_error']:.2f} %"
    )
    if told := describe_ending(result):
        print(told)
    say_where(config.run_dir)


def say_where(run_dir: str) -> None:
    """Print where the report of a run is, if there is one."""
    report = Path(run_dir) / "report.html"
    if report.exists():
        print(f"report: {report}")


def train(config: DictConfig) -> dict[str, Any]:
    """Train as configured, and decode and score as well where that is asked for."""
    if config.runtime.processes == 1:
        return after_training(config, run_stage("train", config))
    return after_training(config, train_in_processes(config))


def after_training(config: DictConfig, result: dict[str, Any]) -> dict[str, Any]:
    """Decode and score where that is asked for; returns the training's result."""
    if config.decode.after_training:
        run_stage("decode", config)
        run_stage("score", config)
    return result
