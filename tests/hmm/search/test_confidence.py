"""The best path and its confidences, against going through all paths."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.hmm.search.confidence import confident_path
from asr_hf.hmm.search.rescore import SearchWeights, best_paths

from .test_rescore import draw

WEIGHTS = SearchWeights(0.4, 0.3, 0.8)


def all_paths(lattice: Lattice) -> list[tuple[float, list[tuple[int, int]]]]:
    """Score of each path, with its words and the frames before them."""
    finals = {int(f["state"]): float(f["graph"]) for f in lattice.finals}
    paths, stack = [], [(0, 0.0, [])]
    while stack:
        state, score, words = stack.pop()
        if state in finals:
            paths.append((score + WEIGHTS.lm_scale * finals[state], words))
        for arc in lattice.arcs[lattice.arcs["source"] == state]:
            word = int(arc["word"])
            step = WEIGHTS.acoustic_scale * float(arc["acoustic"])
            step += WEIGHTS.lm_scale * float(arc["graph"])
            step -= WEIGHTS.insertion_penalty * (word > 0)
            more = [(word, int(lattice.frame_of[state]))] * (word > 0)
            stack.append((int(arc["target"]), score + step, words + more))
    return paths


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_the_path_is_the_best_and_confidences_are_the_share_of_paths_with_the_word(seed, frames):
    lattice = draw(seed, frames)
    found = confident_path(lattice, WEIGHTS)
    (expected,) = best_paths(lattice, [WEIGHTS])
    assert found.path.words == expected.words
    assert found.path.transition_ids.tolist() == expected.transition_ids.tolist()
    assert found.path.score == pytest.approx(expected.score, abs=1e-9)
    paths = all_paths(lattice)
    total = math.fsum(math.exp(score) for score, _ in paths)
    # So few frames that all of a word's arcs begin at nearly the same time.
    for word, confidence in zip(found.path.words, found.confidences, strict=True):
        count = [sum(other == word for other, _ in words) for _, words in paths]
        share = math.fsum(n * math.exp(score) for n, (score, _) in zip(count, paths, strict=True))
        assert confidence == pytest.approx(min(1.0, share / total), rel=1e-9)


def test_the_same_word_far_away_does_not_count():
    frames = 60
    rows = [(0, 1, 1, 5, 0.0, 0.0), (0, 1, 1, 6, -2.0, 0.0)]
    rows += [(n, n + 1, 1, 0, 0.0, 0.0) for n in range(1, 40)]
    rows += [(40, 41, 1, 5, -1.0, 0.0), (40, 41, 1, 7, 0.0, 0.0)]
    rows += [(n, n + 1, 1, 0, 0.0, 0.0) for n in range(41, frames)]
    ends = np.array([(frames, 0.0)], FINAL)
    lattice = Lattice("u", np.array(rows, ARC), np.arange(frames + 1, dtype=np.int32), ends)
    lattice.check(1)
    found = confident_path(lattice, SearchWeights(1.0))
    assert found.path.words == [5, 7] and found.frames == [0, 40]
    expected = [1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-1))]
    np.testing.assert_allclose(found.confidences, expected)
