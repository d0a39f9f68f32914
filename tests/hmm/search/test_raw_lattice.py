"""Arcs in any order against the lattice that is made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from asr_hf.data.lattice import ARC, FINAL
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.search.raw_lattice import RawLattice, to_lattice

from ..lattice.enumeration import readings, small_lattices


@given(small_lattices())
def test_numbering_keeps_every_path_and_every_promise(both):
    raw, lattice = both
    lattice.check(num_labels=4)
    assert readings(0, lattice.arcs, lattice.finals, 0.5) == readings(
        raw.start, raw.arcs, raw.finals, 0.5
    )


def test_epsilon_circles_are_refused():
    rows = [(0, 1, 1, 0, 0, 0), (1, 2, 0, 0, 0, 0), (2, 1, 0, 0, 0, 0)]
    raw = RawLattice(0, 3, np.array(rows, ARC), np.array([(1, 0)], FINAL))
    with pytest.raises(AlignmentError, match="circle"):
        to_lattice(raw, "u")
