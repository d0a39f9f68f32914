"""Word errors of LF-MMI beside cross-entropy and sMBR: python -m benchmarks.lattice_free [options].

The corpora have to be there (make data-prompts5 data-queen data-fillets). It goes on where it was
left.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from asr_hf.report.run_data import RunData
from asr_hf.runtime.ending import with_exit_code
from asr_hf.runtime.files import read_json, write_json
from asr_hf.runtime.logs import configure_logging
from benchmarks.lattice_free.commands import (
    CRITERIA,
    CROSS_ENTROPY,
    FLAT,
    LATTICE_FREE,
    ROOT,
    SMBR,
    align_commands,
    commands,
    folder_of,
)
from benchmarks.lattice_free.settings import CORPORA, SEEDS, CorpusSettings
from benchmarks.machine import cpu
from benchmarks.paper_table.runs import OutOfTime, Runner

log = logging.getLogger("asr_hf.benchmarks")

RESULTS = ROOT / "benchmarks/results/lfmmi.json"


def record(corpus: CorpusSettings, criterion: str, seed: int) -> dict[str, Any] | None:
    """Read the word errors and losses of a run; None where it was not decoded."""
    folder = folder_of(corpus, criterion, seed)
    path = folder / "result.json"
    sets = read_json(path).get("wer", {}).get("sets", {}) if path.exists() else {}
    if not all(name in sets for name in corpus.tests):
        return None
    errors, words = (sum(sets[name][key] for name in corpus.tests) for key in ("errors", "words"))
    run = RunData.read(folder)
    losses = [event["heldout_loss"] for event in run.events if "heldout_loss" in event]
    return {
        "errors": errors,
        "words": words,
        "wer": 100 * errors / words,
        "heldout_loss": min(losses),
        "diverged": not all(map(math.isfinite, losses)) or losses[-1] > losses[0],
        "seconds": run.figure("seconds"),
        "iterations": run.figure("iterations"),
        "machine": cpu(),
    }


def figures(runs: dict[str, dict[str, Any]], corpus: CorpusSettings) -> dict[str, Any]:
    """Compute the medians of a corpus over the seeds that there are."""
    rates = {
        criterion: [run["wer"] for key, run in runs.items() if key.startswith(f"{criterion}/")]
        for criterion in CRITERIA
    }
    found: dict[str, Any] = {
        f"wer_{criterion}": median(values) if values else None
        for criterion, values in rates.items()
    }
    ours, theirs = found[f"wer_{LATTICE_FREE}"], found[f"wer_{CROSS_ENTROPY}"]
    found["wer_relative_to_cross_entropy"] = ours / theirs - 1 if ours and theirs else None
    found["test_words"] = max((run["words"] for run in runs.values()), default=0)
    found["diverged"] = sum(r["diverged"] for k, r in runs.items() if k.startswith(LATTICE_FREE))
    return {**found, **settings_of(corpus), "runs": runs}


def settings_of(corpus: CorpusSettings) -> dict[str, Any]:
    """Return what runs of a corpus have to share to stand in one table."""
    own = {CROSS_ENTROPY: corpus.cross_entropy, LATTICE_FREE: corpus.lattice_free}
    return {
        "network": " ".join(sorted(corpus.network.split())),
        "own": own,
        "seconds": corpus.seconds,
        "tests": list(corpus.tests),
    }


def still_valid(known: dict[str, Any], corpus: CorpusSettings) -> dict[str, dict[str, Any]]:
    """Return the runs of former sittings and other machines, if their settings were these."""
    settings = settings_of(corpus)
    same = all(known.get(key) == value for key, value in settings.items())
    return known["runs"] if same else {}


def write(names: Sequence[str]) -> None:
    """Write what is known of some corpora beside the others' figures."""
    known: dict[str, Any] = read_json(RESULTS) if RESULTS.exists() else {}
    corpora = known.get("corpora", {})
    for name in names:
        corpus = CORPORA[name]
        runs = {
            f"{criterion}/seed{seed}": found
            for criterion in CRITERIA
            for seed in SEEDS
            if (found := record(corpus, criterion, seed)) is not None
        }
        if runs:
            former = still_valid(corpora.get(name, {}), corpus)
            corpora[name] = figures({**former, **runs}, corpus)
    write_json(RESULTS, {"corpora": corpora})


@with_exit_code
def main(given: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lattice_free", description=__doc__)
    parser.add_argument("--corpora", nargs="+", choices=sorted(CORPORA), default=list(CORPORA))
    parser.add_argument("--criteria", nargs="+", choices=CRITERIA, default=list(CRITERIA))
    parser.add_argument("--seeds", type=int, nargs="+", choices=SEEDS, default=list(SEEDS))
    parser.add_argument("--minutes", type=float, help="time given; runs go on with the next call")
    options = parser.parse_args(given)
    configure_logging(debug=False)
    runner = Runner(ROOT, options.minutes)
    wanted = [c for c in (CROSS_ENTROPY, LATTICE_FREE, FLAT, SMBR) if c in options.criteria]
    try:
        for seed in options.seeds:
            for corpus in (CORPORA[name] for name in options.corpora):
                if LATTICE_FREE in wanted:
                    runner.do(folder_of(corpus, "aligned", 0), align_commands(corpus))
                for criterion in wanted:
                    runner.do(folder_of(corpus, criterion, seed), commands(corpus, criterion, seed))
                write(options.corpora)
    except OutOfTime:
        log.info("the time given has passed; the same command goes on from here")
    write(options.corpora)
    log.info("figures in %s", RESULTS)


if __name__ == "__main__":
    raise SystemExit(main())
