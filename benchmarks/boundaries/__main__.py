"""Speaks, trains, aligns and measures; writes benchmarks/results/boundaries.json.

python -m benchmarks.boundaries [--folder DIR] [--sentences N] [--results FILE]

A command that was killed goes on when it is given again.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from asr_hf.cli.compose import load_config
from asr_hf.cli.main import main as asr_hf
from asr_hf.cli.typed import settings_of
from asr_hf.runtime.files import write_json
from asr_hf.settings.settings import Settings
from asr_hf.stages.timing.timed_sets import GMM_SCALE, NETWORK_SCALE
from benchmarks.boundaries.corpus import CONDITIONS, make
from benchmarks.boundaries.festival import VOICES, Spoken, sentences, speak
from benchmarks.boundaries.measure import measure, pooled
from benchmarks.machine import describe

RESULTS = Path(__file__).resolve().parents[1] / "results" / "boundaries.json"
_TIED = ("alignment=triphone", "alignment.tree.states=600", "alignment.tree.gaussians=4000")
# Sentences of dev; test has twice as many.
_HELD_OUT = 40
_SCALES = (0.015, 0.022, 0.05, 0.1, 0.2, 0.4)


@dataclass(frozen=True)
class System:
    """What aligns.

    Args:
        name: name in tables.
        overrides: overrides of asr-hf align.
        train: name of the run that is trained on this alignment; "" for none.
    """

    name: str
    overrides: tuple[str, ...]
    train: str = ""


def systems(folder: Path) -> list[System]:
    """Return all systems, in the order in which each needs those before it."""
    first, second = (folder / "exp" / name for name in ("first", "second"))
    again = (*_TIED, f"alignment.from_run={first}", "alignment.tag=first")
    return [
        System("GMM, monophones", ()),
        System("GMM, triphones", _TIED, "first"),
        System("network", again, "second"),
        System(
            "network, second round",
            (*_TIED, f"alignment.from_run={second}", "alignment.tag=second"),
        ),
    ]


def _command(folder: Path, verb: str, *more: str) -> None:
    given = _given(folder)
    if asr_hf([verb, *given, *more]):
        sys.exit(f"asr-hf {verb} {' '.join([*given, *more])}: failed")


def _given(folder: Path) -> list[str]:
    return [
        f"table={folder / 'boundaries.tsv'}",
        *("corpus.languages=[en]", f"corpus.lexicon={folder / 'lexicon.txt'}"),
        *(f"paths.data={folder / 'data'}", f"paths.exp={folder / 'exp'}"),
    ]


def _settings(folder: Path, system: System) -> Settings:
    return settings_of(load_config([*_given(folder), *system.overrides]))


def prepare(folder: Path, count: int) -> dict[str, Spoken]:
    """Make corpus and features; return what was spoken by name."""
    folder.mkdir(parents=True, exist_ok=True)
    spoken = speak(folder, sentences(folder, count))
    make(folder, spoken, _HELD_OUT)
    _command(folder, "prepare")
    _command(folder, "features")
    return {one.name: one for one in spoken}


def align_and_train(folder: Path, system: System) -> None:
    """Align with a system, and train the network of the next one."""
    _command(folder, "align", *system.overrides)
    if system.train and not (folder / "exp" / system.train / "result.json").exists():
        preset = ("+preset=kfac_cg", "trainer.stopping.max_iterations=60")
        _command(folder, "train", *system.overrides, f"name={system.train}", *preset)


def figures(folder: Path, system: System, truth: dict[str, Spoken]) -> dict[str, Any]:
    """Measure a system: dev by every scale, test by the one that asr-hf align has."""
    settings = _settings(folder, system)
    scale = GMM_SCALE if settings.alignment.from_run is None else NETWORK_SCALE
    tuned = {}
    for one in _SCALES:
        of_dev = pooled(measure(settings, truth, "dev", one).values()).figures()
        tuned[str(one)] = {
            key: of_dev[key]
            for key in ("held_by_intervals", "within_ms", "confidence_promised", "confidence_kept")
        }
        print(f"{system.name}: scale {one}: {tuned[str(one)]}", flush=True)
    found = measure(settings, truth, "test", scale)
    return {
        "scale": scale,
        "dev_by_scale": tuned,
        "test": {
            condition: pooled(e for key, e in found.items() if condition in key).figures()
            for condition in (*CONDITIONS, *VOICES)
        },
    }


def table(results: dict[str, Any]) -> str:
    """Return the table of the results in Markdown."""
    lines = [
        "| | | within 10 ms | 20 ms | 50 ms | 20 ms, `phones.ctm` | in 90 % interval | its width |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, system in results["systems"].items():
        for condition, about in system["test"].items():
            shares = about["within_ms"]["median"]
            found = [shares[limit] for limit in ("10", "20", "50")]
            found += [about["within_ms"]["path"]["20"], about["held_by_intervals"]]
            cells = [f"{100 * share:.1f} %" for share in found]
            cells.append(f"{about['width_of_intervals_ms']:.0f} ms")
            lines.append(f"| {name} | {condition} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("exp/boundaries"))
    parser.add_argument("--sentences", type=int, default=600)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    folder = given.folder.resolve()
    truth = prepare(folder, given.sentences)
    results: dict[str, Any] = {
        "machine": describe(torch.device("cpu")),
        "sentences": given.sentences,
        "systems": {},
    }
    for system in systems(folder):
        align_and_train(folder, system)
        results["systems"][system.name] = figures(folder, system, truth)
        write_json(given.results, results)
    print(table(results))


if __name__ == "__main__":
    main()
