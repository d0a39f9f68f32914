"""Compiled loops take the same sums as torch does, in float64 and from any graph."""

from __future__ import annotations

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.criteria import compiled
from asr_hf.criteria.denominator_paths import DenominatorPaths
from asr_hf.criteria.denominator_recursion import DenominatorRecursion
from asr_hf.criteria.denominator_tiles import DenominatorTiles
from asr_hf.criteria.kernels.arc_rows import arc_rows
from asr_hf.criteria.lattice_free import LatticeFreeMMI
from asr_hf.data.denominator_graph import DenominatorGraph

from .test_denominator_groups import results_of
from .test_lattice_free import (
    CPU,
    EXACT,
    LEAK,
    PDFS,
    assert_autograd,
    random_logits,
    some_graph,
)

# As many states as compiled loops begin to pay at.
MANY = 500


def tiles_of(graph: DenominatorGraph, logits: torch.Tensor, lengths: list[int]) -> DenominatorTiles:
    rows = arc_rows(graph, LEAK, str(logits.dtype).removeprefix("torch."))
    return DenominatorTiles(rows, logits, torch.tensor(lengths))


def everything_of(paths: DenominatorPaths | DenominatorTiles, seed: int) -> list[torch.Tensor]:
    """Totals, alone and with occupancies, and two tangents."""
    alone = paths.totals.clone()
    frames = len(paths.occupancies)
    tangents = [paths.tangent(random_logits(frames, seed + n)) for n in range(2)]
    return [alone, paths.totals, paths.occupancies, *tangents]


@given(seed=st.integers(0, 1000), lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_all_sums_are_those_of_autograd(seed, lengths):
    assert_autograd(tiles_of, seed, lengths)


@given(
    states=st.integers(2, 40),
    arcs=st.integers(1, 6),
    lengths=st.lists(st.integers(1, 150), min_size=1, max_size=40),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25, deadline=None)
def test_all_sums_are_those_of_torch(states, arcs, lengths, seed):
    """Of several tiles, with lanes that end early or have no utterance, in several blocks."""
    graph = some_graph(seed, states, arcs * states)
    logits = random_logits(sum(lengths), seed)
    recursion = DenominatorRecursion.of(graph, torch.float64, CPU)
    expected = DenominatorPaths(recursion, logits, torch.tensor(lengths), LEAK, keep=True)
    found = tiles_of(graph, logits, lengths)
    for one, other in zip(everything_of(found, seed), everything_of(expected, seed), strict=True):
        torch.testing.assert_close(one, other, **EXACT)


@pytest.mark.parametrize("block", [1, 7, 64, 65, 1000])
def test_blocks_change_no_bit(block, monkeypatch):
    graph, lengths = some_graph(1, 30, 120), [130, 64, 65, 1, 128, 129]
    logits = random_logits(sum(lengths), 2)
    whole = everything_of(tiles_of(graph, logits, lengths), 3)
    monkeypatch.setattr("asr_hf.criteria.denominator_tiles._BLOCK", block)
    for found, expected in zip(
        everything_of(tiles_of(graph, logits, lengths), 3), whole, strict=True
    ):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_bit(threads):
    graph, lengths = some_graph(1, 30, 120), [3 + n % 20 for n in range(70)]
    logits = random_logits(sum(lengths), 2)
    before = torch.get_num_threads()
    results = []
    try:
        for number in (1, threads):
            torch.set_num_threads(number)
            results.append(everything_of(tiles_of(graph, logits, lengths), 3))
    finally:
        torch.set_num_threads(before)
    for found, expected in zip(*results, strict=True):
        assert torch.equal(found, expected)


def test_an_utterance_has_the_same_bits_beside_others_as_alone():
    graph, lengths = some_graph(1, 30, 120), [5 + n % 20 for n in range(40)]
    logits = random_logits(sum(lengths), 2)
    together = tiles_of(graph, logits, lengths)
    for number, piece in enumerate(logits.split(lengths)):
        alone = tiles_of(graph, piece, [len(piece)])
        start = sum(lengths[:number])
        assert torch.equal(together.occupancies[start : start + len(piece)], alone.occupancies)
        assert together.totals[number] == alone.totals[0]


@pytest.mark.parametrize("size", [1e3, 1e30])
def test_no_output_makes_a_sum_nan(size):
    graph, lengths = some_graph(1, states=6, arcs=20), [30, 10, 90]
    logits = random_logits(130, 2, size).float()
    found = tiles_of(graph, logits, lengths)
    for one in everything_of(found, 4):
        assert one.isfinite().all()
    torch.testing.assert_close(found.occupancies.sum(1), torch.ones(130), rtol=1e-4, atol=1e-4)


def test_rounding_does_not_add_up_where_few_of_many_states_matter():
    graph, frames = some_graph(2, states=4000, arcs=16000), 400
    logits, direction = random_logits(frames, 4, 10.0).float(), random_logits(frames, 5)
    exact, rounded = (tiles_of(graph, z, [frames]) for z in (logits.double(), logits))
    torch.testing.assert_close(rounded.occupancies.double(), exact.occupancies, rtol=0, atol=5e-6)
    along, expected = rounded.tangent(direction.float()).double(), exact.tangent(direction)
    assert (along - expected).norm() < 1e-4 * expected.norm()


@pytest.mark.parametrize(("frames", "pdfs"), [(9, PDFS), (11, PDFS), (10, PDFS - 1)])
def test_outputs_of_another_shape_are_refused_before_the_loops(frames, pdfs):
    graph = some_graph(2, states=20, arcs=100)
    with pytest.raises(ValueError, match=rf"needs outputs \[10, {PDFS} or more\]"):
        tiles_of(graph, torch.zeros(frames, pdfs), [4, 6])
    with pytest.raises(ValueError, match=r"needs a direction \[10, 4\], found \[10, 1\]"):
        tiles_of(graph, torch.zeros(10, PDFS).double(), [4, 6]).tangent(torch.zeros(10, 1))


@pytest.mark.parametrize("curvature", ["frame", "paths"])
def test_a_criterion_with_many_states_has_torchs_results(tmp_path, curvature, monkeypatch):
    some_graph(5, MANY, 4 * MANY).save(tmp_path)
    criterion = LatticeFreeMMI(tmp_path, LEAK, 0.1, 0.0, curvature)
    # None of the sums of all frames is held.
    assert criterion.frames_held(torch.float64, CPU) is None
    found = results_of(criterion)
    monkeypatch.setattr(compiled, "_missing", lambda: "there is no numba")
    assert criterion.frames_held(torch.float64, CPU) is not None
    for one, other in zip(found, results_of(criterion), strict=True):
        torch.testing.assert_close(one, other, **EXACT)


def test_paths_are_drawn_where_loops_would_be_compiled(tmp_path):
    some_graph(5, MANY, 4 * MANY).save(tmp_path)
    drawn = results_of(LatticeFreeMMI(tmp_path, LEAK, draws="paths"))[-1]
    # Less an occupancy of 1 at the pdf that was drawn.
    torch.testing.assert_close(drawn.sum(1), torch.zeros(len(drawn)).double(), **EXACT)


@pytest.mark.parametrize(
    ("states", "device", "expected"),
    [(MANY, "cpu", True), (MANY - 1, "cpu", False), (MANY, "cuda", False)],
)
def test_only_large_graphs_on_a_cpu_are_worth_compiling_for(states, device, expected):
    assert compiled.pays(states, torch.device(device)) == expected


def test_without_numba_the_log_says_what_is_slower_and_what_mends_it(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "numba", None)
    compiled._missing.cache_clear()
    try:
        with caplog.at_level("INFO"):
            assert not compiled.pays(MANY, CPU)
            assert not compiled.pays(MANY, CPU)
    finally:
        compiled._missing.cache_clear()
    (record,) = caplog.records
    assert "pip install 'asr-hf[numba]'" in record.getMessage()
