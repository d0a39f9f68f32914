"""SplitMix64's finaliser on tensors (Steele, Lea & Flood 2014), on any device."""

from __future__ import annotations

import torch
from torch import Tensor


def signed(number: int) -> int:
    """Return a number modulo 2^64 as int64 has it."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


# The step of SplitMix64's counter.
GOLDEN = signed(0x9E3779B97F4A7C15)
_FIRST, _SECOND = signed(0xBF58476D1CE4E5B9), signed(0x94D049BB133111EB)


def mixed(bits: Tensor) -> Tensor:
    """Apply the finaliser to words, int64 [...]; products wrap around."""
    bits = (bits ^ shifted(bits, 30)) * _FIRST
    bits = (bits ^ shifted(bits, 27)) * _SECOND
    return bits ^ shifted(bits, 31)


def shifted(bits: Tensor, by: int) -> Tensor:
    """Shift words to the right, zeros coming in from the left."""
    return torch.bitwise_and(bits >> by, (1 << (64 - by)) - 1)
