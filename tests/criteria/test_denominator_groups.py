"""Sums in blocks and in groups are those of all frames and utterances at once, in less memory."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.criteria.denominator_groups import groups_of
from asr_hf.criteria.denominator_paths import DenominatorPaths
from asr_hf.criteria.denominator_recursion import DenominatorRecursion
from asr_hf.criteria.lattice_free import LatticeFreeMMI
from asr_hf.criteria.path_draws import draw_paths
from asr_hf.training.planning.allocation_probe import measured

from .test_lattice_free import CPU, LEAK, PDFS, random_logits, some_graph, targets_of

ABREAST = 16


def recursion(states: int = 4, dtype: torch.dtype = torch.float64) -> DenominatorRecursion:
    return DenominatorRecursion.of(some_graph(3, states, 4 * states), dtype, CPU)


def everything_of(paths: DenominatorPaths, seed: int) -> list[torch.Tensor]:
    """Totals, occupancies, two tangents and drawn paths."""
    frames = len(paths.occupancies)
    uniforms = torch.rand(frames, generator=torch.Generator().manual_seed(seed))
    tangents = [paths.tangent(random_logits(frames, seed + n)) for n in range(2)]
    return [paths.totals, paths.occupancies, *tangents, draw_paths(paths, uniforms.double())]


@given(
    lengths=st.lists(st.integers(1, 23), min_size=1, max_size=5),
    block=st.integers(1, 25),
    seed=st.integers(0, 100),
)
@settings(max_examples=30, deadline=None)
def test_blocks_change_no_bit(lengths, block, seed):
    graph, logits = recursion(), random_logits(sum(lengths), seed)
    whole, blocks = (
        DenominatorPaths(graph, logits, torch.tensor(lengths), LEAK, True, size)
        for size in (None, block)
    )
    for found, expected in zip(
        everything_of(blocks, seed), everything_of(whole, seed), strict=True
    ):
        assert torch.equal(found, expected)


def test_what_was_not_kept_is_computed_again():
    graph, logits = recursion(), random_logits(30)
    kept, dropped = (
        DenominatorPaths(graph, logits, torch.tensor([30]), LEAK, keep) for keep in (True, False)
    )
    for found, expected in zip(everything_of(dropped, 1), everything_of(kept, 1), strict=True):
        assert torch.equal(found, expected)


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=60), most=st.integers(0, 400))
def test_groups_are_as_wide_as_their_bound_allows(lengths, most):
    graph = recursion()
    groups = list(groups_of(lengths, graph, most))
    count, frames = 0, 0
    for group in groups:
        own = lengths[group.utterances]
        assert (group.utterances.start, group.frames.start) == (count, frames)
        count, frames = group.utterances.stop, group.frames.stop
        assert frames - group.frames.start == sum(own)
        assert (group.block is not None) == (sum(own) > most)
        if sum(own) > most:
            assert len(own) <= ABREAST and group.block * len(own) > most - len(own)
        if count < len(lengths):
            assert len(own) >= ABREAST and sum(own) + lengths[count] > most
    assert (count, frames) == (len(lengths), sum(lengths))


SAID = [(n, [n % PDFS, (n + 2) % PDFS]) for n in (7, 3, 12, 5, 2, 9)] * 4


def results_of(criterion: LatticeFreeMMI) -> list[torch.Tensor]:
    """Loss, gradient, product and sampled gradient of a criterion for `SAID`."""
    targets = targets_of(SAID)
    logits, direction = (random_logits(len(targets.labels), seed) for seed in (1, 2))
    uniforms = torch.rand(len(logits), 2, generator=torch.Generator().manual_seed(3)).double()
    loss, gradient = criterion.loss_and_gradient(logits, targets)
    return [
        loss.total,
        loss.per_frame,
        criterion.loss(logits, targets).total,
        gradient,
        criterion.curvature(logits, targets)(direction),
        criterion.sampled_gradient(logits, targets, uniforms),
    ]


@pytest.mark.parametrize("draws", ["frames", "paths"])
@pytest.mark.parametrize("curvature", ["frame", "paths"])
def test_a_bound_changes_no_result(tmp_path, draws, curvature):
    some_graph(5, 6, 30).save(tmp_path)
    results = []
    # In one group; in two of one block each; in two of several blocks.
    for sums_bytes in (1 << 30, 12 * 8 * 130, 0):
        criterion = LatticeFreeMMI(tmp_path, LEAK, 0.1, 0.0, curvature, draws)
        criterion.sums_bytes = sums_bytes
        results.append(results_of(criterion))
    for bounded in results[1:]:
        for found, expected in zip(bounded, results[0], strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def peaks(frames: int, block: int | None) -> tuple[int, int, int]:
    """Bytes of one utterance's occupancies, of what a curvature keeps, and of its product."""
    graph, logits = recursion(100, torch.float32), random_logits(frames).float()
    lengths = torch.tensor([frames])
    with measured(CPU) as gradient:
        occupancies = DenominatorPaths(graph, logits, lengths, LEAK, False, block).occupancies
    assert occupancies.isfinite().all()
    with measured(CPU) as kept:
        paths = DenominatorPaths(graph, logits, lengths, LEAK, True, block)
        occupancies = paths.occupancies
    with measured(CPU) as product:
        assert paths.tangent(logits).isfinite().all()
    return gradient.peak, kept.held, product.peak


def test_memory_hardly_grows_with_the_length():
    frames = 200
    whole, blocks = peaks(frames, None), peaks(frames, 10)
    graph = recursion(100, torch.float32)
    entries, states = 4 * len(graph.pdf), 4 * len(graph.stay)
    # Sums of all frames or those of a block and of borders, and some of single frames.
    outputs, few = 10 * 4 * PDFS * frames, 20 * entries
    assert whole[0] > frames * entries
    assert blocks[0] < 10 * entries + frames // 10 * states + outputs + few
    assert whole[1] > frames * (entries + states)
    assert blocks[1] < frames // 10 * states + outputs + few
    assert whole[2] > frames * entries
    assert blocks[2] < 20 * entries + frames // 10 * states + outputs + few


EXTREMES = {
    "one frame": (torch.randn(1, PDFS), [(1, [2])]),
    "huge": (1e4 * torch.randn(12, PDFS).sign(), [(12, [0, 2, 1])]),
    "huge, all the same": (torch.full((12, PDFS), -1e4), [(12, [0, 2, 1])]),
    "all the same": (torch.zeros(12, PDFS), [(12, [0, 2, 1])]),
    "each far above the rest": (1e4 * torch.eye(PDFS).repeat(3, 1), [(12, [3, 1])]),
    "one frame beside many": (torch.randn(9, PDFS), [(1, [3]), (8, [0, 1])]),
}


@pytest.mark.parametrize("case", EXTREMES)
@pytest.mark.parametrize("sums_bytes", [1 << 30, 0])
def test_no_outputs_make_a_result_infinite(tmp_path, case, sums_bytes):
    some_graph(5, 6, 30).save(tmp_path)
    criterion = LatticeFreeMMI(tmp_path, LEAK, draws="paths")
    criterion.sums_bytes = sums_bytes
    logits, said = EXTREMES[case]
    assert_finite(criterion, logits, targets_of(said))


def test_long_utterances_with_peaked_outputs_stay_finite(tmp_path):
    some_graph(5, 20, 100).save(tmp_path)
    criterion, frames = LatticeFreeMMI(tmp_path, LEAK, draws="paths"), 3000
    criterion.sums_bytes = 1 << 16
    logits = random_logits(frames, 3, 60.0).float()
    targets = targets_of([(frames, [0, 2, 1])])
    assert criterion.frames_held(logits.dtype, CPU) < frames
    assert_finite(criterion, logits, targets)


def assert_finite(criterion: LatticeFreeMMI, logits: torch.Tensor, targets) -> None:
    """Loss, gradients and products are numbers, and a frame's occupancies cancel."""
    loss, gradient = criterion.loss_and_gradient(logits, targets)
    uniforms = torch.rand(len(logits), 2)
    drawn = criterion.sampled_gradient(logits, targets, uniforms)
    product = criterion.curvature(logits, targets)(torch.randn_like(logits))
    for found in (loss.total, loss.per_frame, gradient, drawn, product):
        assert found.isfinite().all()
    for change in (gradient, drawn, product):
        torch.testing.assert_close(
            change.sum(1), torch.zeros(len(logits)), rtol=0, atol=1e-4 * max(1, change.abs().max())
        )
