"""Cross-entropy against autograd, dense matrices and its awkward cases."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asr_hf.criteria.cross_entropy import CrossEntropy

CRITERION = CrossEntropy()


def draw_case(frames: int, classes: int, seed: int, scale: float = 3.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(frames, classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(classes, (frames,), generator=generator)


frames_and_classes = {
    "frames": st.integers(1, 6),
    "classes": st.integers(1, 7),
    "seed": st.integers(0, 999),
    "scale": st.sampled_from([0.0, 1.0, 10.0, 300.0]),
}


@settings(max_examples=40, deadline=None)
@given(**frames_and_classes)
def test_loss_equals_torch(frames: int, classes: int, seed: int, scale: float) -> None:
    logits, labels = draw_case(frames, classes, seed, scale)
    loss = CRITERION.loss(logits, labels)
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(loss.per_frame, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(loss.total, expected.sum())
    # float32 loses no more than the rounding of the logits' own size.
    single = CRITERION.loss(logits.float(), labels).per_frame.double()
    torch.testing.assert_close(single, expected, rtol=1e-6, atol=1e-6 * max(1.0, scale))


def test_gradient_equals_finite_differences() -> None:
    logits, labels = draw_case(3, 4, seed=1)
    gradient, step = CRITERION.gradient(logits, labels), 1e-6
    for index in range(logits.numel()):
        shift = torch.zeros_like(logits)
        shift.view(-1)[index] = step
        above = CRITERION.loss(logits + shift, labels).total
        below = CRITERION.loss(logits - shift, labels).total
        slope = float(above - below) / (2 * step)
        assert float(gradient.view(-1)[index]) == pytest.approx(slope, abs=1e-8)


@settings(max_examples=30, deadline=None)
@given(**frames_and_classes)
def test_gradient_is_posterior_minus_one_hot(
    frames: int, classes: int, seed: int, scale: float
) -> None:
    logits, labels = draw_case(frames, classes, seed, scale)
    expected = logits.softmax(dim=1) - torch.nn.functional.one_hot(labels, classes)
    loss, gradient = CRITERION.loss_and_gradient(logits, labels)
    torch.testing.assert_close(gradient, expected)
    torch.testing.assert_close(CRITERION.gradient(logits, labels), expected)
    assert torch.equal(loss.per_frame, CRITERION.loss(logits, labels).per_frame)


@settings(max_examples=30, deadline=None)
@given(**frames_and_classes)
def test_curvature_equals_the_dense_hessian(
    frames: int, classes: int, seed: int, scale: float
) -> None:
    logits, labels = draw_case(frames, classes, seed, scale)

    def total(z: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(z, labels, reduction="sum")

    size = frames * classes
    dense = torch.autograd.functional.hessian(total, logits)  # type: ignore[no-untyped-call]
    curvature = CRITERION.curvature(logits)
    identity = torch.eye(size, dtype=torch.float64).view(size, frames, classes)
    product = torch.stack([curvature(u).view(-1) for u in identity])
    torch.testing.assert_close(product, dense.view(size, size), rtol=1e-9, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(classes=st.integers(1, 300), seed=st.integers(0, 999), scale=st.floats(0.0, 50.0))
def test_curvature_is_positive_semi_definite_in_single_precision(
    classes: int, seed: int, scale: float
) -> None:
    logits, _ = draw_case(4, classes, seed, scale)
    vector = torch.randn(4, classes, generator=torch.Generator().manual_seed(seed + 1))
    product = CRITERION.curvature(logits.float())(vector)
    quadratic = (vector.double() * product.double()).sum(dim=1)
    assert (quadratic >= -1e-6 * vector.double().square().sum(dim=1)).all()
    # The constant vector is in the null space: logits matter only up to a shift.
    assert CRITERION.curvature(logits.float())(torch.ones(4, classes)).abs().max() < 1e-6


def test_curvature_may_work_in_place_and_keeps_the_posteriors() -> None:
    logits, _ = draw_case(5, 6, seed=2)
    curvature = CRITERION.curvature(logits)
    vector = torch.randn(5, 6, dtype=torch.float64)
    expected = curvature(vector.clone())
    for _ in range(2):
        inside = vector.clone()
        assert curvature(inside, out=inside) is inside
        torch.testing.assert_close(inside, expected)
    logits.zero_()
    torch.testing.assert_close(curvature(vector), expected)


def test_curvature_of_bfloat16_logits_comes_back_in_their_dtype() -> None:
    logits, _ = draw_case(5, 6, seed=3)
    vector = torch.randn(5, 6)
    product = CRITERION.curvature(logits.bfloat16())(vector.bfloat16())
    assert product.dtype == torch.bfloat16
    exact = CRITERION.curvature(logits.float())(vector)
    torch.testing.assert_close(product.float(), exact, rtol=0.05, atol=0.05)


def test_huge_logits_stay_finite() -> None:
    logits = torch.tensor([[1e4, 0.0, -1e4], [-3e38, 3e38, 0.0]])
    loss, gradient = CRITERION.loss_and_gradient(logits, torch.tensor([2, 1]))
    assert loss.per_frame.tolist() == [2e4, 0.0]
    assert gradient.tolist() == [[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]]


def test_a_nan_frame_shows_in_its_own_loss_only() -> None:
    logits, labels = draw_case(3, 4, seed=4)
    logits[1, 2] = math.nan
    per_frame = CRITERION.loss(logits, labels).per_frame
    assert per_frame.isnan().tolist() == [False, True, False]


def test_errors_count_frames_whose_best_class_is_not_the_label() -> None:
    logits = torch.tensor([[2.0, 1.0], [0.0, 1.0], [5.0, 4.0]])
    assert int(CRITERION.loss(logits, torch.tensor([0, 0, 1], dtype=torch.int32)).errors) == 2


def test_sums_over_many_frames_keep_float64() -> None:
    logits = torch.zeros(1, 3).expand(300_000, 3)
    total = CRITERION.loss(logits, torch.zeros(300_000, dtype=torch.int64)).total
    each = float(CRITERION.loss(logits[:1], torch.zeros(1, dtype=torch.int64)).per_frame)
    assert total.dtype == torch.float64
    assert float(total) == pytest.approx(300_000 * each, rel=1e-12)


def test_a_label_beyond_the_classes_is_an_error() -> None:
    with pytest.raises((RuntimeError, IndexError)):
        CRITERION.loss(torch.zeros(1, 3), torch.tensor([3]))


def test_nothing_is_recorded_for_autograd() -> None:
    logits, labels = draw_case(2, 3, seed=5)
    logits.requires_grad_()
    loss, gradient = CRITERION.loss_and_gradient(logits, labels)
    assert not (loss.total.requires_grad or gradient.requires_grad)
    assert not CRITERION.curvature(logits)(logits).requires_grad
