"""Computes cases by Kaldi and by asr-hf."""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from asr_hf.criteria.lattice_batch import LatticeBatch
from asr_hf.criteria.lattice_free import LatticeFreeMMI
from asr_hf.criteria.sequence import SequenceTargets
from asr_hf.data.denominator_graph import DenominatorGraph
from asr_hf.data.lattice import Lattice
from asr_hf.hmm.graph import fst as fsts
from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.files import write_json
from benchmarks.lattice_free.commands import ROOT
from benchmarks.lattice_free.kaldi.case import Case, Chain
from benchmarks.lattice_free.kaldi.library import CASES

PACKAGE = "kaldi_active_grammar"
_LIBRARY = "exec/linux/libkaldi-dragonfly.so"
# Less is rounding of a state's probabilities, and no end of a sentence.
_NO_END = 1e-9


def installed_library() -> Path | None:
    """Return the library of the installed package; None where there is none."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / _LIBRARY
    return path if path.is_file() else None


def by_kaldi(library: Path, cases: Sequence[Case]) -> list[Chain]:
    """Compute cases by Kaldi.

    Args:
        library: libkaldi-dragonfly.so of the package, beside its other files.
        cases: the cases.

    Returns:
        What Kaldi makes of each.

    Raises:
        InputError: the library is missing.
        RunError: Kaldi failed.
    """
    if not library.is_file():
        raise InputError(
            f"{library}: no such file",
            expected=f"{_LIBRARY} of the package kaldi-active-grammar",
            remedy="pip install kaldi-active-grammar, or name the file: --library FILE",
        )
    with tempfile.TemporaryDirectory(prefix="asr-hf-") as name:
        folder, graphs = Path(name), dict[int, str]()
        about = []
        for number, case in enumerate(cases):
            if id(case.graph) not in graphs:
                graphs[id(case.graph)] = f"denominator-{len(graphs)}.fst"
                fsts.write(denominator_fst(case.graph), folder / graphs[id(case.graph)])
            fsts.write(numerator_fst(case.numerators), folder / f"{number}.fst")
            np.save(folder / f"{number}.npy", _side_by_side(case.outputs))
            about.append(
                {
                    "name": str(number),
                    "denominator": graphs[id(case.graph)],
                    "sequences": case.sequences,
                    "leak": case.leak,
                    "output_decay": case.output_decay,
                }
            )
        write_json(folder / CASES, about)
        words = [sys.executable, "-m", "benchmarks.lattice_free.kaldi.library"]
        done = subprocess.run(
            [*words, str(library.resolve()), name],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RunError(f"{library}: Kaldi failed ({done.returncode}):\n{done.stderr}")
        return [_answer(folder / f"{number}.npz", case) for number, case in enumerate(cases)]


def _answer(path: Path, case: Case) -> Chain:
    with np.load(path, allow_pickle=False) as found:
        occupancies, derivative = (
            found[key].reshape(case.frames, case.sequences, -1).swapaxes(0, 1)
            for key in ("occupancies", "derivative")
        )
        log_z, objective = float(found["log_z"]), float(found["objective"])
        return Chain(found["initial"], log_z, occupancies, objective, derivative)


def _side_by_side(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Order outputs [N, T, C] as Kaldi does [T N, C]: frame by frame, all sequences of each."""
    return np.ascontiguousarray(outputs.swapaxes(0, 1)).reshape(-1, outputs.shape[2])


def denominator_fst(graph: DenominatorGraph) -> fsts.Fst:
    """Write a denominator as Kaldi does: labels are pdfs, from 1.

    What the arcs of a state lack of 1 is the probability that a sentence ends there. Kaldi uses it
    for the probabilities before the first frame alone: every state may be the last.

    Returns:
        The transducer.
    """
    arcs, states = graph.arcs, graph.num_states
    labels = (arcs["pdf"] + 1).tolist()
    rows = zip(
        *(arcs["source"].tolist(), arcs["target"].tolist(), labels, labels),
        arcs["weight"].tolist(),
        strict=True,
    )
    fst = fsts.build(rows, [], states)
    ends = 1.0 - np.bincount(arcs["source"], arcs["weight"], states)
    for state in np.flatnonzero(ends > _NO_END).tolist():
        fst.set_final(state, -math.log(ends[state]))
    return fst


def numerator_fst(numerators: Sequence[Lattice]) -> fsts.Fst:
    """Write numerators one behind the other, as Kaldi's supervisions are.

    Ends are merged into one, and their weights go to the arcs that lead to them.

    Returns:
        The transducer.

    Raises:
        ValueError: a numerator has other states behind an end.
    """
    rows, first = [], 0
    for lattice in numerators:
        ends = dict(lattice.finals.tolist())
        last = lattice.num_states - len(ends)
        if min(ends) < last:
            raise ValueError(f"{lattice.utterance}: its ends are not its last states")
        for source, target, label, _, score, _ in lattice.arcs.tolist():
            weight = math.exp(score + ends.get(target, 0.0))
            rows.append((first + source, first + min(target, last), label, label, weight))
        first += last
    return fsts.build(rows, [first], first + 1)


def by_asr_hf(case: Case, dtype: torch.dtype) -> Chain:
    """Compute a case by asr-hf, in float32 or float64.

    Kaldi lets a path leap behind the last frame too, where it changes nothing but the weight of
    all paths, by 1 + η. This is added here.

    Returns:
        What asr-hf makes of it, as Kaldi defines it.
    """
    pdfs, lengths = case.outputs.shape[2], case.sequences * [case.frames]
    outputs = torch.from_numpy(case.outputs).reshape(-1, pdfs).to(dtype)
    pdf_of = np.arange(-1, pdfs, dtype=np.int32)
    batch = LatticeBatch.pack(case.numerators, pdf_of, pdf_of, torch.device("cpu"))
    labels = torch.zeros(len(outputs), dtype=torch.int64)
    targets = SequenceTargets(labels, batch, torch.zeros(pdfs), labels, [])
    with tempfile.TemporaryDirectory(prefix="asr-hf-") as folder:
        case.graph.save(Path(folder))
        criterion = LatticeFreeMMI(folder, case.leak, case.output_decay)
        ((_, everything),) = criterion.denominator(outputs, targets)
        loss, gradient = criterion.loss_and_gradient(outputs, targets)
    assert batch.lengths.tolist() == lengths
    behind = case.sequences * math.log1p(case.leak)
    return Chain(
        case.graph.initial,
        float(everything.totals.sum()) + behind,
        everything.occupancies.numpy().reshape(case.outputs.shape),
        -float(loss.total) - behind,
        -gradient.numpy().reshape(case.outputs.shape),
    )
