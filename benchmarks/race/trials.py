"""Lists the training runs of the race, and in which order they are done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from omegaconf import OmegaConf

from asr_hf.cli.compose import load_config
from benchmarks.race.plan import OURS, ROOT, Plan, Workload
from benchmarks.race.space import overrides_at, points


@dataclass(frozen=True)
class Trial:
    """One training run.

    Args:
        workload: name of its workload.
        method: key of a baseline, or `OURS`.
        label: what tells it from others of its method.
        seed: seed of weights and samples; the study that it belongs to.
        overrides: overrides of `asr-hf train` without the run's name.
        seconds: seconds that it trains; None where it ends by its epochs.
        frozen: what else its result hangs on, as text.
    """

    workload: str
    method: str
    label: str
    seed: int
    overrides: tuple[str, ...]
    seconds: float | None = None
    frozen: str = ""

    @property
    def digest(self) -> str:
        """Digest of the settings that its result hangs on."""
        return hashlib.sha256(json.dumps([self.overrides, self.frozen]).encode()).hexdigest()

    @property
    def name(self) -> str:
        """Name of its result: other settings have another one."""
        return f"{self.workload}/{self.method}/{self.label}-{self.digest[:8]}"

    @property
    def folder(self) -> Path:
        """The run folder."""
        return ROOT / "exp" / "race" / self.name

    @property
    def command(self) -> list[str]:
        """Overrides of `asr-hf train`, `decode` and `score`."""
        return [*self.overrides, f"name=race/{self.name}"]


@cache
def frozen_preset(preset: str) -> str:
    """Return the optimiser that a preset makes, as text: the same text is the same optimiser."""
    config = load_config(["+recipe=prompts5", f"+preset={preset}", "runtime.seed=0"])
    # Its parts are references to other groups.
    trainer = OmegaConf.to_container(config.trainer, resolve=True)
    assert isinstance(trainer, dict)
    # Runs start from random weights, which nothing is held to.
    for key in ("pull", "pull_fisher"):
        trainer.pop(key)
    return json.dumps([trainer, config.frame_stride], sort_keys=True)


def our_trials(plan: Plan, workload: Workload, seed: int) -> list[Trial]:
    """List our runs of a study: one a horizon."""
    return [
        _ours(plan, workload, seed, f"s{seed}-x{divisor:g}", workload.seconds / divisor)
        for divisor in plan.horizons
    ]


def _ours(plan: Plan, workload: Workload, seed: int, label: str, seconds: float) -> Trial:
    overrides = [
        *shared_overrides(plan, workload, seed),
        f"+preset={plan.preset}",
        *workload.ours.split(),
        f"trainer.horizon.seconds={seconds:.4g}",
    ]
    frozen = frozen_preset(plan.preset)
    return Trial(workload.name, OURS, label, seed, tuple(overrides), seconds, frozen)


def tuned_trials(plan: Plan, workload: Workload, method: str, seed: int) -> list[Trial]:
    """List a baseline's runs of a study: one a point of the search space."""
    return [
        baseline(plan, workload, method, f"s{seed}-t{number}", seed, chosen)
        for number, point in enumerate(points(plan.space, seed, plan.trials))
        for chosen in [overrides_at(plan.space, point, method, workload.name)]
    ]


def published_trial(plan: Plan, workload: Workload, method: str, seed: int) -> Trial:
    """Return a baseline's run with its published settings."""
    chosen = plan.methods[method].published.split()
    return baseline(plan, workload, method, f"s{seed}-published", seed, chosen)


def baseline(
    plan: Plan, workload: Workload, method: str, label: str, seed: int, chosen: Sequence[str]
) -> Trial:
    """Return a baseline's run of the whole budget with chosen settings."""
    overrides = [
        *shared_overrides(plan, workload, seed),
        *plan.methods[method].overrides.split(),
        f"trainer.evaluations_per_epoch={workload.parts}",
        f"trainer.horizon.seconds={workload.seconds:g}",
        *chosen,
    ]
    return Trial(workload.name, method, label, seed, tuple(overrides), workload.seconds)


def shared_overrides(plan: Plan, workload: Workload, seed: int) -> list[str]:
    """Return the overrides that all runs of a workload share."""
    return [
        f"+recipe={workload.corpus}",
        *plan.common.split(),
        *workload.network.split(),
        f"runtime.look_share={workload.look_share:g}",
        f"runtime.seed={seed}",
    ]


@dataclass(frozen=True)
class Selection:
    """The part of the race that is run or shown.

    Args:
        workloads: names of workloads.
        methods: keys of baselines.
        studies: seeds of studies.
        trials: points of each study, from the first.
    """

    workloads: tuple[str, ...]
    methods: tuple[str, ...]
    studies: tuple[int, ...]
    trials: int

    @classmethod
    def whole(cls, plan: Plan) -> Selection:
        """Return the selection of everything that is run without being named."""
        return cls(tuple(plan.workloads), tuple(plan.first_wave), plan.studies, plan.trials)


def ordered(plan: Plan, selection: Selection, tracks: Iterable[str]) -> list[Trial]:
    """List the runs of the tuned and of the self-tuned track, each once.

    A short sitting gives whole comparisons: of each workload come ours with one trial of all
    methods and their published settings first, then the further trials, then the further studies.

    Args:
        plan: the race.
        selection: the part that is listed.
        tracks: `tuned`, `self` or both.

    Returns:
        The runs.
    """
    listed: list[Trial] = []
    for seed in selection.studies:
        for number in range(selection.trials):
            for name in selection.workloads:
                workload = plan.workloads[name]
                if number == 0:
                    listed += our_trials(plan, workload, seed)
                if number == 0 and "self" in tracks:
                    listed += untuned_trials(plan, workload, selection.methods, seed)
                if "tuned" in tracks:
                    for method in selection.methods:
                        listed.append(tuned_trials(plan, workload, method, seed)[number])
    return listed


def untuned_trials(
    plan: Plan, workload: Workload, methods: Sequence[str], seed: int
) -> list[Trial]:
    """List the runs of the baselines with published settings, of those that have any."""
    return [
        published_trial(plan, workload, method, seed)
        for method in methods
        if plan.methods[method].published
    ]
