"""Choosing the decoding weights by the word errors that they make on a development set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.search.rescore import SearchWeights
from asr_hf.runtime.errors import InputError

# Neighbours count less the further they are: at so many steps of the grid, 0.6 times.
_REACH = 3.0


def weight_grid(
    scales: Sequence[float], lm_scales: Sequence[float], penalties: Sequence[float]
) -> list[SearchWeights]:
    """Combine all values of the weights; the last list varies fastest.

    Returns:
        Every combination.

    Raises:
        InputError: a list is empty, or a scale is not positive.
    """
    for name, values, lower_bound in (
        ("acoustic_scales", scales, 0.0),
        ("lm_scales", lm_scales, 0.0),
        ("insertion_penalties", penalties, -math.inf),
    ):
        numbers = [v for v in values if isinstance(v, int | float) and lower_bound < v < math.inf]
        if not values or len(numbers) < len(values):
            raise InputError(
                f"decode.{name}={list(values)}: no search can be weighted so",
                expected="one number or more" + (", all above 0" if lower_bound == 0 else ""),
                remedy=f"give decode.{name} such a list",
            )
    return [
        SearchWeights(scale, penalty, lm_scale)
        for scale, lm_scale, penalty in product(scales, lm_scales, penalties)
    ]


def weights_at_edge(best: SearchWeights, tried: Sequence[SearchWeights]) -> list[str]:
    """Name those of the best weights that are the smallest or the largest of the values tried."""
    names = []
    for name in ("acoustic_scale", "insertion_penalty", "lm_scale"):
        values = sorted({getattr(weights, name) for weights in tried})
        if len(values) > 2 and getattr(best, name) in (values[0], values[-1]):
            names.append(name)
    return names


def expected_errors(tried: Sequence[SearchWeights], errors: Sequence[int]) -> list[float]:
    """Estimate the word errors of weights without the luck of the set that they were counted on.

    On a small set, errors go up and down by a few from one weight to the next, and the fewest of a
    hundred counts are a stroke of luck. So each count is replaced by the value there of a quadratic
    polynomial, fitted to all counts with those nearby weighing most (local regression, Cleveland
    1979). Scales count by their logarithms.

    Args:
        tried: the weights.
        errors: word errors of each.

    Returns:
        The estimate for each; the errors as they are where they are too few for a polynomial.
    """
    scales = np.log([[weights.acoustic_scale, weights.lm_scale] for weights in tried])
    places = np.column_stack([scales, [weights.insertion_penalty for weights in tried]])
    different = [len(np.unique(column)) for column in places.T]
    # In steps of the grid.
    places = places[:, np.array(different) > 1]
    places /= np.ptp(places, axis=0) / [values - 1 for values in different if values > 1]
    counts = np.array(errors, dtype=np.float64)
    if len(tried) < 2 * _terms(places).shape[1]:
        return [float(count) for count in counts]
    found = []
    for here in places:
        away = places - here
        # Squares are weighted, so roots of the weights go to both sides.
        near = np.exp(-0.25 * np.square(away / _REACH).sum(axis=1))
        solution, *_ = np.linalg.lstsq(_terms(away) * near[:, None], counts * near, rcond=None)
        found.append(float(solution[0]))
    return found


def _terms(away: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the terms of a quadratic polynomial [n, terms], a constant first, at places [n, d]."""
    columns = [np.ones(len(away))]
    for i, column in enumerate(away.T):
        columns.append(column)
        # Two values tell no curve.
        if len(np.unique(column)) > 2:
            columns.append(column**2)
        columns.extend(column * other for other in away.T[i + 1 :])
    return np.stack(columns, axis=1)
