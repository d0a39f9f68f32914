"""Holds lattice-free MMI against Kaldi's; writes benchmarks/results/lfmmi-kaldi.json.

python -m benchmarks.lattice_free.kaldi [--graphs FOLDER ...] [--library FILE]

Kaldi is that of the PyPI package kaldi-active-grammar, which has to be installed, or unpacked
where --library says.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr_hf.runtime.ending import with_exit_code
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_json
from asr_hf.runtime.provenance import file_digest
from benchmarks.lattice_free.commands import ROOT
from benchmarks.lattice_free.kaldi.case import Case, Chain, differences
from benchmarks.lattice_free.kaldi.graphs import Graphs, made_up, of_corpus
from benchmarks.lattice_free.kaldi.sides import PACKAGE, by_asr_hf, by_kaldi, installed_library
from benchmarks.machine import describe

RESULTS = ROOT / "benchmarks/results/lfmmi-kaldi.json"
# Sequences and frames of each.
SHAPES = ((1, 150), (2, 100), (8, 50))
SCALES, LEAKS = (1.0, 5.0), (0.1, 1e-5)
# That of Kaldi's recipes.
OUTPUT_DECAY = 5e-5
# Kaldi's denominator takes outputs beyond ±30 for ±30. Normal ones of this scale often are.
LIMIT, FAR = 30.0, 20.0
_DTYPES = {"float32": torch.float32, "float64": torch.float64}


def cases_of(
    graphs: Graphs, scales: Sequence[float], leaks: Sequence[float]
) -> list[tuple[dict[str, Any], Case]]:
    """Make cases with normal outputs of some scales, for all `SHAPES`; describe each."""
    random = np.random.default_rng(0)
    cases = []
    for (sequences, about), scale, leak in product(SHAPES, scales, leaks):
        numerators = graphs.numerators(sequences, about)
        frames = numerators[0].num_frames
        shape = (sequences, frames, graphs.denominator.num_pdfs)
        outputs = (scale * random.standard_normal(shape)).astype(np.float32)
        case = Case(graphs.denominator, numerators, outputs, leak, OUTPUT_DECAY)
        about_it = {"sequences": sequences, "frames": frames, "scale": scale, "leak": leak}
        cases.append((about_it, case))
    return cases


def compared(graphs: Graphs, library: Path) -> dict[str, Any]:
    """Compare both sides on some graphs.

    Args:
        graphs: the graphs.
        library: Kaldi's library.

    Returns:
        The differences of each case, and the largest of all.
    """
    near, far = cases_of(graphs, SCALES, LEAKS), cases_of(graphs, [FAR], LEAKS[:1])
    answers = iter(by_kaldi(library, [case for _, case in (*near, *far)]))
    rows = [about | _differences(case, next(answers)) for about, case in near]
    graph = graphs.denominator
    return {
        "states": graph.num_states,
        "arcs": len(graph.arcs),
        "pdfs": graph.num_pdfs,
        "largest": {
            name: {key: max(row[name][key] for row in rows) for key in rows[0][name]}
            for name in _DTYPES
        },
        "cases": rows,
        "beyond_30": [about | _limited(case, next(answers)) for about, case in far],
    }


def _differences(case: Case, kaldi: Chain) -> dict[str, dict[str, float]]:
    return {
        name: _rounded(differences(by_asr_hf(case, dtype), kaldi))
        for name, dtype in _DTYPES.items()
    }


def _limited(case: Case, kaldi: Chain) -> dict[str, dict[str, float]]:
    """Compare denominators, ours on outputs that are limited and on those that are not."""
    limited = replace(case, outputs=case.outputs.clip(-LIMIT, LIMIT))
    both = {"limited": limited, "as_they_are": case}
    found = {key: differences(by_asr_hf(one, torch.float64), kaldi) for key, one in both.items()}
    return {
        key: _rounded({name: one[name] for name in ("log_z", "occupancies")})
        for key, one in found.items()
    }


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {key: float(f"{value:.1e}") for key, value in values.items()}


@with_exit_code
def main(given: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lattice_free.kaldi", description=__doc__
    )
    parser.add_argument("--graphs", type=Path, nargs="+", default=[], help="graphs-chain3 folders")
    parser.add_argument("--set", default="train", help="set whose numerators are taken")
    parser.add_argument("--library", type=Path, default=installed_library())
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(given)
    if options.library is None:
        raise InputError(
            f"{PACKAGE}: not installed",
            expected="the package kaldi-active-grammar, with Kaldi's libraries for Linux",
            remedy="pip install kaldi-active-grammar, or name the file: --library FILE",
        )
    torch.set_num_threads(1)
    found = {}
    sources = [made_up(0, 3), made_up(1, 40)]
    sources += [of_corpus(folder, options.set) for folder in options.graphs]
    for graphs in sources:
        found[graphs.name] = compared(graphs, options.library)
        print(f"{graphs.name}: {found[graphs.name]['largest']}", flush=True)
    about = {
        "machine": describe(torch.device("cpu")),
        "library": {options.library.name: file_digest(options.library)},
        "output_decay": OUTPUT_DECAY,
    }
    write_json(options.results, {**about, "graphs": found})


if __name__ == "__main__":
    raise SystemExit(main())
