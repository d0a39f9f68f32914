"""Small lattices drawn at random, and all their paths."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.hmm.search.raw_lattice import NoPathError, RawLattice, to_lattice


def raw_lattice(seed: int, frames: int) -> RawLattice:
    """Up to three states a frame joined at random, epsilon arcs and dead ends among them."""
    random = np.random.default_rng(seed)
    levels = [[0]]
    for _ in range(frames):
        first = levels[-1][-1] + 1
        levels.append(list(range(first, first + int(random.integers(1, 4)))))
    pairs = [(s, t, 1) for a, b in pairwise(levels) for s in a for t in b]
    pairs = [p for p in pairs if random.random() < 0.7]
    pairs += [(s, t, 0) for a in levels for s in a for t in a if s < t and random.random() < 0.5]
    rows = []
    for s, t, emits in pairs:
        label, word = emits * int(random.integers(1, 5)), int(random.choice([0, 0, 1, 2, 3]))
        rows.append((s, t, label, word, *random.normal(size=2)))
    finals = [(s, random.normal()) for s in levels[-1] if random.random() < 0.8]
    # Decoders number states in any order.
    number = random.permutation(levels[-1][-1] + 1)
    arcs = np.array(rows, ARC)
    arcs["source"], arcs["target"] = number[arcs["source"]], number[arcs["target"]]
    ends = np.array(finals, FINAL)
    ends["state"] = number[ends["state"]]
    return RawLattice(int(number[0]), len(number), random.permutation(arcs), ends)


def paths_of(start: int, arcs: np.ndarray, finals: np.ndarray) -> list[list[int]]:
    """Every path as the numbers of its arcs."""
    ends, found = set(finals["state"].tolist()), []

    def walk(state: int, taken: list[int]) -> None:
        if state in ends:
            found.append(taken)
        for number in np.flatnonzero(arcs["source"] == state).tolist():
            walk(int(arcs["target"][number]), [*taken, number])

    walk(start, [])
    return found


def readings(start: int, arcs: np.ndarray, finals: np.ndarray, scale: float) -> list[tuple]:
    """Labels, words and score of every path, sorted."""
    last = dict(zip(finals["state"].tolist(), finals["graph"].tolist(), strict=True))
    rows = []
    for taken in paths_of(start, arcs, finals):
        path = arcs[taken]
        score = sum(path["graph"].tolist()) + scale * sum(path["acoustic"].tolist())
        score += last[int(path["target"][-1])] if taken else last[start]
        labels, words = (tuple(x for x in path[k].tolist() if x) for k in ("label", "word"))
        rows.append((round(score, 4), labels, words))
    return sorted(rows)


@st.composite
def small_lattices(draw: st.DrawFn) -> tuple[RawLattice, Lattice]:
    raw = raw_lattice(draw(st.integers(0, 10**6)), draw(st.integers(1, 4)))
    try:
        return raw, to_lattice(raw, "u")
    except NoPathError:
        assert not paths_of(raw.start, raw.arcs, raw.finals)
        return draw(small_lattices())
