"""Which precisions there are, and where they hold."""

from __future__ import annotations

import torch

from asr_hf.curvature.precision import Precision, matrix_arithmetic


def test_order_of_precisions():
    assert [p.higher for p in Precision] == [Precision.FP32, Precision.FP32, Precision.TF32]


def test_arithmetic_is_as_before_after_the_block():
    before = torch.get_float32_matmul_precision()
    with matrix_arithmetic(Precision.TF32):
        assert torch.get_float32_matmul_precision() == "high"
        with matrix_arithmetic(Precision.FP32):
            assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == before
