"""Lattices of a search, against Kaldi's decoders and one another."""

from __future__ import annotations

import numpy as np
import pytest

from asr_hf.data.lattice import Lattice
from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.lattice.lattice_paths import arc_scores, best_path
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.search import token_history
from asr_hf.hmm.search.lattice_decoder import LatticeDecoder
from asr_hf.hmm.search.limits import SearchLimits
from asr_hf.hmm.search.raw_lattice import NoPathError
from asr_hf.hmm.search.search_graph import SearchGraph

from .. import kaldi_decoders
from ..conftest import random_scores
from ..lattice.pruning import pruned, slack

SCALE = 0.3


@pytest.fixture
def decoder(system, graph):
    arrays = SearchGraph.of(fsts.arrays(graph))

    def make(beam=60.0, lattice_beam=5.0, max_active=None, max_arcs=None) -> LatticeDecoder:
        limits = SearchLimits(beam, lattice_beam, max_active, max_arcs)
        return LatticeDecoder(system.transitions, arrays, limits)

    return make


def best_score(lattice: Lattice) -> float:
    path = best_path(lattice, SCALE)
    return arc_scores(path, SCALE).sum() + path.finals["graph"][0]


@pytest.mark.parametrize("seed", range(8))
def test_the_best_path_is_kaldi_s(system, graph, decoder, seed):
    scores = random_scores(system, 6 + 5 * seed, seed)
    lattice = decoder().decode_one("u", scores, SCALE)
    lattice.check(system.transitions.num_transition_ids)
    single = kaldi_decoders.best_path(system.transitions, graph, scores, SCALE, beam=60.0)
    path = best_path(lattice, SCALE)
    assert [w for w in path.arcs["word"] if w] == single.words
    assert best_score(lattice) == pytest.approx(single.score, abs=1e-3)
    emitting = path.arcs[path.arcs["label"] > 0]
    pdfs = system.transitions.pdf_of[emitting["label"]]
    np.testing.assert_array_equal(emitting["acoustic"], scores[np.arange(len(scores)), pdfs])
    assert slack(lattice, SCALE).max() <= 5.0 + 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_lattices_have_the_arcs_of_kaldi_s(system, graph, decoder, seed):
    scores = random_scores(system, 40, seed)
    lattice = decoder(200.0, 8.0).decode_one("u", scores, SCALE)
    arcs = [lattice.arcs[name].tolist() for name in ("label", "word", "graph")]
    ours = sorted((label, word, -graph) for label, word, graph in zip(*arcs, strict=True))
    theirs = kaldi_decoders.lattice_arcs(system.transitions, graph, scores, SCALE, 200.0, 8.0)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_a_narrow_lattice_is_what_a_wide_one_keeps_within_the_beam(system, decoder, seed):
    """So the decoder loses nothing that the lattice beam admits."""
    scores = random_scores(system, 25, seed)
    narrow, wide = (decoder(200.0, beam).decode_one("u", scores, SCALE) for beam in (3.0, 30.0))
    assert len(wide.arcs) > len(narrow.arcs)
    kept = pruned(wide, SCALE, 3.0)
    for name in ("label", "word", "graph", "acoustic"):
        np.testing.assert_allclose(np.sort(kept.arcs[name]), np.sort(narrow.arcs[name]), atol=1e-5)


def arrays_of(lattice: Lattice) -> list[bytes]:
    return [x.tobytes() for x in (lattice.arcs, lattice.frame_of, lattice.finals)]


@pytest.mark.parametrize(("beam", "max_active"), [(4.0, 4), (60.0, 12)])
def test_an_utterance_has_the_same_lattice_in_every_batch(system, decoder, beam, max_active):
    """Else a resumed run, or one with more processes, would make other lattices."""
    batch = [(f"u{n}", random_scores(system, 5 + 7 * (n % 6), n)) for n in range(20)]
    used = decoder(beam, 3.0, max_active=max_active, max_arcs=6)
    together = used.decode(batch, SCALE)
    assert any(one.narrowed for one in together) and any(one.limited_frames for one in together)
    for some in (batch[:3], batch[7:], batch[::-1]):
        for (name, _), found in zip(some, used.decode(some, SCALE), strict=True):
            other = together[int(name[1:])]
            assert arrays_of(found.lattice) == arrays_of(other.lattice)
            assert (found.complete, found.limited_frames, found.narrowed) == (
                other.complete,
                other.limited_frames,
                other.narrowed,
            )


def test_pruning_on_the_way_changes_nothing(system, decoder, monkeypatch):
    batch = [(f"u{n}", random_scores(system, 30 + 9 * n, n)) for n in range(5)]
    expected = decoder().decode(batch, SCALE)
    monkeypatch.setattr(token_history, "_MAX_FRESH", 300)
    for one, other in zip(decoder().decode(batch, SCALE), expected, strict=True):
        assert arrays_of(one.lattice) == arrays_of(other.lattice)


@pytest.mark.parametrize("seed", range(6))
def test_a_limit_that_is_never_reached_changes_nothing_and_one_that_is_finds_nothing_better(
    system, decoder, seed
):
    scores = random_scores(system, 40, seed)
    (free,) = decoder(1e4, 8.0).decode([("u", scores)], SCALE)
    (same,) = decoder(1e4, 8.0, max_active=10**6).decode([("u", scores)], SCALE)
    assert arrays_of(same.lattice) == arrays_of(free.lattice) and same.limited_frames == 0
    best, last = best_score(free.lattice), -np.inf
    for limit in (2, 5, 15, 40):
        (found,) = decoder(1e4, 8.0, max_active=limit).decode([("u", scores)], SCALE)
        if found.complete:
            found.lattice.check(system.transitions.num_transition_ids)
            last = best_score(found.lattice)
            assert last <= best + 1e-9
    assert 0 < found.limited_frames <= 40
    assert last > best - 5.0


@pytest.mark.parametrize("max_arcs", [1, 2, 5])
def test_a_lattice_of_too_many_arcs_keeps_the_best(system, decoder, max_arcs):
    scores = random_scores(system, 30, 3)
    (whole,) = decoder(200.0, 20.0).decode([("u", scores)], SCALE)
    (few,) = decoder(200.0, 20.0, max_arcs=max_arcs).decode([("u", scores)], SCALE)
    few.lattice.check(system.transitions.num_transition_ids)
    assert few.narrowed and not whole.narrowed
    on_best = len(best_path(whole.lattice, SCALE).arcs)
    assert on_best <= len(few.lattice.arcs) <= max(max_arcs * 30, on_best)
    widest = slack(few.lattice, SCALE).max()
    assert len(few.lattice.arcs) == (slack(whole.lattice, SCALE) <= widest + 1e-5).sum()
    assert best_score(few.lattice) == pytest.approx(best_score(whole.lattice), abs=1e-9)


def test_too_few_frames_for_any_path_are_an_error_that_names_the_utterance(system, decoder):
    with pytest.raises(NoPathError, match="short-one"):
        decoder().decode_one("short-one", random_scores(system, 2, 0), SCALE)
    assert decoder().decode_one("long", random_scores(system, 9, 0), SCALE).num_frames == 9


def test_where_no_path_reaches_the_end_all_that_reach_the_last_frame_are_kept(
    system, graph, decoder
):
    scores = random_scores(system, 2, 5)
    (found,) = decoder().decode([("u", scores)], SCALE)
    assert not found.complete and found.lattice.num_frames == 2
    partial = kaldi_decoders.best_path(system.transitions, graph, scores, SCALE)
    assert best_score(found.lattice) == pytest.approx(partial.score, abs=1e-3)


def test_a_graph_that_leads_nowhere_has_no_lattice(system):
    first = int(system.transitions.pdf_of.argmin())
    dead = fsts.build([(0, 1, first or 1, 0, 0.5)], [1], 2)
    limits = SearchLimits(60.0, 5.0, None, None)
    decoder = LatticeDecoder(system.transitions, SearchGraph.of(fsts.arrays(dead)), limits)
    one, more = decoder.decode([(f"u{n}", random_scores(system, n, 0)) for n in (1, 4)], SCALE)
    assert one.complete and len(one.lattice.arcs) == 1
    assert more.lattice is None and not more.complete


def test_a_graph_whose_epsilon_arcs_make_paths_ever_better_is_refused(system):
    bad = fsts.build([(0, 1, 0, 0, 2.0), (1, 0, 0, 0, 2.0), (1, 1, 1, 0, 0.5)], [1], 2)
    limits = SearchLimits(60.0, 5.0, None, None)
    decoder = LatticeDecoder(system.transitions, SearchGraph.of(fsts.arrays(bad)), limits)
    with pytest.raises(AlignmentError, match="circle"):
        decoder.decode_one("u", random_scores(system, 4, 0), SCALE)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_scores_are_refused(system, decoder, bad):
    scores = random_scores(system, 9, 0)
    scores[4, 2] = bad
    with pytest.raises(AlignmentError, match="u: NaN or infinite score in frame 4"):
        decoder().decode_one("u", scores, SCALE)
