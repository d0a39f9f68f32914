"""The best path of a lattice under many settings, against going through all paths."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.hmm.search import rescore
from asr_hf.hmm.search.rescore import SearchWeights, best_paths


def draw(seed: int, frames: int) -> Lattice:
    """A random lattice with arcs that take no frame."""
    rng = np.random.default_rng(seed)
    frame_of, arcs, before = [0], [], [0]
    for frame in range(1, frames + 1):
        here = list(range(len(frame_of), len(frame_of) + int(rng.integers(1, 4))))
        frame_of += [frame] * len(here)
        arcs += [(int(rng.choice(before)), state, 1) for state in here]
        arcs += [(state, int(rng.choice(here)), 1) for state in before]
        arcs += [(a, b, 0) for a, b in pairwise(here) if rng.random() < 0.5]
        before = here
    arcs.sort(key=lambda arc: arc[0])
    rows = [
        (a, b, label * rng.integers(1, 9), rng.integers(0, 3), rng.normal(), label * rng.normal())
        for a, b, label in arcs
    ]
    ends = [(state, rng.normal()) for state in before]
    lattice = Lattice("u", np.array(rows, ARC), np.array(frame_of, np.int32), np.array(ends, FINAL))
    lattice.check(9)
    return lattice


def exhaustive(lattice: Lattice, setting: SearchWeights) -> tuple[float, list[int]]:
    finals = {int(f["state"]): float(f["graph"]) for f in lattice.finals}
    best = (-np.inf, [])
    stack = [(0, 0.0, [])]
    while stack:
        state, score, words = stack.pop()
        if state in finals:
            best = max(best, (score + setting.lm_scale * finals[state], words))
        for arc in lattice.arcs[lattice.arcs["source"] == state]:
            word = int(arc["word"])
            step = setting.acoustic_scale * float(arc["acoustic"])
            step += setting.lm_scale * float(arc["graph"]) - setting.insertion_penalty * (word > 0)
            stack.append((int(arc["target"]), score + step, words + [word] * (word > 0)))
    return best


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_every_setting_s_best_path_is_found(seed, frames):
    lattice = draw(seed, frames)
    tried = [
        SearchWeights(0.1),
        SearchWeights(1.0, 0.7),
        SearchWeights(0.5, -1.0, 2.0),
        SearchWeights(2.0, 0.3, 0.01),
    ]
    for setting, path in zip(tried, best_paths(lattice, tried), strict=True):
        score, words = exhaustive(lattice, setting)
        assert path.score == pytest.approx(score, abs=1e-9)
        assert path.words == words
        assert len(path.transition_ids) == frames


def test_weights_in_several_passes_give_the_same_paths(monkeypatch):
    lattice = draw(3, 6)
    tried = [SearchWeights(0.1 * n, n % 3) for n in range(1, 12)]
    together = best_paths(lattice, tried)
    monkeypatch.setattr(rescore, "_MAX_SCORES", 4 * len(lattice.arcs))
    for one, other in zip(best_paths(lattice, tried), together, strict=True):
        assert (one.words, one.score) == (other.words, other.score)


def test_a_setting_is_told_in_words():
    told = str(SearchWeights(0.1, -0.5))
    assert told == "acoustic scale 0.1, insertion penalty -0.5, language model scale 1"
