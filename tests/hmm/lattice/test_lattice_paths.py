"""Best paths, their number and oracle errors against enumeration of all paths."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.hmm.lattice.lattice_paths import (
    arc_scores,
    best_path,
    log_paths,
    oracle_errors,
)

from .enumeration import paths_of, readings, small_lattices
from .pruning import pruned, slack


@given(small_lattices(), st.floats(0.05, 2), st.floats(0, 4))
def test_best_path_and_count_agree_with_enumeration(both, scale, beam):
    lattice = both[1]
    scores, last = arc_scores(lattice, scale), np.full(lattice.num_states, -math.inf)
    last[lattice.finals["state"]] = lattice.finals["graph"]
    targets = lattice.arcs["target"]
    total = {
        tuple(taken): scores[taken].sum() + last[targets[taken[-1]]]
        for taken in paths_of(0, lattice.arcs, lattice.finals)
    }
    best = max(total.values())
    through = [max(v for p, v in total.items() if arc in p) for arc in range(len(lattice.arcs))]
    np.testing.assert_allclose(slack(lattice, scale), best - np.array(through), atol=1e-9)
    assert math.exp(log_paths(lattice)) == pytest.approx(len(total))
    path = best_path(lattice, scale)
    path.check(num_labels=4)
    assert arc_scores(path, scale).sum() + path.finals["graph"][0] == pytest.approx(best)
    narrow = pruned(lattice, scale, beam + 1e-6)
    narrow.check(num_labels=4)
    assert len(narrow.arcs) == (best - np.array(through) <= beam + 1e-6).sum()


def edit_distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    if not one or not other:
        return len(one) + len(other)
    replaced = edit_distance(one[1:], other[1:]) + (one[0] != other[0])
    return min(replaced, edit_distance(one[1:], other) + 1, edit_distance(one, other[1:]) + 1)


@given(small_lattices(), st.lists(st.integers(1, 4), max_size=5))
def test_oracle_errors_are_those_of_the_nearest_path(both, reference):
    lattice = both[1]
    words = {row[2] for row in readings(0, lattice.arcs, lattice.finals, 1.0)}
    nearest = min(edit_distance(w, tuple(reference)) for w in words)
    assert oracle_errors(lattice, reference) == nearest
