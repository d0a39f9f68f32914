"""Lattice-free MMI against Kaldi's own chain objective, of the package kaldi-active-grammar."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from asr_hf.criteria import compiled
from asr_hf.data.lattice import FINAL, Lattice
from asr_hf.runtime.errors import InputError, RunError
from benchmarks.lattice_free.kaldi.case import Case, differences
from benchmarks.lattice_free.kaldi.graphs import made_up
from benchmarks.lattice_free.kaldi.library import KaldiLibrary
from benchmarks.lattice_free.kaldi.sides import by_asr_hf, by_kaldi, installed_library

LIBRARY = installed_library()
needs_kaldi = pytest.mark.skipif(LIBRARY is None, reason="no kaldi-active-grammar for this system")
TOLERANCE = 1e-4


def some_case(sequences: int, frames: int, scale: float, leak: float) -> Case:
    graphs = made_up(seed=3, phones=6)
    shape = (sequences, frames, graphs.denominator.num_pdfs)
    outputs = scale * np.random.default_rng(0).standard_normal(shape)
    numerators = graphs.numerators(sequences, frames)
    return Case(graphs.denominator, numerators, outputs.astype(np.float32), leak, 1e-3)


@pytest.fixture(scope="module")
def cases():
    """Each case, and what Kaldi makes of it."""
    assert LIBRARY is not None
    shapes = ((1, 90), (3, 40))
    made = [some_case(*one, *two) for one, *two in product(shapes, (1.0, 5.0), (0.1, 1e-5))]
    return list(zip(made, by_kaldi(LIBRARY, made), strict=True))


@needs_kaldi
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("by", ["torch", "compiled loops"])
def test_objective_and_derivatives_are_kaldis(cases, dtype, by, monkeypatch):
    monkeypatch.setattr(compiled, "_WORTH_STATES", 0 if by == "compiled loops" else 10**9)
    for case, kaldi in cases:
        found = differences(by_asr_hf(case, dtype), kaldi)
        assert max(found.values()) < TOLERANCE, found


@needs_kaldi
@pytest.mark.parametrize("change", [{"leak": 0.12}, {"output_decay": 2e-3}])
def test_other_settings_are_told_apart(cases, change):
    case, kaldi = cases[0]
    found = differences(by_asr_hf(replace(case, **change), torch.float64), kaldi)
    assert found["objective"] > TOLERANCE


def with_two_ends(lattice: Lattice) -> Lattice:
    """The same paths, each of which ends in two ways, as pieces of utterances do."""
    last = lattice.num_states - 1
    again = lattice.arcs[lattice.arcs["target"] == last]
    again["target"] = last + 1
    arcs = np.concatenate([lattice.arcs, again])
    arcs = arcs[np.argsort(arcs["source"], kind="stable")]
    finals = np.array([(last, -0.3), (last + 1, -1.5)], FINAL)
    times = np.append(lattice.frame_of, lattice.frame_of[-1])
    return replace(lattice, arcs=arcs, frame_of=times, finals=finals)


@needs_kaldi
def test_numerators_with_several_weighted_ends_are_kaldis_too():
    case = some_case(2, 30, 1.0, 0.1)
    case = replace(case, numerators=[with_two_ends(one) for one in case.numerators])
    (kaldi,) = by_kaldi(LIBRARY, [case])
    found = differences(by_asr_hf(case, torch.float64), kaldi)
    assert max(found.values()) < TOLERANCE, found


@needs_kaldi
def test_what_kaldi_says_when_it_fails_is_told():
    case = some_case(1, 30, 1.0, 0.1)
    with pytest.raises(RunError, match="leaky_hmm_coefficient"):
        by_kaldi(LIBRARY, [replace(case, leak=1.5)])


@needs_kaldi
def test_outputs_beyond_30_are_limited_by_kaldis_denominator():
    case = some_case(1, 40, 20.0, 0.1)
    (kaldi,) = by_kaldi(LIBRARY, [case])
    limited = replace(case, outputs=case.outputs.clip(-30, 30))
    for one, same in ((limited, True), (case, False)):
        found = differences(by_asr_hf(one, torch.float64), kaldi)
        assert (max(found["log_z"], found["occupancies"]) < TOLERANCE) == same, found


def test_a_library_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.so: no such file"):
        by_kaldi(tmp_path / "none.so", [])


def test_a_library_without_the_functions_is_refused():
    with pytest.raises(AttributeError, match="_ZNSsC1EPKcRKSaIcE"):
        KaldiLibrary("libm.so.6")
