"""Study sequence training: python -m benchmarks.sequence [--study clean] [--seeds 0]."""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch

from asr_hf.runtime.ending import with_exit_code
from asr_hf.runtime.files import read_json, write_json
from asr_hf.runtime.logs import configure_logging
from benchmarks.machine import describe
from benchmarks.sequence.figures import chosen, figures
from benchmarks.sequence.page import write_page
from benchmarks.sequence.steps import KINDS, ROOT, SGD, STUDIES, Study, do
from benchmarks.study.realign import realign

RESULTS = ROOT / "benchmarks/results/sequence.json"
PAGE = ROOT / "docs/sequence-results.md"


def train(study: Study) -> None:
    """Train the start of every seed, then the runs from it; SGD with the first seed only."""
    realign(study.recipe)
    for seed in study.seeds:
        do(study, "ce", seed)
        others = [kind for kind in KINDS if kind not in SGD]
        for kind in others:
            do(study, kind, seed)
        if seed == study.seeds[0]:
            for way in SGD:
                do(study, way, seed)
        else:
            best = chosen(study, "sgd-smbr", study.seeds[0])
            assert best is not None
            do(study, best.name.rpartition("-seed")[0], seed)


@with_exit_code
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sequence", description=__doc__)
    parser.add_argument("--study", choices=sorted(STUDIES), default="full")
    parser.add_argument("--seeds", type=int, nargs="*", help="of the study's, in its order")
    parser.add_argument("--write-only", action="store_true", help="from the runs there are")
    options = parser.parse_args()
    configure_logging(debug=False)
    study = STUDIES[options.study]
    if options.seeds:
        study = replace(study, seeds=tuple(options.seeds))
    if not options.write_only:
        train(study)
    known = read_json(RESULTS) if RESULTS.exists() else {}
    results_of_study = figures(study) | {"machine": describe(torch.device("cpu"))}
    results = known | {options.study: results_of_study}
    write_json(RESULTS, results)
    write_page(results, PAGE)


if __name__ == "__main__":
    raise SystemExit(main())
