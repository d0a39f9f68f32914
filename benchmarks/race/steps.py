"""Steps to a loss against the size of minibatches, and what they take on many workers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.race.plan import OURS, Plan, Workload
from benchmarks.race.results import DONE, FAILED, Results
from benchmarks.race.trials import Trial, frozen_preset, shared_overrides
from benchmarks.scaling_model import Case, Machine, iteration

# Number of training frames of a corpus, of those that are known.
Frames = Mapping[str, int]
# The size of minibatches whose speed-up has a key of its own.
_LARGE = 8192
# Sums over all workers of a look at the curvature, in vectors of n: two Kronecker factors of every
# layer, and a product.
_CURVATURE_SUMS = 3


def ladder(
    plan: Plan, workload: Workload, method: str, batch: int, frames: int
) -> list[list[Trial]]:
    """List the runs of a method with one size of minibatches, ever longer ones.

    Args:
        plan: the race.
        workload: the workload.
        method: `OURS`, or a baseline with rates.
        batch: frames of a minibatch.
        frames: number of training frames of the corpus.

    Returns:
        For each length its runs, one a rate.
    """
    return [
        [
            _trial(plan, workload, method, batch, length, rate, frames)
            for rate in (plan.steps.rates[method] if method != OURS else (None,))
        ]
        for length in plan.steps.batches[batch]
    ]


def _trial(
    plan: Plan,
    workload: Workload,
    method: str,
    batch: int,
    length: int,
    rate: float | None,
    frames: int,
) -> Trial:
    seed = plan.studies[0]
    # Minibatches of an epoch: the last one is smaller.
    epochs = length / math.ceil(frames / batch)
    # Looks cost as much beside short runs as beside long ones.
    overrides = [*shared_overrides(plan, workload, seed), "runtime.look_share=1"]
    overrides.append(f"trainer.horizon.epochs={epochs:.5g}")
    label = f"steps-b{batch}-n{length}"
    if method == OURS:
        overrides += [f"+preset={plan.preset}", *workload.ours.split()]
        overrides += plan.steps.ours[batch].split()
        frozen = frozen_preset(plan.preset)
        return Trial(workload.name, OURS, label, seed, tuple(overrides), frozen=frozen)
    parts = min(math.ceil(frames / batch), math.ceil(plan.steps.parts / epochs))
    overrides += [
        *plan.methods[method].overrides.split(),
        *plan.methods[method].published.split(),
        f"trainer.learning_rate={rate:g}",
        f"trainer.batch_frames={batch}",
        f"trainer.evaluations_per_epoch={parts}",
    ]
    return Trial(workload.name, method, f"{label}-r{rate:g}", seed, tuple(overrides))


def pending(
    plan: Plan,
    results: Results,
    workloads: Sequence[str],
    frames: Frames,
    batches: Sequence[int] = (),
) -> list[Trial]:
    """List the next runs: of each ladder those of the rung that halves what is open.

    Args:
        plan: the race.
        results: results so far.
        workloads: names of workloads.
        frames: number of training frames of the corpora.
        batches: sizes of minibatches; none for all.

    Returns:
        The runs; none where all is known.
    """
    listed: list[Trial] = []
    for rungs in _ladders(plan, workloads, frames, batches):
        rung = _next_rung(plan, results, rungs)
        if rung is not None:
            listed += [trial for trial in rungs[rung] if results.of(trial) is None]
    return listed


def _next_rung(plan: Plan, results: Results, rungs: Sequence[Sequence[Trial]]) -> int | None:
    """Return the rung that tells most of where a ladder gets there; None once that is known.

    Longer runs are taken to get where shorter ones do.
    """
    below, reached = -1, len(rungs)
    for number, trials in enumerate(rungs):
        if all(results.of(trial) is not None for trial in trials):
            if _fewest(plan, results, trials) is None:
                below = number
            else:
                reached = min(reached, number)
    return (below + reached) // 2 if reached - below > 1 else None


def every_trial(plan: Plan, frames: Frames) -> list[Trial]:
    """List all runs that may be done, of the corpora whose number of frames is known."""
    ladders = _ladders(plan, plan.steps.workloads, frames, ())
    return [trial for rungs in ladders for trials in rungs for trial in trials]


def _ladders(
    plan: Plan, workloads: Sequence[str], frames: Frames, batches: Sequence[int]
) -> list[list[list[Trial]]]:
    return [
        ladder(plan, workload, method, batch, frames[workload.corpus])
        for batch in batches or plan.steps.batches
        for workload in _workloads(plan, workloads, frames)
        for method in (OURS, *plan.steps.rates)
    ]


def _workloads(plan: Plan, names: Sequence[str], frames: Frames) -> list[Workload]:
    chosen = [plan.workloads[name] for name in plan.steps.workloads if name in names]
    return [workload for workload in chosen if workload.corpus in frames]


def _fewest(plan: Plan, results: Results, trials: Sequence[Trial]) -> int | None:
    """Return the fewest gradient frames with which one of the runs reaches the target."""
    found = [
        look["gradient_frames"]
        for trial in trials
        if (record := results.of(trial)) is not None
        for look in record["looks"]
        if look["heldout_loss"] is not None and look["heldout_loss"] <= plan.steps.target
    ]
    return min(found, default=None)


def steps_figures(plan: Plan, results: Results, frames: Frames) -> dict[str, Any]:
    """Compute steps to the target, and the modelled time, of each workload and method.

    Returns:
        `steps`, by workload, method and size, and the two speed-ups: each the lesser of the
        workloads', None unless all are known.
    """
    table = {
        workload.name: {
            method: _of_method(plan, results, workload, method, frames[workload.corpus])
            for method in (OURS, *plan.steps.rates)
        }
        for workload in _workloads(plan, plan.steps.workloads, frames)
    }
    eight = [_ratio(rows, lambda of_size: of_size[str(_LARGE)]["steps"]) for rows in table.values()]
    many = [_ratio(rows, _least_time) for rows in table.values()]
    return {
        "steps": {"target": plan.steps.target, "workloads": table},
        "sequential_steps_speedup_8k": _least(eight),
        "modelled_speedup_64_workers": _least(many),
    }


def _of_method(
    plan: Plan, results: Results, workload: Workload, method: str, frames: int
) -> dict[str, Any]:
    measured: dict[int, tuple[float, float]] = {}
    sizes: dict[str, Any] = {}
    parameters = 0.0
    for batch in plan.steps.batches:
        rungs = ladder(plan, workload, method, batch, frames)
        every = [trial for trials in rungs for trial in trials]
        runs = [record for trial in every if (record := results.of(trial)) is not None]
        known = _next_rung(plan, results, rungs) is None
        fewest = _fewest(plan, results, every) if known else None
        for record in (record for record in runs if record["state"] == DONE):
            updates = record["looks"][-1]["gradient_frames"] / batch
            measured[batch] = (record["seconds"] / updates, record["iterations"] / updates)
            parameters = record["parameters"]
        sizes[str(batch)] = {
            "steps": None if fewest is None else fewest / batch,
            "runs": len(runs),
            "failed": sum(record["state"] == FAILED for record in runs),
            "exhausted": known and fewest is None,
        }
    _add_modelled(plan, method, sizes, measured, parameters)
    return sizes


def _add_modelled(
    plan: Plan,
    method: str,
    sizes: dict[str, Any],
    measured: dict[int, tuple[float, float]],
    parameters: float,
) -> None:
    """Add the modelled seconds to the target on many workers.

    A step's seconds on one core are fitted by a + c b over sizes b. Workers share c b; all repeat
    a, our inverses among it. Each step sums a gradient over all workers; our looks at the
    curvature, a few steps apart, sum more.
    """
    if len(measured) < 2:
        return
    batches = np.array(sorted(measured), dtype=float)
    seconds = np.array([measured[int(batch)][0] for batch in batches])
    # Relative errors count: sizes differ by a factor of 64.
    columns = np.stack([1 / seconds, batches / seconds], axis=1)
    (fixed, each), *_ = np.linalg.lstsq(columns, np.ones(len(batches)), rcond=None)
    fixed, each = max(float(fixed), 0.0), max(float(each), 0.0)
    link, workers = plan.steps.link, plan.steps.workers
    machine = Machine(each, 0.0, 0.0, 0.0, math.inf, link, link, node=1)
    for batch, (_, looks) in measured.items():
        steps = sizes[str(batch)]["steps"]
        if steps is None:
            continue
        case = Case(int(parameters), batch, 0.0, 0.0, steps=0, losses=0, pairs=0)
        step = iteration(machine, case, workers).total + fixed
        if method == OURS:
            sums = _CURVATURE_SUMS * machine.all_reduce(4 * parameters, workers)
            step += looks * sums
        sizes[str(batch)]["modelled_seconds"] = steps * step


def _least_time(of_size: dict[str, Any]) -> float | None:
    known = [size["modelled_seconds"] for size in of_size.values() if "modelled_seconds" in size]
    return min(known) if known else None


def _ratio(rows: dict[str, Any], cost: Callable[[dict[str, Any]], float | None]) -> float | None:
    """Return the least cost of the baselines over ours; None where one is not known."""
    ours = cost(rows[OURS])
    theirs = [found for method, row in rows.items() if method != OURS and (found := cost(row))]
    return min(theirs) / ours if ours and theirs else None


def _least(ratios: Sequence[float | None]) -> float | None:
    known = [ratio for ratio in ratios if ratio is not None]
    return min(known) if known and len(known) == len(ratios) else None
