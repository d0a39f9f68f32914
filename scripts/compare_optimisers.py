"""Train one net on one corpus by each optimiser, and put table and curves into docs/.

usage: python scripts/compare_optimisers.py [--jobs N] [METHOD ...]

Every run is an `asr-hf train` command of its own in exp/compare-<method>, single-threaded so that
N of them can share a machine; a run that is there already is not done again. SGD and Adam are each
run over a small grid of learning rates, of which the best by held-out loss is shown.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from asr_hf.report.compare import compare, plot_compare
from asr_hf.runtime.files import read_json, write_text

ROOT = Path(__file__).resolve().parents[1]
COMMON = "+recipe=prompts5 model.hidden_sizes=[256,256,256] runtime.threads=1 runtime.device=cpu"
HF = "trainer.stopping.patience=0"
RATES = {"sgd": (0.05, 0.1, 0.2, 0.4), "adam": (0.0005, 0.001, 0.002, 0.004)}
METHODS = {
    "kfac-hf": "+preset=kfac trainer.stopping.max_iterations=50",
    "paper-hf": f"solver=flexible_cg preconditioner=lbfgs sampling=geometric {HF} "
    "trainer.stopping.max_iterations=28",
    "plain-hf": f"solver=cg preconditioner=identity sampling=fixed {HF} "
    "trainer.stopping.max_iterations=16",
} | {
    f"{trainer}-{rate}": f"trainer={trainer} trainer.learning_rate={rate} trainer.max_epochs=12"
    for trainer, rates in RATES.items()
    for rate in rates
}
LABELS = {
    "plain-hf": "plain HF (cg, identity, fixed)",
    "paper-hf": "paper's HF (flexible_cg, lbfgs, geometric)",
    "kfac-hf": "HF, +preset=kfac",
    "sgd": "SGD, best of four rates",
    "adam": "Adam, best of four rates",
}


def command(method: str) -> list[str]:
    """The training command of a method."""
    return ["asr-hf", "train", *COMMON.split(), f"name=compare-{method}", *METHODS[method].split()]


def run(method: str) -> int:
    """Train; the log goes beside the run folder."""
    (ROOT / "exp").mkdir(exist_ok=True)
    with open(ROOT / "exp" / f"compare-{method}.log", "ab") as log:
        words = [sys.executable, "-m", "asr_hf", *command(method)[1:]]
        return subprocess.run(words, cwd=ROOT, stdout=log, stderr=log, check=False).returncode


def best_of(prefix: str) -> str | None:
    """The finished run of a grid with the lowest held-out loss."""
    found = {
        m: read_json(path)["heldout_loss"]
        for m in METHODS
        if m.startswith(prefix) and (path := ROOT / f"exp/compare-{m}/result.json").exists()
    }
    return min(found, key=lambda m: found[m]) if found else None


def write_page() -> None:
    """docs/optimisers-compared.md and its picture, from the runs there are."""
    chosen = {k: best_of(k) if k in ("sgd", "adam") else k for k in LABELS}
    runs = {
        LABELS[k]: ROOT / f"exp/compare-{m}"
        for k, m in chosen.items()
        if m and (ROOT / f"exp/compare-{m}/events.jsonl").exists()
    }
    table, _ = compare(list(runs.values()), list(runs))
    plot_compare(list(runs.values()), list(runs), ROOT / "docs/optimisers-compared.svg")
    commands = "\n".join(shlex.join(command(m)) for m in METHODS)
    write_text(
        ROOT / "docs/optimisers-compared.md",
        "# How do the optimisers compare?\n\n"
        "One net, one set of frames (prompts5), each run on one CPU thread with a core to itself. "
        "Work counts a gradient frame as 3, a curvature frame as 4 and a loss frame as 1. "
        "Made by `python scripts/compare_optimisers.py`. SGD and Adam halve their rate when the "
        "held-out gain is small; the run of their grid with the lowest held-out loss is shown. "
        "HF runs are bounded by iterations: none had converged.\n\n"
        f"![held-out loss against work and seconds](optimisers-compared.svg)\n\n{table}\n\n"
        f"## Commands\n\n```\n{commands}\n```\n",
    )


def main() -> int:
    """Run what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*", default=list(METHODS))
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    with ThreadPoolExecutor(options.jobs) as pool:
        codes = list(pool.map(run, options.methods))
    write_page()
    return max(codes, default=0)


if __name__ == "__main__":
    raise SystemExit(main())
