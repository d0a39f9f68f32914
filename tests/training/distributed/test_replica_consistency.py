"""Ranks that hold other parameters or states are named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asr_hf.runtime.errors import RunError
from asr_hf.runtime.process_group import ProcessGroup
from asr_hf.training.distributed.replica_consistency import check_in_step, checksums


class Told(ProcessGroup):
    """Ranks of which the others' checksums are made up."""

    others: list[list[int]]

    def gather(self, values):
        return torch.tensor([values.tolist(), *self.others])


def state(theta, **values):
    return {"tensors": {"theta": theta, "pairs": torch.ones(2, 3)}, "values": values}


def test_ranks_out_of_step_are_named():
    here = state(torch.arange(5.0), losses=[1.5, float("nan")])
    same, ranks = checksums(here), Told(0, 3)
    ranks.others = [same, same]
    check_in_step(ranks, 7, here)
    ranks.others = [same, [same[0], same[1] + 1]]
    with pytest.raises(RunError, match=r"iteration 7: rank 2 and rank 0 .* optimiser's state"):
        check_in_step(ranks, 7, here)
    ranks.others = [[same[0] + 1, 0], same]
    with pytest.raises(RunError, match=r"rank 1 and rank 0 .* parameters"):
        check_in_step(ranks, 7, here)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_one_bit_changes_the_checksums(dtype):
    theta = torch.randn(1000, generator=torch.Generator().manual_seed(0)).to(dtype)
    before = checksums(state(theta, value=1.0))
    words = theta.view({8: torch.int64, 4: torch.int32, 2: torch.int16}[theta.element_size()])
    words[123] ^= 1
    after = checksums(state(theta, value=1.0))
    assert before[0] != after[0] and before[1] != after[1]
    assert checksums(state(theta, value=np.nextafter(1.0, 2.0)))[1] != after[1]
