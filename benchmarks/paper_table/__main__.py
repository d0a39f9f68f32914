"""Make the paper's table: make paper-table, or python -m benchmarks.paper_table [options]."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from asr_hf.runtime.ending import with_exit_code
from asr_hf.runtime.files import read_json, write_json
from asr_hf.runtime.logs import configure_logging
from benchmarks.machine import describe
from benchmarks.paper_table.commands import ROOT
from benchmarks.paper_table.figures import Record, command_line, merged, record_of, summary
from benchmarks.paper_table.page import write_page
from benchmarks.paper_table.reasons import RESULTS as REASONS
from benchmarks.paper_table.runs import OutOfTime, Runner, make_starts, train_rows
from benchmarks.paper_table.settings import CORPORA, ROWS, SEEDS, CorpusSettings

log = logging.getLogger("asr_hf.benchmarks")

RESULTS = ROOT / "benchmarks/results/paper-table.json"
PAGE = ROOT / "docs/paper-table.md"
# prompts5 is the quick form.
TABLE = ("prompts5x", "queen")


def unfinished(corpus: CorpusSettings, seeds: Sequence[int], known: Sequence[Record]) -> list[int]:
    """List the seeds that lack the record of a row with the settings of today."""
    commands = {run["command"] for run in known}
    first = seeds[0]
    return [
        seed
        for seed in seeds
        if any(command_line(corpus, row, seed, first) not in commands for row in ROWS)
    ]


def collect(
    corpus: CorpusSettings, seeds: Sequence[int], first: int, known: Sequence[Record]
) -> list[Record]:
    """Add the records of finished runs to those known."""
    found = [record_of(corpus, row, seed, first) for seed in seeds for row in ROWS]
    return merged(known, [record for record in found if record is not None])


def write(runs: Sequence[Record], results: Path, page: Path) -> dict[str, Any]:
    """Write figures and page.

    Returns:
        The figures, plain values.
    """
    figures = {"machine": describe(torch.device("cpu")), **summary(runs), "runs": list(runs)}
    write_json(results, figures)
    write_page(figures, read_json(REASONS)["places"] if REASONS.exists() else [], page)
    return figures


def make(names: Sequence[str], seeds: Sequence[int], runner: Runner | None, page: Path) -> None:
    """Do the runs that are not done, and write the results after each seed.

    Args:
        names: names of corpora.
        seeds: seeds; the network of the first makes the lattices.
        runner: does the commands; None takes the runs as they are.
        page: path of the page.
    """
    runs: list[Record] = read_json(RESULTS)["runs"] if RESULTS.exists() else []
    try:
        for corpus in (CORPORA[name] for name in names):
            todo = unfinished(corpus, seeds, runs)
            if runner is not None and todo:
                make_starts(runner, corpus, list(dict.fromkeys((seeds[0], *todo))))
            for seed in todo:
                if runner is not None:
                    train_rows(runner, corpus, seed, seeds[0])
                runs = collect(corpus, [seed], seeds[0], runs)
                write(runs, RESULTS, page)
    except OutOfTime:
        log.info("the time given has passed; the same command goes on from here")
    write(runs, RESULTS, page)
    log.info("figures in %s, page in %s", RESULTS, page)


@with_exit_code
def main(given: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper_table", description=__doc__)
    parser.add_argument("--corpora", nargs="+", choices=sorted(CORPORA), default=list(TABLE))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--minutes", type=float, help="time given; runs go on with the next call")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the page is written")
    parser.add_argument("--write-only", action="store_true", help="from the runs there are")
    options = parser.parse_args(given)
    configure_logging(debug=False)
    runner = None if options.write_only else Runner(ROOT, options.minutes)
    make(options.corpora, options.seeds, runner, options.page)


if __name__ == "__main__":
    raise SystemExit(main())
