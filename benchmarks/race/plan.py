"""Reads workloads.yaml: what is raced on, by which methods, how often and how long."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from asr_hf.runtime.errors import InputError
from benchmarks.race.space import Dimension
from benchmarks.scaling_model import Link

ROOT = Path(__file__).resolve().parents[2]
WORKLOADS = Path(__file__).with_name("workloads.yaml")
# The key of our training among the methods.
OURS = "ours"
OURS_LABEL = "HF (ours)"


@dataclass(frozen=True)
class Workload:
    """A corpus, a network and a budget.

    Args:
        name: its name.
        corpus: recipe of the corpus.
        label: label in tables and pictures.
        seconds: the budget.
        network: overrides of the network.
        parts: parts of an epoch after which baselines can be looked at.
        look_share: work of looks beside that of training.
        test: set whose word errors are reported.
        ours: overrides of our runs alone.
    """

    name: str
    corpus: str
    label: str
    seconds: float
    network: str
    parts: int
    look_share: float
    test: str
    ours: str = ""


@dataclass(frozen=True)
class Method:
    """A baseline.

    Args:
        key: part of its runs' names.
        label: label in tables and pictures.
        overrides: overrides that choose it.
        published: overrides of its untuned run; empty where there is none.
        wave: 2 where it is run only if it is named.
    """

    key: str
    label: str
    overrides: str
    published: str = ""
    wave: int = 1


@dataclass(frozen=True)
class StepsPlan:
    """Steps to a loss against the size of minibatches.

    Args:
        workloads: names of workloads.
        target: held-out loss to reach.
        parts: looks of a run, at least.
        batches: lengths of runs in steps, ascending, by frames of a minibatch.
        rates: learning rates of each baseline.
        ours: overrides of our runs by frames of a minibatch.
        workers: number of workers of the modelled time.
        link: what joins them.
    """

    workloads: tuple[str, ...]
    target: float
    parts: int
    batches: Mapping[int, tuple[int, ...]]
    rates: Mapping[str, tuple[float, ...]]
    ours: Mapping[int, str]
    workers: int
    link: Link


@dataclass(frozen=True)
class Plan:
    """The whole race.

    Args:
        studies: seed of each study.
        trials: points that each baseline tries in a study.
        horizons: divisors of the budget that our runs have as horizons.
        preset: option of `preset` that we run with.
        common: overrides of every run.
        workloads: workloads by name.
        methods: baselines by key.
        space: the search space.
        steps: the runs of other sizes of minibatches.
        digest: SHA-256 of the file.
        path: the file.
    """

    studies: tuple[int, ...]
    trials: int
    horizons: tuple[float, ...]
    preset: str
    common: str
    workloads: Mapping[str, Workload]
    methods: Mapping[str, Method]
    space: tuple[Dimension, ...]
    steps: StepsPlan
    digest: str
    path: Path

    @property
    def first_wave(self) -> list[str]:
        """Keys of the baselines that are run without being named."""
        return [method.key for method in self.methods.values() if method.wave == 1]

    def label(self, method: str) -> str:
        """Return the label of a method, ours included."""
        return OURS_LABEL if method == OURS else self.methods[method].label


def read_plan(path: Path = WORKLOADS) -> Plan:
    """Read the file of the race.

    Args:
        path: the file.

    Returns:
        What it says.

    Raises:
        InputError: it does not hold what a race needs.
    """
    text = path.read_text(encoding="utf-8")
    try:
        return _plan(yaml.safe_load(text), hashlib.sha256(text.encode()).hexdigest(), path)
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: {error!r}", expected="the keys of benchmarks/race/workloads.yaml"
        ) from error


def _plan(tree: Any, digest: str, path: Path) -> Plan:
    steps = tree["steps"]
    return Plan(
        studies=tuple(tree["studies"]),
        trials=tree["trials"],
        horizons=tuple(tree["horizons"]),
        preset=tree["preset"],
        common=tree["common"],
        workloads={name: Workload(name=name, **own) for name, own in tree["workloads"].items()},
        methods={key: Method(key=key, **own) for key, own in tree["methods"].items()},
        space=tuple(Dimension.read(entry) for entry in tree["space"]),
        steps=StepsPlan(
            workloads=tuple(steps["workloads"]),
            target=steps["target"],
            parts=steps["parts"],
            batches={size: tuple(lengths) for size, lengths in steps["batches"].items()},
            rates={method: tuple(rates) for method, rates in steps["rates"].items()},
            ours=steps["ours"],
            workers=steps["workers"],
            link=Link(**steps["link"]),
        ),
        digest=digest,
        path=path,
    )


def commit_of(path: Path | None = None) -> str:
    """Return the commit of the checkout, or the last one of a file in it.

    Args:
        path: the file; None for the checkout.

    Returns:
        The commit, with `+` where there are changes that are in none; "unknown" without git.
    """
    about = [] if path is None else ["--", str(path)]
    commit = _git("log", "-1", "--format=%H", *about)
    tracked = _git("status", "--porcelain", "--untracked-files=no", *about)
    if not commit or tracked is None:
        return "unknown"
    return commit + ("+" if tracked else "")


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
