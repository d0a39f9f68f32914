"""Figures of the runs: what each row cost to the loss of the plain one, and their medians."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from asr_hf.report.run_data import Event, RunData, number
from asr_hf.runtime.files import read_json
from benchmarks.paper_table.commands import ROOT, folder_of, row_command
from benchmarks.paper_table.settings import CORPORA, ROWS, CorpusSettings, Row

Record = dict[str, Any]

COSTS = ("seconds", "work", "cg_iterations")
# What a page tells of each iteration.
_TRACED = (
    "seconds",
    "work",
    "heldout_loss",
    "cg_iterations",
    "lambda",
    "gradient_frames",
    "curvature_frames",
    "iterate",
    "step",
    "rho",
)


@dataclass(frozen=True)
class Place:
    """Where a run reached a loss, and where it was best.

    Args:
        iteration: first iteration with that held-out loss or a lower one; the best one where there
            is none.
        reached: whether there is one.
        best_iteration: iteration with the lowest held-out loss.
    """

    iteration: int
    reached: bool
    best_iteration: int


def target_of(plain: Path) -> float:
    """Return the lowest held-out loss of the plain row's run."""
    best = RunData.read(plain).best
    assert best is not None, f"{plain} has looked at no held-out data"
    return float(best["heldout_loss"])


def place_of(folder: Path, target: float) -> Place:
    """Find where a run reached a held-out loss."""
    run = RunData.read(folder)
    assert run.best is not None, f"{folder} has looked at no held-out data"
    best = int(run.best["iteration"])
    for event in run.events:
        loss = number(event, "heldout_loss")
        if loss is not None and loss <= target:
            return Place(int(event["iteration"]), True, best)
    return Place(best, False, best)


def decoded_name(row: str, iteration: int) -> str:
    """Return the part of a run's name that stands for a row's model after an iteration."""
    return f"{row}-{iteration:04d}"


def costs_of(events: Sequence[Event], iteration: int) -> dict[str, float]:
    """Add up what a run has cost until after an iteration.

    Returns:
        Training seconds and work, both without looks, and CG steps.
    """
    (last,) = (event for event in events if event["iteration"] == iteration)
    steps = (number(e, "cg_iterations") or 0 for e in events if e["iteration"] <= iteration)
    # The first event's seconds are those of opening data and of forecasts.
    seconds = last["seconds"] - events[0]["seconds"]
    return {"seconds": seconds, "work": last["work"], "cg_iterations": int(sum(steps))}


def command_line(corpus: CorpusSettings, row: Row, seed: int, first: int) -> str:
    """Return a row's training as one types it; it stands for the settings of a finished run."""
    words = ["asr-hf", *row_command(corpus, row, seed, first)]
    return shlex.join(words).replace(f"{ROOT}/", "")


def record_of(corpus: CorpusSettings, row: Row, seed: int, first: int) -> Record | None:
    """Collect the figures of a run.

    Args:
        corpus: the corpus.
        row: the row.
        seed: the seed.
        first: seed of the network that made the lattices.

    Returns:
        Plain values. Where the plain row's loss was not reached, the costs are those of the whole
        run, bounds from below. None while the run or its decoding is missing.
    """
    folder, plain = folder_of(corpus, row.key, seed), folder_of(corpus, "plain", seed)
    if not (_finished(folder) and _finished(plain)):
        return None
    target = target_of(plain)
    place, run = place_of(folder, target), RunData.read(folder)
    words = [_words(corpus, row, seed, k) for k in (place.iteration, place.best_iteration)]
    if None in words:
        return None
    last = int(run.events[-1]["iteration"])
    at = place.iteration if place.reached else last
    return {
        "corpus": corpus.recipe,
        "row": row.key,
        "seed": seed,
        "command": command_line(corpus, row, seed, first),
        "target": target,
        "reached": place.reached,
        "iterations": at,
        **costs_of(run.events, at),
        "wer": words[0],
        "end": {
            "heldout_loss": float((run.best or {})["heldout_loss"]),
            "iterations": last,
            **costs_of(run.events, last),
            "wer": words[1],
        },
        "start": {"heldout_loss": run.events[0]["heldout_loss"], "wer": _start(corpus, seed)},
        "trace": [{key: event.get(key) for key in _TRACED} for event in run.events],
    }


def _finished(folder: Path) -> bool:
    return (folder / "result.json").exists() and RunData.read(folder).finished


def _words(corpus: CorpusSettings, row: Row, seed: int, iteration: int) -> Record | None:
    return _decoded(corpus, folder_of(corpus, decoded_name(row.key, iteration), seed))


def _start(corpus: CorpusSettings, seed: int) -> Record | None:
    return _decoded(corpus, folder_of(corpus, "start", seed))


def _decoded(corpus: CorpusSettings, folder: Path) -> Record | None:
    """Add up the word errors of the test sets; None while one is not decoded."""
    files = [folder / "decode" / name / "result.json" for name in corpus.tests]
    if not all(file.exists() for file in files):
        return None
    sets = [read_json(file) for file in files]
    errors, words = (sum(int(one[key]) for one in sets) for key in ("errors", "words"))
    return {"percent": 100 * errors / max(1, words), "errors": errors, "words": words}


def merged(known: Iterable[Record], new: Iterable[Record]) -> list[Record]:
    """Join records of runs, the new ones in the place of known ones of the same run."""
    runs = {(r["corpus"], r["row"], r["seed"]): r for r in (*known, *new)}
    order = {row.key: place for place, row in enumerate(ROWS)}
    corpora = {name: place for place, name in enumerate(CORPORA)}
    return sorted(runs.values(), key=lambda r: (corpora[r["corpus"]], r["seed"], order[r["row"]]))


def summary(runs: Sequence[Record]) -> Record:
    """Compute the medians of the rows, and what each is over the plain one.

    Args:
        runs: records of runs.

    Returns:
        `rows`, with medians over corpora and seeds; `<row>_over_plain_<cost>`, medians of how many
        times less a row cost than the plain one with the same seed; `corpora`, the same for each.
    """
    names = dict.fromkeys(run["corpus"] for run in runs)
    by_corpus = {name: _medians([r for r in runs if r["corpus"] == name]) for name in names}
    return _medians(runs) | {"corpora": by_corpus}


def _medians(runs: Sequence[Record]) -> Record:
    rows = {row.key: _row([run for run in runs if run["row"] == row.key]) for row in ROWS}
    over: Record = {}
    for row in ROWS[1:]:
        for cost in COSTS:
            ratios = ratios_to_plain(runs, row.key, cost)
            over[f"{row.key}_over_plain_{cost}"] = median(ratios) if ratios else None
    return {"rows": rows, **over}


def _row(runs: Sequence[Record]) -> Record:
    values: dict[str, list[float]] = {cost: [run[cost] for run in runs] for cost in COSTS}
    values["wer"] = [run["wer"]["percent"] for run in runs]
    values["end_wer"] = [run["end"]["wer"]["percent"] for run in runs]
    medians: Record = {key: median(found) if found else None for key, found in values.items()}
    return medians | {"runs": len(runs), "reached": sum(run["reached"] for run in runs)}


def ratios_to_plain(runs: Sequence[Record], row: str, cost: str) -> list[float]:
    """Return how many times less a row cost than the plain one, for each corpus and seed.

    Where a row did not reach the plain one's loss, its whole cost counts: the ratio is then a bound
    from above.
    """
    plain = {(run["corpus"], run["seed"]): run for run in runs if run["row"] == "plain"}
    places = [run for run in runs if run["row"] == row and (run["corpus"], run["seed"]) in plain]
    return [plain[run["corpus"], run["seed"]][cost] / run[cost] for run in places if run[cost] > 0]
