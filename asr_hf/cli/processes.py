"""Starts processes that share the work of a verb, and runs the verb in each of them."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from asr_hf.cli.compose import load_config
from asr_hf.cli.stage import run_stage
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json, write_text
from asr_hf.runtime.interruption import Interrupted, ignore_signals
from asr_hf.runtime.logs import be_silent

if TYPE_CHECKING:
    from asr_hf.runtime.process_group import ProcessGroup
    from asr_hf.runtime.workers import Task

# Module and attribute of each task that helpers do for the first rank. A module is loaded with its
# first task.
_TASKS = {
    "features": ("asr_hf.data.extract", "EXTRACTION"),
    "copies": ("asr_hf.data.augment.copies", "COPYING"),
    "training": ("asr_hf.hmm.alignment.training_set", "TRAINING"),
    "alignment": ("asr_hf.hmm.alignment.align", "ALIGNMENT"),
    "times": ("asr_hf.hmm.alignment.times", "TIMING"),
    "decoding": ("asr_hf.hmm.search.decode", "DECODING"),
    "transcription": ("asr_hf.hmm.search.hear", "HEARING"),
    "lattices": ("asr_hf.hmm.lattice.lattices", "LATTICES"),
}

# Names the file with the resolved configuration that our own launcher hands to its processes.
_CONFIG = "ASR_HF_CONFIG"


def launched() -> bool:
    """Return whether torchrun or `train_in_processes` started this process as one of several."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def train_in_processes(config: DictConfig) -> dict[str, Any]:
    """Train in `runtime.processes` processes on this machine.

    Args:
        config: configuration, complete.

    Returns:
        The result of the training.

    Raises:
        InputError: `runtime.processes` is no number from 1 on.
        RunError: a process was killed.
        SystemExit: a process failed and has reported it.
    """
    from asr_hf.runtime.launch import run_processes

    count = config.runtime.processes
    if not isinstance(count, int) or count < 1:
        raise InputError(f"runtime.processes={count}", expected="1 or more")
    with tempfile.TemporaryDirectory(prefix="asr-hf-") as scratch:
        file = Path(scratch) / "config.yaml"
        write_text(file, OmegaConf.to_yaml(config, resolve=True))
        debugging = logging.getLogger("asr_hf").level == logging.DEBUG
        debug = ["--debug"] if debugging else []
        command = [sys.executable, "-m", "asr_hf", "train", *debug]
        run_processes(command, count, {_CONFIG: str(file)})
    result: dict[str, Any] = read_json(Path(config.run_dir) / "result.json")
    return result


def train_as_rank(
    arguments: list[str], finish: Callable[[DictConfig, dict[str, Any]], None]
) -> None:
    """Train as one of several processes.

    Args:
        arguments: arguments of the command line; unused where a launcher handed over a
            configuration.
        finish: function that torchrun's first process calls with configuration and result, with
            the help of the others.

    Raises:
        Interrupted: a signal asked for an end.
        KeyboardInterrupt: the user pressed Ctrl-C under torchrun.
        SystemExit: another rank or our own launcher reports why the run ends.
    """
    from asr_hf.runtime.process_group import process_group_from_environment

    group = process_group_from_environment()
    if not group.first:
        be_silent()
    with group.reporting():
        config = _rank_config(arguments, group.count)
        try:
            result = run_stage("train", config, group=group)
        except Interrupted:
            # Launchers send their signals again.
            ignore_signals()
            raise
        except KeyboardInterrupt:
            if _CONFIG in os.environ:
                # The launcher gets the signal as well, and reports it for all.
                raise SystemExit(130) from None
            raise
    # After processes that our own launcher started, the launcher goes on.
    if _CONFIG not in os.environ:
        _with_helpers(group, lambda: finish(config, result))


def run_with_helpers(run: Callable[[list[str]], None], arguments: list[str]) -> None:
    """Run a verb other than train on the first of several processes; the others help it.

    Args:
        run: function of the verb.
        arguments: arguments of the verb.
    """
    from asr_hf.runtime.process_group import process_group_from_environment

    group = process_group_from_environment()
    if not group.first:
        be_silent()
    _with_helpers(group, lambda: run(arguments))


def _with_helpers(group: ProcessGroup, work: Callable[[], None]) -> None:
    """Do some work on the first rank, with the help of the others."""
    from asr_hf.runtime.helpers import serve_first_rank, using_helpers

    with group.reporting():
        if not group.first:
            serve_first_rank(group, _task)
            return
        with using_helpers(group):
            work()


def _task(name: str) -> Task[Any, Any]:
    """Return a task that helpers do, by its name.

    Raises:
        KeyError: there is no such task.
    """
    module, attribute = _TASKS[name]
    task: Task[Any, Any] = getattr(importlib.import_module(module), attribute)
    return task


def _rank_config(arguments: list[str], count: int) -> DictConfig:
    if _CONFIG in os.environ:
        config = OmegaConf.load(os.environ[_CONFIG])
        assert isinstance(config, DictConfig)
        return config
    if {"-m", "--multirun"} & set(arguments):
        raise InputError(
            "-m: a sweep cannot be started by torchrun",
            remedy="asr-hf train -m ... runtime.processes=N",
        )
    config = load_config(arguments)
    if config.runtime.processes not in (1, count):
        raise InputError(
            f"runtime.processes={config.runtime.processes}: torchrun started {count} processes",
            remedy="leave it out",
        )
    return config
