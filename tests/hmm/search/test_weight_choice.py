"""The grid of decoding weights, and the choice among them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from asr_hf.hmm.search.rescore import SearchWeights
from asr_hf.hmm.search.weight_choice import expected_errors, weight_grid, weights_at_edge
from asr_hf.runtime.errors import InputError

GRID = weight_grid(
    [1.0, 0.7, 0.8, 0.9, 1.1, 1.25, 1.5, 1.75, 2.0],
    [1.0],
    [0.0, -0.5, 0.5, -1.0, 1.0, -1.5, 1.5, -2.0, 2.0, -3.0, 3.0],
)


def bowl(weights: SearchWeights) -> float:
    """Errors that are fewest at a scale of 1.1 and a penalty of 0.5."""
    scale = math.log(weights.acoustic_scale / 1.1)
    return 100 + 80 * scale**2 + 4 * (weights.insertion_penalty - 0.5) ** 2


def chosen(errors: list[int]) -> SearchWeights:
    expected = expected_errors(GRID, errors)
    return GRID[expected.index(min(expected))]


def test_a_polynomial_is_met_everywhere():
    # Exact where the counts are one; in whole errors it is off by their rounding.
    expected = expected_errors(GRID, [round(1000 * bowl(one)) for one in GRID])
    np.testing.assert_allclose(expected, [1000 * bowl(one) for one in GRID], atol=1)


def test_a_stroke_of_luck_at_the_edge_is_not_chosen():
    errors = [round(bowl(one)) for one in GRID]
    lucky = GRID.index(SearchWeights(2.0, 3.0))
    errors[lucky] = min(errors) - 2
    assert chosen(errors) == SearchWeights(1.1, 0.5)


def test_with_luck_everywhere_the_choice_costs_less_than_the_fewest_errors_do():
    random = np.random.default_rng(0)
    cost, smooth_cost = 0.0, 0.0
    for _ in range(50):
        errors = [round(bowl(one) + random.normal(0, 4)) for one in GRID]
        cost += bowl(GRID[errors.index(min(errors))])
        smooth_cost += bowl(chosen(errors))
    # Beyond the least that there is.
    assert smooth_cost - 50 * 100 < 0.5 * (cost - 50 * 100)


@pytest.mark.parametrize(
    "grid",
    [
        ([0.1], [1.0], [0.0]),
        ([0.1, 0.2], [1.0], [0.0]),
        ([0.1, 0.2, 0.3], [1.0], [0.0, 1.0]),
    ],
)
def test_a_few_weights_are_judged_by_their_own_errors(grid):
    weights = weight_grid(*grid)
    errors = list(range(7, 7 + len(weights)))
    assert expected_errors(weights, errors) == errors


def test_scales_of_the_language_model_count_as_well():
    weights = weight_grid([0.1, 0.2, 0.4], [0.5, 1.0, 2.0, 4.0], [0.0, 1.0])
    errors = [round(100 + 9 * math.log2(one.lm_scale) ** 2) for one in weights]
    np.testing.assert_allclose(expected_errors(weights, errors), errors, atol=1e-9)


def test_the_grid_has_every_combination_and_its_edges_are_named():
    weights = weight_grid([0.1, 0.2, 0.3], [1.0], [0.0, -1.0, 1.0])
    assert len(set(weights)) == 9
    assert weights[:3] == [
        SearchWeights(0.1, 0.0),
        SearchWeights(0.1, -1.0),
        SearchWeights(0.1, 1.0),
    ]
    assert weights_at_edge(SearchWeights(0.2, 0.0), weights) == []
    assert weights_at_edge(SearchWeights(0.3, -1.0), weights) == [
        "acoustic_scale",
        "insertion_penalty",
    ]


@pytest.mark.parametrize(
    ("scales", "lm_scales", "penalties", "named"),
    [
        ([], [1.0], [0.0], r"decode.acoustic_scales=\[\]"),
        ([0.1, -0.2], [1.0], [0.0], r"decode.acoustic_scales=\[0.1, -0.2\]"),
        ([0.1], [0.0], [0.0], r"decode.lm_scales=\[0.0\]"),
        ([0.1], [1.0], [math.nan], r"decode.insertion_penalties=\[nan\]"),
        ([0.1], [1.0], ["little"], r"decode.insertion_penalties=\['little'\]"),
    ],
)
def test_weights_that_no_search_can_have_are_named(scales, lm_scales, penalties, named):
    with pytest.raises(InputError, match=named):
        weight_grid(scales, lm_scales, penalties)
