from __future__ import annotations

import pytest
import torch

from asr_hf.curvature.space import UNSHARDED
from asr_hf.hf.step_length import ModelLength


class Quadratic:
    """A = B + λI, and q(d) = g'd + ½ d'Ad."""

    def __init__(self, size: int, damping: float, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        root = torch.randn(size, size, generator=generator, dtype=torch.float64)
        self.matrix, self.damping = root @ root.T / size, damping
        self.g = torch.randn(size, generator=generator, dtype=torch.float64)

    def curvature_product(self, vector, out=None):
        return self.matrix @ vector

    def value(self, d):
        damped = self.matrix + self.damping * torch.eye(len(d), dtype=torch.float64)
        return float(self.g @ d + 0.5 * d @ damped @ d)


def test_the_model_is_least_at_the_length():
    problem, length = Quadratic(6, 0.1), ModelLength()
    direction = torch.linspace(0.5, 1.5, 6, dtype=torch.float64) * problem.g
    length.measure(problem, problem.g, direction, UNSHARDED)
    least = problem.value(-length.value * direction)
    for other in (0.9, 0.99, 1.01, 1.1):
        assert problem.value(-other * length.value * direction) > least


def test_newton_s_direction_has_length_one():
    problem, length = Quadratic(5, 0.2), ModelLength()
    damped = problem.matrix + 0.2 * torch.eye(5, dtype=torch.float64)
    length.measure(problem, problem.g, torch.linalg.solve(damped, problem.g), UNSHARDED)
    assert length.value == pytest.approx(1.0)


def test_old_measurements_fade():
    old, new, length = Quadratic(4, 0.1, seed=1), Quadratic(4, 10.0, seed=2), ModelLength(0.5)
    length.measure(old, old.g, old.g, UNSHARDED)
    for _ in range(60):
        length.measure(new, new.g, new.g, UNSHARDED)
    alone = ModelLength(0.5)
    alone.measure(new, new.g, new.g, UNSHARDED)
    assert length.value == pytest.approx(alone.value)


def test_measurements_weigh_alike_whatever_the_gradient_s_length():
    one, two = Quadratic(4, 0.1, seed=1), Quadratic(4, 1.0, seed=2)
    alone = [ModelLength(), ModelLength()]
    for length, problem in zip(alone, (one, two), strict=True):
        length.measure(problem, problem.g, problem.g, UNSHARDED)
    both = ModelLength(0.25)
    both.measure(one, 1e6 * one.g, 1e6 * one.g, UNSHARDED)
    both.measure(two, two.g, two.g, UNSHARDED)
    first, second = (1 / length.value for length in alone)
    assert 1 / both.value == pytest.approx(0.25 * first + 0.75 * second)


def test_what_is_no_descent_teaches_nothing():
    problem, length = Quadratic(4, 0.1), ModelLength()
    length.measure(problem, problem.g, -problem.g, UNSHARDED)
    assert length.value == 0.0


def test_state_is_restored():
    problem, first, second = Quadratic(4, 0.1), ModelLength(), ModelLength()
    first.measure(problem, problem.g, problem.g, UNSHARDED)
    second.load_state_dict(first.state_dict())
    for length in (first, second):
        length.measure(problem, problem.g, 2 * problem.g, UNSHARDED)
    assert first.value == second.value


def test_decay_is_a_share():
    with pytest.raises(ValueError, match="length_decay"):
        ModelLength(1.0)
