"""Does the runs that are not done, each on a core of its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import torch

from asr_hf.cli.compose import load_config
from asr_hf.cli.typed import settings_of
from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.files import read_json
from asr_hf.stages.sources.layout import store_folder
from benchmarks.machine import cpu, describe
from benchmarks.race.plan import ROOT, Plan, commit_of
from benchmarks.race.results import Results, record_of
from benchmarks.race.trials import Trial

log = logging.getLogger("asr_hf.benchmarks")

# Pins itself to a core, then becomes asr-hf.
_PINNED = (
    "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); "
    "os.execv(sys.executable, [sys.executable, '-m', 'asr_hf', *sys.argv[2:]])"
)
_FAILED = RunError.exit_code
_TOLD_LINES = 3


class Pool:
    """Cores that runs are dealt to, until the sitting is over.

    Args:
        results: where results are kept.
        jobs: number of runs at a time.
        minutes: minutes after which no further run is started; None sets no bound.
    """

    def __init__(self, results: Results, jobs: int, minutes: float | None = None) -> None:
        cores = sorted(os.sched_getaffinity(0))
        if not 1 <= jobs <= len(cores):
            raise InputError(
                f"--jobs {jobs} on {len(cores)} cores", expected="a core for each run at a time"
            )
        self.results, self._jobs = results, jobs
        self._ends = None if minutes is None else time.monotonic() + 60 * minutes
        self._cores: SimpleQueue[int] = SimpleQueue()
        for core in cores[:jobs]:
            self._cores.put(core)
        self._about = {"cpu": cpu(), "torch": torch.__version__, "commit": commit_of()}

    @property
    def over(self) -> bool:
        """Whether no further run is started."""
        return self._ends is not None and time.monotonic() >= self._ends

    def train(self, trials: Iterable[Trial]) -> None:
        """Do the runs that have no result of this machine yet."""
        left = [trial for trial in dict.fromkeys(trials) if self.results.here(trial) is None]
        self.each(self._train, left)

    def each(self, work: Callable[[Trial, int], None], trials: Sequence[Trial]) -> None:
        """Call a function with each run and a core that is its own, as many at a time as may be."""

        def on_a_core(trial: Trial) -> None:
            if self.over:
                return
            core = self._cores.get()
            try:
                work(trial, core)
            finally:
                self._cores.put(core)

        with ThreadPoolExecutor(self._jobs) as pool:
            futures = [pool.submit(on_a_core, trial) for trial in trials]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _train(self, trial: Trial, core: int) -> None:
        outcome = run("train", trial, core)
        if outcome.code not in (0, _FAILED):
            raise failed("train", trial, outcome.code)
        failure = _end_of(log_file(trial)) if outcome.code else ""
        about = {**self._about, "core_share": outcome.core_share}
        self.results.add(trial, record_of(trial, about, failure))


class Outcome(NamedTuple):
    """The end of a command: its exit code, and CPU seconds over seconds passed."""

    code: int
    core_share: float


def run(verb: str, trial: Trial, core: int) -> Outcome:
    """Run a verb of asr-hf on a core; its log goes beside the run folder."""
    log.info("%s %s", verb, trial.name)
    trial.folder.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", _PINNED, str(core), verb, *trial.command]
    # Classes of benchmarks/ are named in benchmarks/conf.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    with open(log_file(trial), "ab") as log_to:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log_to, stderr=log_to)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    passed = time.perf_counter() - start
    return Outcome(process.returncode, (usage.ru_utime + usage.ru_stime) / passed)


def failed(verb: str, trial: Trial, code: int) -> RunError:
    """Return the error of a command that ended otherwise than it may."""
    return RunError(
        f"asr-hf {verb} of race/{trial.name} failed with exit code {code}",
        remedy=f"see {log_file(trial)}; the same make race goes on from here",
    )


def log_file(trial: Trial) -> Path:
    """Return the path of a run's log."""
    return trial.folder.with_name(f"{trial.folder.name}.log")


def _end_of(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return " ".join(line.strip() for line in lines[-_TOLD_LINES:]) or "no message"


def check_corpora(plan: Plan, workloads: Iterable[str]) -> None:
    """Check that the corpora of some workloads are there.

    Raises:
        InputError: one is missing.
    """
    for corpus in dict.fromkeys(plan.workloads[name].corpus for name in workloads):
        if not _store(corpus).exists():
            named = [n for n, w in plan.workloads.items() if w.corpus != corpus]
            raise InputError(
                f"the corpus {corpus} is not there: no {_store(corpus)}",
                remedy=f"make data-{corpus}; or leave it out: --workloads {' '.join(named)}",
            )


def known_frames(plan: Plan, results: Results) -> dict[str, int]:
    """Return the training frames of the corpora that are there, or were when results were made."""
    corpora = {workload.corpus for workload in plan.workloads.values()}
    there = {c: int(read_json(_store(c))["frames"]) for c in sorted(corpora) if _store(c).exists()}
    return {**results.content.get("frames", {}), **there}


def _store(corpus: str) -> Path:
    return ROOT / "data" / corpus / _store_folder(corpus) / "store.json"


@cache
def _store_folder(corpus: str) -> Path:
    """Return the folder of what is trained on, in that of the corpus."""
    settings = settings_of(load_config([f"+recipe={corpus}"]))
    return store_folder(settings, settings.corpus.train_set).relative_to(settings.corpus.dir)


def sitting(plan: Plan, results: Results) -> dict[str, Any]:
    """Describe the machine of a sitting beside those of former ones, and the file of workloads."""
    commit = commit_of(plan.path)
    if commit.endswith("+"):
        log.warning("%s has changes that are in no commit", plan.path)
    return {
        "machines": results.content.get("machines", {}) | {cpu(): describe(torch.device("cpu"))},
        "plan": {"digest": plan.digest, "commit": commit},
    }
