"""Race against first-order optimisers: `make race`, or python -m benchmarks.race [options]."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr_hf.runtime.ending import with_exit_code
from asr_hf.runtime.logs import configure_logging
from benchmarks.machine import cpu
from benchmarks.race import gemm, steps, words
from benchmarks.race.page import write_page
from benchmarks.race.plan import ROOT, WORKLOADS, Plan, read_plan
from benchmarks.race.results import Results
from benchmarks.race.runner import Pool, check_corpora, known_frames, sitting
from benchmarks.race.summary import choose_machines, summarise
from benchmarks.race.trials import Selection, ordered

log = logging.getLogger("asr_hf.benchmarks")

RESULTS = ROOT / "benchmarks/results/race.json"
PAGE = ROOT / "docs/race.md"
# Of another file of workloads.
TRIED = ROOT / "build/race"
PARTS = ("tuned", "self", "wer", "steps", "gemm")


def race(
    plan: Plan, selection: Selection, parts: Sequence[str], batches: Sequence[int], pool: Pool
) -> None:
    """Do what is selected and not done, as far as the sitting's time goes."""
    check_corpora(plan, selection.workloads)
    results = pool.results
    results.change(sitting(plan, results))
    tracks = [track for track in ("tuned", "self") if track in parts]
    if tracks:
        pool.train(ordered(plan, selection, tracks))
    if "wer" in parts:
        choose_machines(plan, results)
        words.count_words(plan, selection.workloads, selection.studies, pool)
    frames = known_frames(plan, results)
    while "steps" in parts and not pool.over:
        trials = steps.pending(plan, results, selection.workloads, frames, batches)
        if not trials:
            break
        pool.train(trials)
    if "gemm" in parts and not pool.over:
        gemm.measure(plan, selection.workloads, selection.methods, results)


def options_of(plan: Plan, given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make race", description=__doc__)
    whole = Selection.whole(plan)

    def choose(flag: str, choices: Sequence[Any], default: Sequence[Any], kind: type = str) -> None:
        parser.add_argument(flag, choices=choices, default=default, type=kind, nargs="+")

    choose("--workloads", whole.workloads, whole.workloads)
    choose("--methods", list(plan.methods), whole.methods)
    choose("--studies", whole.studies, whole.studies, int)
    choose("--only", PARTS, PARTS)
    sizes = list(plan.steps.batches)
    choose("--batches", sizes, sizes, int)
    points = range(1, plan.trials + 1)
    parser.add_argument("--trials", type=int, choices=points, default=plan.trials)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, a core each")
    parser.add_argument("--minutes", type=float, help="start no further run after so many")
    parser.add_argument("--page", action="store_true", help="run nothing, write the page")
    _plan_option(parser)
    return parser.parse_args(given)


def _plan_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plan",
        type=Path,
        default=WORKLOADS,
        help="another file of workloads; its figures and its page go to build/race",
    )


def plan_file(given: Sequence[str] | None) -> Path:
    """Return the file of workloads, on which all other options hang."""
    parser = argparse.ArgumentParser(add_help=False)
    _plan_option(parser)
    path: Path = parser.parse_known_args(given)[0].plan
    return path


@with_exit_code
def main(given: Sequence[str] | None = None) -> None:
    """Run the command line."""
    configure_logging(debug=False)
    path = plan_file(given)
    plan = read_plan(path)
    options = options_of(plan, given)
    own = path == WORKLOADS
    results = Results(RESULTS if own else TRIED / RESULTS.name, cpu())
    page = PAGE if own else TRIED / PAGE.name
    try:
        if not options.page:
            selection = Selection(
                tuple(options.workloads),
                tuple(options.methods),
                tuple(options.studies),
                options.trials,
            )
            pool = Pool(results, options.jobs, options.minutes)
            race(plan, selection, options.only, options.batches, pool)
    finally:
        summarise(plan, results)
        write_page(plan, results, page)
    log.info("figures in %s, page in %s", results.path, page)


if __name__ == "__main__":
    raise SystemExit(main())
