"""Random numbers inside a block that leave the caller's as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def random_state(device: torch.device) -> tuple[Tensor, ...]:
    """Return the state of torch's random numbers on the CPU and on a device."""
    states = (torch.get_rng_state(),)
    return (*states, torch.cuda.get_rng_state(device)) if device.type == "cuda" else states


@contextmanager
def seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Let torch draw by a seed inside the block, on the CPU and on a device."""
    before = random_state(device)
    # torch.manual_seed would remember every call for GPUs that are never used.
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        if device.type == "cuda":
            torch.cuda.set_rng_state(before[1], device)
