"""Does the commands of the table that are not done, two runs at a time."""

from __future__ import annotations

import logging
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from asr_hf.runtime.errors import RunError
from asr_hf.runtime.files import atomic_path, make_folder, write_text
from asr_hf.training.model_file import FILE_NAME
from benchmarks.paper_table.commands import (
    Command,
    decode_command,
    folder_of,
    label_commands,
    lattice_command,
    name_of,
    row_command,
    start_commands,
)
from benchmarks.paper_table.figures import decoded_name, place_of, target_of
from benchmarks.paper_table.settings import CORPORA, LABEL_SEED, ROWS, CorpusSettings, Row

log = logging.getLogger("asr_hf.benchmarks")

JOBS = 2
_DONE = "done"

ItemT = TypeVar("ItemT")


class OutOfTime(Exception):
    """The time given has passed; the same command goes on from here."""


class Runner:
    """Runs commands until a moment.

    Args:
        root: folder that commands are given in.
        minutes: time given; None for as long as it takes.
    """

    def __init__(self, root: Path, minutes: float | None = None) -> None:
        self.root = root
        self._end = None if minutes is None else time.monotonic() + 60 * minutes

    def left(self) -> float | None:
        """Return the seconds left; None without an end.

        Raises:
            OutOfTime: none are left.
        """
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise OutOfTime
        return left

    def do(self, folder: Path, commands: Sequence[Command]) -> None:
        """Do commands whose outcome a folder stands for, unless they are done.

        Args:
            folder: the folder; a mark in it holds the commands that were done. The log goes beside
                it.
            commands: verbs with their overrides. Runs that were done with other ones refuse them.

        Raises:
            OutOfTime: the time given has passed. A training leaves a checkpoint.
            RunError: a command failed.
        """
        mark, lines = folder / _DONE, "".join(shlex.join(c) + "\n" for c in commands)
        if mark.exists() and mark.read_text() == lines:
            return
        make_folder(folder.parent)
        for command in commands:
            self._run(command, folder)
        make_folder(folder)
        write_text(mark, lines)

    def _run(self, command: Command, folder: Path) -> None:
        left, log_file = self.left(), folder.with_name(f"{folder.name}.log")
        log.info("%s, %s", command[0], folder.name)
        with open(log_file, "ab") as log_to:
            process = subprocess.Popen(
                [sys.executable, "-m", "asr_hf", *command],
                cwd=self.root,
                stdout=log_to,
                stderr=log_to,
            )
            try:
                code = process.wait(left)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait()
                raise OutOfTime from None
        if code:
            raise RunError(
                f"asr-hf {command[0]} for {folder.name} failed with exit code {code}",
                remedy=f"see {log_file}; the same command goes on from here",
            )


def make_starts(runner: Runner, corpus: CorpusSettings, seeds: Sequence[int]) -> None:
    """Align, train the cross-entropy network of every seed, make lattices with the first one."""
    for one in dict.fromkeys((corpus.clean, corpus.recipe)):
        labelled = CORPORA[one]
        runner.do(folder_of(labelled, "aligned", LABEL_SEED), label_commands(labelled))
    _at_once(lambda seed: _start(runner, corpus, seed), seeds)
    lattices = folder_of(corpus, "lattices", seeds[0])
    runner.do(lattices, [lattice_command(corpus, seeds[0])])


def _start(runner: Runner, corpus: CorpusSettings, seed: int) -> None:
    runner.do(folder_of(corpus, "start", seed), start_commands(corpus, seed))


def train_rows(runner: Runner, corpus: CorpusSettings, seed: int, first: int) -> None:
    """Train all rows of a seed, then decode where each reached the plain row's loss, and its end.

    Args:
        runner: does the commands.
        corpus: the corpus.
        seed: the seed.
        first: seed of the network that made the lattices.
    """

    def train(row: Row) -> None:
        runner.do(folder_of(corpus, row.key, seed), [row_command(corpus, row, seed, first)])

    _at_once(train, ROWS)
    target = target_of(folder_of(corpus, "plain", seed))

    def decode(row: Row) -> None:
        place = place_of(folder_of(corpus, row.key, seed), target)
        for iteration in dict.fromkeys((place.iteration, place.best_iteration)):
            what = decoded_name(row.key, iteration)
            model = folder_of(corpus, row.key, seed) / "models" / f"iteration-{iteration:04d}"
            folder = folder_of(corpus, what, seed)
            _copy(model.with_suffix(".safetensors"), folder / FILE_NAME)
            name = name_of(corpus, what, seed)
            runner.do(folder, [decode_command(corpus, row, seed, first, name)])

    _at_once(decode, ROWS)


def _copy(model: Path, to: Path) -> None:
    make_folder(to.parent)
    with atomic_path(to) as temporary:
        shutil.copyfile(model, temporary)


def _at_once(do: Callable[[ItemT], None], each: Sequence[ItemT]) -> None:
    """Do something for each, two at a time."""
    with ThreadPoolExecutor(JOBS) as pool:
        list(pool.map(do, each))
