"""Lists the training runs of the study and their commands, and does those that are not done."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from asr_hf.runtime.errors import RunError
from asr_hf.runtime.files import read_json
from benchmarks.study.methods import Method, Preset

log = logging.getLogger("asr_hf.benchmarks")

ROOT = Path(__file__).resolve().parents[2]
# One thread for each run, so that parallel runs do not compete for cores.
COMMON = "runtime.threads=1 runtime.device=cpu"


@dataclass(frozen=True)
class Run:
    """One training run.

    Args:
        method: method of training.
        preset: data, net and length of the study.
        seed: seed of weights, samples and shuffling.
        rate: learning rate; None where the method has none.
    """

    method: Method
    preset: Preset
    seed: int
    rate: float | None = None

    @property
    def name(self) -> str:
        """Name of the run's folder in exp/."""
        rate = "" if self.rate is None else f"-{self.rate:g}"
        return f"study-{self.preset.recipe}/{self.method.key}{rate}-seed{self.seed}"

    @property
    def folder(self) -> Path:
        """The run folder."""
        return ROOT / "exp" / self.name

    @property
    def overrides(self) -> list[str]:
        """Overrides of `asr-hf train`, `decode` and `score`."""
        preset, key = self.preset, self.method.key
        lengths = {"iterations": preset.iterations.get(key, 0), "epochs": preset.epochs}
        words = [
            f"+recipe={preset.recipe}",
            *preset.overrides.split(),
            *COMMON.split(),
            *self.method.overrides.format(**lengths).split(),
            *preset.extra.get(key, "").split(),
            f"runtime.seed={self.seed}",
        ]
        if self.rate is not None:
            words.append(f"trainer.learning_rate={self.rate:g}")
        return [*words, f"name={self.name}"]

    def result(self) -> dict[str, object]:
        """Read result.json of the run; empty while it is not finished."""
        path = self.folder / "result.json"
        return read_json(path) if path.exists() else {}


def do(run: Run, decode: bool) -> None:
    """Train, decode and score where that is not done; the log goes beside the run folder.

    Raises:
        RunError: a command failed.
    """
    verbs = ["train"] if "heldout_loss" not in run.result() else []
    if decode and "wer" not in run.result():
        verbs += ["decode", "score"]
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    log_file = run.folder.with_suffix(run.folder.suffix + ".log")
    for verb in verbs:
        log.info("%s %s", verb, run.name)
        command = [sys.executable, "-m", "asr_hf", verb, *run.overrides]
        with open(log_file, "ab") as log_to:
            code = subprocess.run(command, cwd=ROOT, stdout=log_to, stderr=log_to).returncode
        if code:
            raise RunError(
                f"asr-hf {verb} of {run.name} failed with exit code {code}",
                remedy=f"see {log_file}; the same make study goes on from here",
            )


def do_all(runs: Sequence[Run], jobs: int, decode: bool) -> None:
    """Do several runs, `jobs` at a time."""
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda run: do(run, decode), runs))


def grid(method: Method, preset: Preset) -> list[Run]:
    """List the runs of the first seed from which a method's rate is chosen."""
    return [Run(method, preset, preset.seeds[0], rate) for rate in preset.grid(method)]


def tuned(method: Method, preset: Preset) -> list[Run]:
    """List a method's runs of all seeds at its best rate; empty while the grid is not done."""
    if not method.rates:
        return [Run(method, preset, seed) for seed in preset.seeds]
    losses = {run.rate: run.result().get("heldout_loss") for run in grid(method, preset)}
    if None in losses.values():
        return []
    rate = min(losses, key=lambda rate: float(str(losses[rate])))
    return [Run(method, preset, seed, rate) for seed in preset.seeds]
