"""The steps of the check: what is right, how fast products are, and how fast training is."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr_hf.report.run_data import RunData, number
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json
from benchmarks.gpu.steps import Step
from benchmarks.study.figures import best_loss, cost_to

# What asr-hf train imports beside torch and numpy.
TRAINING_NEEDS = (
    "hydra",
    "omegaconf",
    "kaldiio",
    "soundfile",
    "safetensors",
    "tensorboard",
)
_RUN = "run"
# The network of docs/optimiser.md's first look, and one that fills a GPU.
_SMALL = "[256,256,256,256,256]"
_LARGE = "[2048,2048,2048,2048,2048,2048]"
_ADAMW = "trainer=adamw trainer.learning_rate={rate} trainer.horizon.epochs={epochs}"
_ADAMW += " trainer.evaluations_per_epoch={looks}"
_STOCHASTIC = "+preset=kfac trainer.horizon.epochs={epochs}"
_KFAC = "+preset=kfac_cg"
_TRIAL_SECONDS = 300.0
# One of each kind, and one of each optimiser.
QUICK_STEPS = ("tests", "products-A", "graphs-A", "stochastic", "adamw", "kfac", "iteration-A")


@dataclass(frozen=True)
class Data:
    """What is trained on.

    Args:
        folder: folder of prepared corpora.
        overrides: overrides that name the corpus.
    """

    folder: Path
    overrides: str = "+recipe=prompts5"


@dataclass(frozen=True)
class Check:
    """What the steps have in common.

    Args:
        device: cuda or cpu.
        quick: whether everything is tiny, to try the check itself.
        data: what is trained on.
        target: held-out loss to which trainings are timed.
        only: names of steps that are done; empty for all.
    """

    device: str
    quick: bool
    data: Data
    target: float
    only: tuple[str, ...] = ()


def steps(check: Check) -> list[Step]:
    """List the steps, the most valuable first.

    Args:
        check: what they have in common.

    Returns:
        The steps that are chosen.

    Raises:
        InputError: a name is no step's.
    """
    listed = [
        _tests(),
        _measured("products", "A", 70, check),
        _measured("products", "B", 80, check),
        _measured("graphs", "A", 35, check),
        _measured("graphs", "B", 35, check),
        _training("stochastic", _SMALL, _STOCHASTIC, 50, check),
        _training("adamw", _SMALL, _ADAMW, 50, check),
        _training("kfac", _SMALL, _KFAC, 50, check),
        _training("kfac-graphs", _SMALL, f"{_KFAC} {_recorded(check)}", 50, check),
        _training("kfac-bf16", _SMALL, f"{_KFAC} precision=bf16", 50, check),
        _training("stochastic-graphs", _SMALL, f"{_STOCHASTIC} {_recorded(check)}", 50, check),
        _training("stochastic-bf16", _SMALL, f"{_STOCHASTIC} precision=bf16", 50, check),
        _measured("iteration", "A", 60, check),
        _measured("iteration", "B", 60, check),
        _training("adamw-large", _LARGE, _ADAMW, 60, check),
        _training("stochastic-large", _LARGE, _STOCHASTIC, 60, check),
    ]
    names = [step.name for step in listed]
    if unknown := [name for name in check.only if name not in names]:
        raise InputError(f"--steps {' '.join(unknown)}", expected=f"of {', '.join(names)}")
    chosen = check.only or (QUICK_STEPS if check.quick else names)
    listed = [step for step in listed if step.name in chosen]
    if check.quick:
        # A trial may be on a slow machine, and busy.
        return [replace(step, seconds=_TRIAL_SECONDS) for step in listed]
    return listed


def _recorded(check: Check) -> str:
    return "runtime.cuda_graphs=" + str(check.device == "cuda").lower()


def _tests() -> Step:
    return Step(
        "tests",
        "the tests that need a GPU (tests/cuda)",
        60,
        (
            *(sys.executable, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider"),
            *("-p", "no:xdist", "tests/cuda", "--junitxml={folder}/tests.xml"),
        ),
        lambda folder: counts(folder / "tests.xml"),
        ("pytest", "pytest_timeout"),
    )


def counts(path: Path) -> dict[str, Any]:
    """Count the tests in a JUnit file by how they ended, and name those that failed."""
    figures: dict[str, Any] = {"passed": 0, "failed": 0, "skipped": 0, "names": []}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        ends = {child.tag for child in case}
        if ends & {"failure", "error"}:
            figures["failed"] += 1
            figures["names"].append(case.get("name"))
        else:
            figures["skipped" if "skipped" in ends else "passed"] += 1
    return figures


def _measured(kind: str, net: str, seconds: float, check: Check) -> Step:
    what = {
        "products": f"net {net}: gradients and products, beside torch.func's",
        "graphs": f"net {net}: products launched by kernels and replayed from CUDA graphs",
        "iteration": f"net {net}: whole iterations of HF, by phases",
    }
    size = "quick" if check.quick else "full"
    return Step(
        f"{kind}-{net}",
        what[kind],
        seconds,
        (
            *(sys.executable, "-m", "benchmarks.gpu.measure", kind, net, size, check.device),
            "{folder}/figures.json",
        ),
        lambda folder: dict(read_json(folder / "figures.json")),
    )


def _training(name: str, layers: str, how: str, seconds: float, check: Check) -> Step:
    how = how.format(
        epochs=1 if check.quick else 4,
        looks=2 if check.quick else 10,
        rate=0.002 if layers == _LARGE else 0.004,
    )
    words = [
        *check.data.overrides.split(),
        *f"+hardware=gpu runtime.device={check.device} runtime.look_share=0.2".split(),
        f"model.hidden_sizes={'[16]' if check.quick else layers}",
        "model.activation=relu",
        "model.normalisation=rms",
        *how.split(),
        *(["trainer.stopping.max_iterations=4"] if check.quick and _KFAC in how else []),
        f"paths.data={check.data.folder}",
        "paths.exp={folder}",
        f"name={_RUN}",
    ]
    net = "6×2048" if layers == _LARGE else "5×256"
    return Step(
        name,
        f"training {net} by {how}",
        seconds,
        (sys.executable, "-m", "asr_hf", "train", *words),
        _curve(check.target),
        TRAINING_NEEDS,
    )


def _curve(target: float) -> Callable[[Path], dict[str, Any]]:
    """Return a function that reads what a run reached and when, finished or not."""

    def collect(folder: Path) -> dict[str, Any]:
        run = RunData.read(folder / _RUN)
        looks = [event for event in run.events if number(event, "heldout_loss") is not None]
        return {
            "seconds_to_target": cost_to(run, target, "seconds"),
            "work_to_target": cost_to(run, target, "work"),
            "best_heldout_loss": best_loss(run),
            "seconds": number(run.events[-1], "seconds"),
            "iterations": number(run.events[-1], "iteration"),
            "frames": run.events[-1]["frames"],
            "ended_by": run.result.get("ended_by"),
            "curve": [
                {key: number(event, key) for key in ("seconds", "work", "heldout_loss")}
                for event in looks
            ],
        }

    return collect
