"""Work in several processes: starting them, and being one of them."""

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

# What helpers do for the first rank, and where it stands; loaded when it is asked for.
_TASKS = {
    "features": ("asr_hf.data.extract", "EXTRACTION"),
    "copies": ("asr_hf.data.augment.copies", "COPYING"),
    "training": ("asr_hf.hmm.alignment.training_set", "TRAINING"),
    "alignment": ("asr_hf.hmm.alignment.align", "ALIGNMENT"),
    "decoding": ("asr_hf.hmm.search.decode", "DECODING"),
    "lattices": ("asr_hf.hmm.lattice.lattices", "LATTICES"),
}

# Names the file with the resolved configuration that our own launcher hands to its processes.
_CONFIG = "ASR_HF_CONFIG"


def launched() -> bool:
    """Whether torchrun, or `train_in_processes`, started this process as one of several."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def train_in_processes(config: DictConfig) -> dict[str, Any]:
    """Train in `runtime.processes` processes on this machine.

    Returns:
        The result of the training.

    Raises:
        InputError: no such number of processes.
        RunError: a process was killed.
        SystemExit: a process failed and has said why.
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
        arguments: of the command line, where no configuration was handed over.
        finish: what torchrun's first process does with configuration and result; the others help.

    Raises:
        SystemExit: another rank has failed first, and says why.
    """
    from asr_hf.runtime.process_group import process_group_from_environment

    ranks = process_group_from_environment()
    if not ranks.first:
        be_silent()
    with ranks.reporting():
        config = _rank_config(arguments, ranks.count)
        try:
            result = run_stage("train", config, ranks=ranks)
        except Interrupted:
            # Launchers send their signals again.
            ignore_signals()
            raise
        except KeyboardInterrupt:
            if _CONFIG in os.environ:
                # The launcher was told as well, and speaks for all.
                raise SystemExit(130) from None
            raise
    # After our own launcher's processes, it goes on itself.
    if _CONFIG not in os.environ:
        _with_helpers(ranks, lambda: finish(config, result))


def run_with_helpers(run: Callable[[list[str]], None], arguments: list[str]) -> None:
    """Run a verb other than train on the first of several processes; the others help it.

    Args:
        run: the verb.
        arguments: of the command line.
    """
    from asr_hf.runtime.process_group import process_group_from_environment

    ranks = process_group_from_environment()
    if not ranks.first:
        be_silent()
    _with_helpers(ranks, lambda: run(arguments))


def _with_helpers(ranks: ProcessGroup, work: Callable[[], None]) -> None:
    """Do some work on the first rank, with the others' help."""
    from asr_hf.runtime.helpers import serve_first_rank, using_helpers

    with ranks.reporting():
        if not ranks.first:
            serve_first_rank(ranks, _task)
            return
        with using_helpers(ranks):
            work()


def _task(name: str) -> Task[Any, Any]:
    """Look up a task that helpers do.

    Returns:
        The task.

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
