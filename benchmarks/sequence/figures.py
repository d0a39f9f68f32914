"""Figures of the runs of sequence training."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from asr_hf.report.run_data import RunData, number
from asr_hf.runtime.files import read_json
from asr_hf.scoring.paired import PairedBootstrap
from asr_hf.scoring.transcripts import read_table
from asr_hf.scoring.wer import score
from benchmarks.sequence.steps import FACTORS, SGD, Study

Figures = dict[str, Any]


def figures(study: Study) -> Figures:
    """Collect word errors of finished runs, differences to the start, and HF compared with SGD."""
    kinds = ["ce", "hf-smbr", "hf-mmi", "sgd-smbr", "ce-longer", "ce-rescaled"]
    seeds = [seed for seed in study.seeds if done(study, "ce", seed)]
    runs: dict[str, list[Figures]] = {kind: [] for kind in kinds}
    for seed in seeds:
        for kind in kinds:
            folder = chosen(study, kind, seed)
            if folder is not None:
                runs[kind].append({"seed": seed, "run": folder.name, **wers(folder, study.tests)})
    collected: Figures = {"recipe": study.recipe, "runs": runs}
    for kind in kinds[1:]:
        collected[f"{kind}_against_ce"] = against(study, kind, seeds)
    collected["hf_over_sgd"] = race(study, seeds)
    return collected


def done(study: Study, kind: str, seed: int) -> bool:
    """Return whether a run has been trained and decoded."""
    return (study.folder(kind, seed) / "done").exists()


def chosen(study: Study, kind: str, seed: int) -> Path | None:
    """Find the folder of a run; where there is a grid, of the run best on the development set.

    SGD's settings are chosen with the first seed, the factor of logits with each seed.

    Returns:
        The folder; None while runs are missing.
    """
    if kind == "sgd-smbr":
        first = study.seeds[0]
        tried = {way: study.folder(way, first) for way in SGD}
        finished = {way: dev_errors(f) for way, f in tried.items() if (f / "done").exists()}
        if not finished:
            return None
        kind = min(finished, key=finished.__getitem__)
    if kind == "ce-rescaled":
        folders = [study.folder(f"ce-times-{factor:g}", seed) for factor in FACTORS]
        folders = [folder for folder in folders if (folder / "done").exists()]
        return min(folders, key=dev_errors, default=None)
    folder = study.folder(kind, seed)
    return folder if (folder / "done").exists() else None


def dev_errors(folder: Path) -> int:
    """Read the word errors on the development set at the best weights."""
    return min(
        int(trial["errors"]) for trial in read_json(folder / "decode" / "best.json")["tried"]
    )


def wers(folder: Path, tests: tuple[str, ...]) -> Figures:
    """Read the word error rates of the test sets."""
    rates = {}
    for name in tests:
        result = read_json(folder / "decode" / name / "result.json")
        rates[name] = {key: result[key] for key in ("percent", "errors", "words", "interval")}
    return {"wer": rates, "dev_errors": dev_errors(folder)}


def against(study: Study, kind: str, seeds: list[int]) -> Figures:
    """Compare word error rates with those of the start, with a paired test of the first seed."""
    result: Figures = {}
    for name in study.tests:
        changes, tests = [], []
        for seed in seeds:
            folder = chosen(study, kind, seed)
            if folder is None:
                continue
            start = study.folder("ce", seed)
            hyps = [read_table(f / "decode" / name / "hyp.txt") for f in (start, folder)]
            refs = read_table(start / "decode" / name / "ref.txt")
            test = PairedBootstrap([score(refs, one) for one in hyps]).between(0, 1)
            before, after = (wers(f, study.tests)["wer"][name]["errors"] for f in (start, folder))
            changes.append((after - before) / before)
            tests.append({"difference": test.difference, "interval": list(test.interval)})
        if changes:
            result[name] = {"relative": median(changes), "by_seed": changes, "paired": tests}
    return result


def race(study: Study, seeds: list[int]) -> Figures:
    """Compare the seconds of HF and SGD to SGD's best held-out loss, and the losses at their ends.

    SGD has the settings that reached the lowest loss.

    Returns:
        The figures, plain values.
    """
    ratios, ends, ways = [], [], []
    for seed in seeds:
        hf, folders = study.folder("hf-smbr", seed), {way: study.folder(way, seed) for way in SGD}
        slows = {way: RunData.read(f) for way, f in folders.items() if (f / "result.json").exists()}
        if not (hf / "result.json").exists() or not slows:
            continue
        fast = RunData.read(hf)
        each = {way: sooner(fast, slow) for way, slow in slows.items()}
        lowest = min(slows, key=lambda way: best_loss(slows[way]))
        ratios.append(each[lowest])
        ends.append({"hf": best_loss(fast), "sgd": best_loss(slows[lowest])})
        ways.append(each)
    known = [ratio for ratio in ratios if ratio]
    whole = known and len(known) == len(ratios)
    return {
        "seconds": median(known) if whole else None,
        "by_seed": ratios,
        "ways": ways,
        "best_loss": ends,
    }


def sooner(fast: RunData, slow: RunData) -> float | None:
    """Return how many times sooner `fast` reaches the best held-out loss of `slow`, if it does."""
    slow_seconds, fast_seconds = (seconds_to(run, best_loss(slow)) for run in (slow, fast))
    return slow_seconds / fast_seconds if fast_seconds and slow_seconds else None


def best_loss(run: RunData) -> float:
    """Find the lowest held-out loss of a run."""
    return min(number(event, "heldout_loss") or float("inf") for event in run.events)


def seconds_to(run: RunData, loss: float) -> float | None:
    """Return the seconds until a run's held-out loss is `loss` or less, if it ever is."""
    for event in run.events:
        reached = number(event, "heldout_loss")
        if reached is not None and reached <= loss:
            return number(event, "seconds")
    return None
