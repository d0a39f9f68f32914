"""Products that are recorded once and replayed, with a recorder that runs the work again."""

from __future__ import annotations

import pytest
import torch

from asr_hf.curvature.gauss_newton import SampleCurvature
from asr_hf.curvature.precision import Precision

N = 6


class Matrix:
    """A dense chunk."""

    def __init__(self, matrix, replays):
        self.matrix, self.replays = matrix, replays

    def add_product(self, vector, out):
        out.add_(self.matrix @ vector)


@pytest.fixture
def recorded():
    """A recorder that keeps to a graph's rules, and what it recorded."""
    works = []

    def record(work):
        # As on a GPU: run once before, once in the recording.
        work()
        work()
        works.append(work)
        return work

    return record, works


def curvature(record, kept=None, replays=(True, True), precision=Precision.FP32):
    torch.manual_seed(0)
    matrices = [torch.randn(N, N, dtype=torch.float64) for _ in replays]
    made = SampleCurvature(
        lambda place, precision: Matrix(matrices[place], replays[place]),
        len(replays),
        10,
        lambda frames: None,
        precision,
        kept,
        record,
    )
    return made, sum(matrices)


def test_a_replay_gives_each_vector_its_product(recorded):
    record, works = recorded
    sample, dense = curvature(record)
    for seed in range(4):
        v = torch.randn(N, dtype=torch.float64, generator=torch.manual_seed(seed))
        out = torch.full_like(v, 7.0)
        assert sample.product(v, out) is out
        torch.testing.assert_close(out, dense @ v)
        torch.testing.assert_close(sample.product(v), dense @ v)
        torch.testing.assert_close(sample.exact_product(v), dense @ v)
    assert len(works) == 1


def test_results_of_earlier_products_stay(recorded):
    sample, dense = curvature(recorded[0])
    v = torch.randn(2, N, dtype=torch.float64)
    first = sample.product(v[0])
    sample.product(v[1])
    torch.testing.assert_close(first, dense @ v[0])


@pytest.mark.parametrize(("kept", "replays"), [(1, (True, True)), (None, (True, False))])
def test_what_is_made_anew_or_may_not_be_recorded_is_not(recorded, kept, replays):
    record, works = recorded
    sample, dense = curvature(record, kept, replays)
    v = torch.randn(N, dtype=torch.float64)
    torch.testing.assert_close(sample.product(v), dense @ v)
    assert not works


def test_another_precision_is_another_recording(recorded):
    record, works = recorded
    sample, dense = curvature(record, precision=Precision.BF16)
    v = torch.randn(N, dtype=torch.float64)
    sample.product(v)
    # In full precision while products are coarse: nothing of that is kept.
    sample.exact_product(v)
    assert len(works) == 1
    sample.raise_precision()
    torch.testing.assert_close(sample.product(v), dense @ v)
    assert len(works) == 2
