"""Lattices of a search, against the best-path decoder and one another."""

from __future__ import annotations

import numpy as np
import pytest

from asr_hf.hmm.lattice.lattice_paths import (
    arc_scores,
    best_path,
    prune,
    slack,
)
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.search.lattice_decoder import LatticeDecoder
from asr_hf.hmm.search.raw_lattice import NoPathError
from asr_hf.hmm.search.search import BestPathDecoder

from ..conftest import random_scores


@pytest.mark.parametrize("seed", range(8))
def test_the_best_path_is_the_decoders(system, graph, seed):
    scores, scale = random_scores(system, 6 + 5 * seed, seed), 0.3
    lattice = LatticeDecoder(system.transitions, graph, 60.0, 5.0).decode(scores, scale, "u")
    lattice.check(system.transitions.num_transition_ids)
    single = BestPathDecoder(system.transitions, graph, 60.0, 100_000).decode(scores, scale, "u")
    path = best_path(lattice, scale)
    assert [w for w in path.arcs["word"] if w] == single.words
    assert arc_scores(path, scale).sum() + path.finals["graph"][0] == pytest.approx(
        single.score, abs=1e-3
    )
    emitting = path.arcs[path.arcs["label"] > 0]
    pdfs = system.transitions.pdf_of[emitting["label"]]
    np.testing.assert_array_equal(emitting["acoustic"], scores[np.arange(len(scores)), pdfs])
    assert slack(lattice, scale).max() <= 5.0 + 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_a_narrow_lattice_is_what_a_wide_one_keeps_within_the_beam(system, graph, seed):
    """So the decoder loses nothing that the lattice beam admits."""
    scores, scale = random_scores(system, 25, seed), 0.3
    narrow, wide = (
        LatticeDecoder(system.transitions, graph, 200.0, beam).decode(scores, scale, "u")
        for beam in (3.0, 30.0)
    )
    assert len(wide.arcs) > len(narrow.arcs)
    kept = prune(wide, scale, 3.0, max_arcs=10**6)
    for name in ("label", "word", "graph", "acoustic"):
        np.testing.assert_allclose(np.sort(kept.arcs[name]), np.sort(narrow.arcs[name]), atol=1e-5)


def test_what_was_decoded_before_leaves_no_trace(system, graph):
    """Else a resumed run, or one with more processes, would make other lattices."""

    def arcs(decoder: LatticeDecoder, seed: int) -> bytes:
        try:
            return decoder.decode(random_scores(system, 40, seed), 0.3, "u").arcs.tobytes()
        except NoPathError:
            return b""

    used = LatticeDecoder(system.transitions, graph, 4.0, 3.0)
    found = [arcs(used, seed) for seed in range(30)]
    assert len(set(found)) > 10
    assert found == [
        arcs(LatticeDecoder(system.transitions, graph, 4.0, 3.0), seed) for seed in range(30)
    ]


def test_too_few_frames_for_any_path_are_an_error_that_names_the_utterance(system, graph):
    decoder = LatticeDecoder(system.transitions, graph, 50.0, 5.0)
    with pytest.raises(NoPathError, match="short-one"):
        decoder.decode(random_scores(system, 2, 0), 0.3, "short-one")
    assert decoder.decode(random_scores(system, 9, 0), 0.3, "long").num_frames == 9


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_scores_are_refused(system, graph, bad):
    scores = random_scores(system, 9, 0)
    scores[4, 2] = bad
    with pytest.raises(AlignmentError, match="u: NaN or infinite score in frame 4"):
        LatticeDecoder(system.transitions, graph, 50.0, 5.0).decode(scores, 0.3, "u")
