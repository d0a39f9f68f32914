"""Measures the share of training time that is matrix products: python -m benchmarks.race.gemm."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from asr_hf.cli.compose import load_config
from asr_hf.cli.typed import settings_of
from asr_hf.hf.objective import Split
from asr_hf.runtime.device import choose_device, seed_everything
from asr_hf.runtime.errors import RunError
from asr_hf.runtime.files import write_json
from asr_hf.stages.train import make_objective
from asr_hf.stages.training.initial_model import initial_model
from asr_hf.stages.training.stores import open_stores
from asr_hf.training.batch_statistics import measure_at_start
from benchmarks.race.plan import ROOT, Plan
from benchmarks.race.results import Results
from benchmarks.race.trials import Trial, our_trials, tuned_trials

_PRODUCTS = {"aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::linear"}
_PRODUCTS |= {"aten::mkldnn_convolution", "aten::convolution_backward", "aten::matmul"}
# Seconds of training before, and in, the steps that are looked at.
_WARM_UP, _MEASURED = 3.0, 4.0


def share(overrides: Sequence[str]) -> dict[str, float]:
    """Train a little, and measure the share of matrix products in the time of further steps.

    Args:
        overrides: overrides of `asr-hf train`.

    Returns:
        `share`, `seconds`, those looked at, and `slowdown`, how much longer a step took under the
        profiler than without it.
    """
    optimiser = _optimiser(overrides)
    per_step, _ = _steps(optimiser, _WARM_UP)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        profiled, count = _steps(optimiser, _MEASURED)
    products = sum(
        event.self_cpu_time_total for event in profiler.key_averages() if event.key in _PRODUCTS
    )
    seconds = profiled * count
    return {
        "share": products * 1e-6 / seconds,
        "seconds": seconds,
        "slowdown": profiled / per_step,
    }


def _steps(optimiser: Any, seconds: float) -> tuple[float, int]:
    """Take steps for so many seconds; return seconds a gradient frame, and the number of frames."""
    start, count = time.perf_counter(), 0
    frames = optimiser.objective.frames_by_pass["gradient"]
    while time.perf_counter() - start < seconds:
        optimiser.step()
    count = optimiser.objective.frames_by_pass["gradient"] - frames
    return (time.perf_counter() - start) / count, count


def _optimiser(overrides: Sequence[str]) -> Any:
    settings = settings_of(load_config([*overrides, "name=gemm"]))
    device = choose_device(settings.runtime.device, settings.runtime.threads)
    seed_everything(settings.runtime.seed)
    stores = open_stores(settings)
    model = initial_model(settings, stores[Split.TRAIN], device)
    objective = make_objective(settings, stores, model, device)
    measure_at_start(objective, model.flat.detach().clone(), settings.runtime.seed)
    return settings.trainer.build()(objective=objective, theta=model.flat.detach().clone())


def measure(plan: Plan, workloads: Sequence[str], methods: Sequence[str], results: Results) -> None:
    """Measure what is not known, each in a process of its own, and keep it.

    Raises:
        RunError: a process failed.
    """
    for name in workloads:
        workload = plan.workloads[name]
        seed = plan.studies[0]
        firsts = [our_trials(plan, workload, seed)[0]]
        firsts += [tuned_trials(plan, workload, method, seed)[0] for method in methods]
        for trial in firsts:
            known = results.content.get("gemm_share", {})
            if trial.digest != known.get(name, {}).get(trial.method, {}).get("digest"):
                found = _in_a_process(trial) | {"digest": trial.digest}
                of_workload = known.get(name, {}) | {trial.method: found}
                results.change({"gemm_share": known | {name: of_workload}})


def _in_a_process(trial: Trial) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "share.json"
        command = [sys.executable, "-m", "benchmarks.race.gemm", str(out), *trial.overrides]
        code = subprocess.run(command, cwd=ROOT).returncode
        if code:
            raise RunError(f"profiling {trial.name} failed with exit code {code}")
        found: dict[str, Any] = json.loads(out.read_text())
        return found


def main(given: Sequence[str]) -> int:
    """Write the share of a run with these overrides to a file."""
    torch.set_num_threads(1)
    write_json(Path(given[0]), share(given[1:]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
