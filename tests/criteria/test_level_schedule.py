"""The order of passes, and lattices that only some orders get through."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_hf.criteria.forward_backward import ForwardBackward
from asr_hf.criteria.level_schedule import WINDOW
from asr_hf.data.lattice import ARC, FINAL, Lattice

FEW = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def lattice_of(arcs: Sequence[tuple[int, int, float]], frame_of: Sequence[int]) -> Lattice:
    """Arcs (source, target, score); they take a frame where their states' frames say so."""
    rows = [(i, j, int(frame_of[j] > frame_of[i]), 0, s, 0.0) for i, j, s in sorted(arcs)]
    finals = np.array([(len(frame_of) - 1, 0.0)], FINAL)
    lattice = Lattice("utt", np.array(rows, ARC), np.array(frame_of, np.int32), finals)
    lattice.check(1)
    return lattice


def full_lattice(frames: int, width: int) -> Lattice:
    """All of `width` states of each frame joined to all of the next; every score is 0."""
    frame_of = [0, *np.repeat(np.arange(1, frames), width).tolist(), frames]
    blocks = [[0]]
    for frame in range(1, frames):
        first = 1 + (frame - 1) * width
        blocks.append(list(range(first, first + width)))
    blocks.append([len(frame_of) - 1])
    arcs = [(i, j, 0.0) for k in range(frames) for i in blocks[k] for j in blocks[k + 1]]
    return lattice_of(arcs, frame_of)


@FEW
@given(seed=st.integers(0, 10**6))
def test_all_that_an_edge_needs_is_there_before_it(draw_case, pack, seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 4 * WINDOW, size=3)
    batch = pack([draw_case(rng, int(frames)) for frames in lengths])
    schedule = batch.schedule
    done = torch.zeros(schedule.num_nodes, dtype=torch.bool)
    done[schedule.starts] = True
    for source, target in zip(schedule.sources, schedule.targets, strict=True):
        assert done[source].all()
        assert not done[target].any()
        done[target] = True
    assert done.all()
    # Each arc has an edge in each direction.
    counts = torch.bincount(schedule.arc, minlength=len(batch.graph))
    assert (counts == 2).all()
    covered = [range(s.levels.start, s.levels.stop) for s in schedule.blocks]
    assert [level for levels in covered for level in levels] == list(range(len(schedule.sources)))


def test_words_lengthen_the_order_by_few_levels(pack):
    # A word of 20 frames ends at another frame in each utterance: levels that are numbered over
    # the batch would be twice as many.
    utterances = []
    for shift in range(20):
        frame_of, arcs = [0], []
        for frame in range(1, 401):
            frame_of.append(frame)
            arcs.append((len(frame_of) - 2, len(frame_of) - 1, 0.0))
            if frame % 20 == shift:
                frame_of.append(frame)
                arcs.append((len(frame_of) - 2, len(frame_of) - 1, 0.0))
        utterances.append(lattice_of(arcs, frame_of))
    longest = 400 + 20
    # The last arc, to the one last state, is a level too.
    assert len(pack(utterances).schedule.edge_sizes) <= 1.1 * longest + 1


@pytest.mark.parametrize(("frames", "width"), [(3000, 2), (120, 60)])
def test_more_paths_than_float64_can_count(pack, frames, width):
    batch = pack([full_lattice(frames, width)])
    paths = ForwardBackward(batch, batch.graph)
    expected = (frames - 1) * math.log(width)
    assert (len(batch.schedule.blocks) > 1) == (expected > 700)
    assert float(paths.totals) == pytest.approx(expected, rel=1e-12)
    assert float(paths.backward_totals) == pytest.approx(expected, rel=1e-12)
    inner = (batch.source > 0) & (batch.target < batch.last - 1)
    torch.testing.assert_close(
        paths.posteriors[inner],
        torch.full((int(inner.sum()),), 1 / width**2, dtype=torch.float64),
        rtol=1e-9,
        atol=0.0,
    )


def test_one_path_may_lie_far_behind_many_and_win_late(pack):
    # A chain starts 3000 below a branch of e^1386 paths, and gains 9000 with its last arc.
    frames = 2001
    branch = full_lattice(frames, 2)
    arcs = [(int(a["source"]), int(a["target"]), 0.0) for a in branch.arcs]
    frame_of, last = branch.frame_of.tolist(), branch.num_states - 1
    # Renumbered by frame: the chain's state of a frame follows the branch's two.
    inner = [1 + 3 * (f - 1) + (i - 1) % 2 for i, f in enumerate(frame_of)][1:-1]
    number = [0, *inner, 1 + 3 * (frames - 1)]
    joined = [(number[i], number[j], s) for i, j, s in arcs]
    chain = [0, *(3 * f for f in range(1, frames)), number[last]]
    scores = [-3000.0, *([0.0] * (frames - 2)), 9000.0]
    joined += [(i, j, s) for i, j, s in zip(chain[:-1], chain[1:], scores, strict=True)]
    levels = [0, *np.repeat(np.arange(1, frames), 3).tolist(), frames]
    batch = pack([lattice_of(joined, levels)])
    paths = ForwardBackward(batch, batch.graph)
    assert float(paths.totals) == pytest.approx(6000.0, rel=1e-12)
    assert float(paths.backward_totals) == pytest.approx(6000.0, rel=1e-12)
    assert float(paths.posteriors.sum()) == pytest.approx(frames + 1)
