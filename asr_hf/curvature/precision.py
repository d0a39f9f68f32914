"""The arithmetic of curvature products and gradients.

Products may be less precise than gradients and losses: CG only needs a descent direction, and its
scalars stay in float64. What is lost shows in the true residual, which solvers check. Gradients of
minibatches may be too: what rounding does to them is small beside what the choice of frames does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import torch


class Precision(StrEnum):
    """Precisions from the highest down; TF32 differs from FP32 only on NVIDIA GPUs since Ampere."""

    FP32 = "fp32"
    TF32 = "tf32"
    BF16 = "bf16"

    @property
    def higher(self) -> Precision:
        """The next higher precision; that of FP32 is FP32."""
        return Precision.TF32 if self is Precision.BF16 else Precision.FP32


def arithmetic_units(device: torch.device) -> str:
    """Return what multiplies bfloat16 faster than float32 on `device`; empty where nothing does."""
    if device.type == "cuda":
        return "tensor cores" if torch.cuda.is_bf16_supported(including_emulation=False) else ""
    if torch.cpu._is_amx_tile_supported():
        return "AMX"
    return "AVX512_BF16" if torch.cpu._is_avx512_bf16_supported() else ""


def narrow_layers(device: torch.device, precision: Precision) -> torch.autocast:
    """Return a block whose linear layers work in bfloat16 where `precision` is BF16.

    Parameters and their gradients stay what they are; sums within a product are in float32.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision is Precision.BF16)


@contextmanager
def matrix_arithmetic(precision: Precision) -> Iterator[None]:
    """Multiply float32 matrices in TF32 inside the block, or in full where it is FP32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest" if precision is Precision.FP32 else "high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
