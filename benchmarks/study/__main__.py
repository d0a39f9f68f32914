"""Run the study and write its page: `make study`, or python -m benchmarks.study [options]."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from asr_hf.runtime.ending import with_exit_code
from asr_hf.runtime.files import write_json
from asr_hf.runtime.logs import configure_logging
from benchmarks.machine import describe
from benchmarks.study.figures import figures
from benchmarks.study.methods import METHODS, PRESETS, Preset
from benchmarks.study.page import write_page
from benchmarks.study.realign import realign
from benchmarks.study.runs import ROOT, do_all, grid, tuned

log = logging.getLogger("asr_hf.benchmarks")

PLACES = {
    "full": (ROOT / "benchmarks/results/acceleration.json", ROOT / "docs/acceleration.md"),
    "augmented": (
        ROOT / "benchmarks/results/acceleration-augmented.json",
        ROOT / "docs/acceleration-augmented.md",
    ),
    "fast": (ROOT / "build/study/acceleration.json", ROOT / "build/study/acceleration.md"),
}


def train(preset: Preset, keys: list[str], jobs: int) -> None:
    """Train the first seed of all methods and grids, then the other seeds at the best rates."""
    if "alignment.tag=realigned" in preset.overrides:
        realign(preset.recipe)
    methods = [method for method in METHODS if method.key in keys]
    first = preset.seeds[0]
    do_all([run for method in methods for run in grid(method, preset)], jobs, decode=False)
    for seeds in ((first,), preset.seeds[1:]):
        runs = [r for m in methods for r in tuned(m, preset) if r.seed in seeds]
        do_all(runs, jobs, decode=True)


def write(name: str, out: tuple[Path, Path]) -> None:
    """Write figures and page from the finished runs."""
    preset, (figures_file, page_file) = PRESETS[name], out
    results = {"preset": name, "machine": describe(torch.device("cpu")), **figures(preset)}
    for path in out:
        path.parent.mkdir(parents=True, exist_ok=True)
    write_json(figures_file, results)
    argument = "" if name == "full" else f' ARGS="--preset {name}"'
    write_page(preset, results, f"make study{argument}", page_file)
    log.info("figures in %s, page in %s", figures_file, page_file)


@with_exit_code
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="make study", description=__doc__)
    keys = [method.key for method in METHODS]
    parser.add_argument("--preset", choices=sorted(PRESETS), default="full")
    parser.add_argument("--methods", nargs="*", choices=keys, default=keys, metavar="METHOD")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, a core each")
    parser.add_argument("--write-only", action="store_true", help="from the runs there are")
    options = parser.parse_args()
    configure_logging(debug=False)
    if not options.write_only:
        train(PRESETS[options.preset], options.methods, options.jobs)
    write(options.preset, PLACES[options.preset])


if __name__ == "__main__":
    raise SystemExit(main())
