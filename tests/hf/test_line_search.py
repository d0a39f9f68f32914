from __future__ import annotations

import math

import pytest
import torch

from asr_hf.hf.line_search import Armijo, backtrack
from asr_hf.hf.solvers.base import Iterate


def iterates(count):
    return [Iterate(i + 1, torch.zeros(1), -float(i)) for i in range(count)]


@pytest.mark.parametrize(
    ("losses", "chosen", "looked_at"),
    [
        ([5.0, 4.0, 3.0, 2.0], 4, 2),
        ([5.0, 1.0, 2.0, 3.0], 2, 4),
        ([1.0, 3.0, 2.0, 2.5], 3, 3),
        ([0.5, 1.0, 2.0, 3.0], 1, 4),
        ([2.0, 1.0, math.nan, math.inf], 2, 4),
    ],
)
def test_backtracking_walks_back_while_the_loss_falls(losses, chosen, looked_at):
    asked = []

    def loss_at(iterate):
        asked.append(iterate.iteration)
        return losses[iterate.iteration - 1]

    best, loss = backtrack(iterates(4), loss_at)
    assert (best.iteration, loss) == (chosen, losses[chosen - 1])
    assert len(asked) == looked_at


def test_backtracking_over_nothing_but_nan_says_so():
    _, loss = backtrack(iterates(3), lambda iterate: math.nan)
    assert loss == math.inf


def test_armijo_takes_the_first_sufficient_step():
    # f(α) = (α - 0.3)², slope -0.6: the first of 0.8^j with f <= f(0) + c α f'(0).
    step = Armijo(c=0.1, rate=0.8).search(lambda a: (a - 0.3) ** 2, 0.09, -0.6)
    steps = [0.8**j for j in range(20)]
    expected = next(a for a in steps if (a - 0.3) ** 2 <= 0.09 + 0.1 * a * -0.6)
    assert step == pytest.approx(expected)


def test_armijo_refuses_ascent_and_gives_up_on_walls():
    assert Armijo().search(lambda a: 0.0, 1.0, 0.5) == 0.0
    assert Armijo(max_trials=5).search(lambda a: math.nan, 1.0, -0.5) == 0.0
