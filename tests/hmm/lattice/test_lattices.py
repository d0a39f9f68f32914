"""Denominator lattices, into which references are merged where they are missing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from asr_hf.data.lattice import Lattice
from asr_hf.hmm.alignment.spoken_path import Transcript
from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.lattice.lattice_paths import (
    best_path,
    log_paths,
    oracle_errors,
)
from asr_hf.hmm.lattice.lattices import LatticeJob, LatticeMaker, LatticeOptions, label_map
from asr_hf.hmm.search.lattice_decoder import LatticeDecoder
from asr_hf.hmm.search.limits import SearchLimits
from asr_hf.hmm.search.search_graph import SearchGraph
from asr_hf.hmm.system import HmmSystem

from .. import kaldi_decoders
from ..conftest import random_scores
from .enumeration import readings


@pytest.fixture
def make(system: HmmSystem, arpa: Path, tmp_path: Path):
    system.make_graphs(tmp_path, {"en": arpa})

    def maker(**changes) -> LatticeMaker:
        options = {
            "beam": 30.0,
            "lattice_beam": 2.0,
            "max_active": None,
            "acoustic_scale": 0.5,
            "max_arcs_per_frame": 200,
            "max_frames": 100,
        }
        return LatticeMaker(system, tmp_path, LatticeOptions(**(options | changes)))

    return maker


def job(system, words: str, phones: str, scores_for, wrong_phones: str = "") -> LatticeJob:
    """Scores speak for `wrong_phones`, or for `phones`, along which the alignment runs."""

    def pdfs(names: str) -> np.ndarray:
        ids = [system.phones.id(name) for name in names.split()]
        return np.concatenate([np.repeat(system.transitions.pdfs_of_phone(i), 2) for i in ids])

    alignment = pdfs(phones).astype(np.int32)
    scores = scores_for(pdfs(wrong_phones or phones), system.transitions.num_pdfs)
    return LatticeJob("u", Transcript(words.split(), "en"), alignment, scores)


def words_in(lattice: Lattice, words: list[int]) -> bool:
    return oracle_errors(lattice, words) == 0


def test_a_reference_in_the_lattice_is_left_alone(system, make, scores_for):
    made = make().make([job(system, "a x", "en_a en_x", scores_for)])[0]
    assert made.facts.oracle_errors == 0 and not made.facts.merged
    assert made.facts.arcs == len(made.lattice.arcs)
    assert made.facts.words == 2


def test_a_lost_reference_is_merged_along_its_alignment(system, make, scores_for):
    lost = job(system, "x ax", "en_x en_a en_x", scores_for, wrong_phones="en_a en_a en_a")
    made = make().make([lost])[0]
    assert made.facts.merged and made.facts.oracle_errors > 0
    made.lattice.check(system.transitions.num_transition_ids)
    words = system.languages["en"].words.ids(["x", "ax"])
    assert words_in(made.lattice, words)
    plain = make().make([job(system, "a a a", "en_a en_a en_a", scores_for)])[0].lattice
    assert log_paths(made.lattice) == pytest.approx(
        math.log(math.exp(log_paths(plain)) + 1), abs=1e-9
    )
    # The reference's path, and no other, is that of the alignment.
    along = [
        [int(system.transitions.pdf_of[x]) for x in labels]
        for _, labels, found in readings(0, made.lattice.arcs, made.lattice.finals, 0.5)
        if found == tuple(words)
    ]
    assert along == [lost.alignment.tolist()]


def test_a_merged_path_has_the_graph_score_of_its_words(system, graph, make, scores_for):
    """The decoder, given scores that leave only that path, finds the same."""
    lost = job(system, "x ax", "en_x en_a en_x", scores_for, wrong_phones="en_a en_a en_a")
    made = make().make([lost])[0]
    words = system.languages["en"].words.ids(["x", "ax"])
    only = scores_for(lost.alignment, system.transitions.num_pdfs, -1e4)
    limits = SearchLimits(1000.0, 50.0, None, None)
    decoder = LatticeDecoder(system.transitions, SearchGraph.of(fsts.arrays(graph)), limits)
    wide = decoder.decode_one("u", only, 1.0)
    expected = max(
        score
        for score, _, found in readings(0, wide.arcs, wide.finals, 1.0)
        if found == tuple(words)
    )
    score = next(
        score
        for score, _, found in readings(0, made.lattice.arcs, made.lattice.finals, 0.0)
        if found == tuple(words)
    )
    assert score == pytest.approx(expected, abs=1e-3)


def test_merging_a_reference_leaves_no_trace_in_the_graph(system, make, scores_for):
    lost = job(system, "x ax", "en_x en_a en_x", scores_for, wrong_phones="en_a en_a en_a")
    used = make()
    graph = used._graphs["en"]
    before = graph.to_str(show_weight_one=True)
    assert used.make([lost])[0].facts.merged
    assert graph.to_str(show_weight_one=True) == before


def test_an_alignment_that_the_graph_cannot_follow_gives_way_to_the_scores(
    system, graph, make, scores_for
):
    lost = job(system, "x ax", "en_x en_a en_x", scores_for, wrong_phones="en_a en_a en_a")
    lost.alignment[0] = system.transitions.num_pdfs - 1  # In the middle of a phone.
    lost.log_likelihoods[:] += random_scores(system, 18, 0)
    made = make(lattice_beam=0.5).make([lost])[0]
    assert made.facts.merged
    words = system.languages["en"].words.ids(["x", "ax"])
    acceptor = fsts.build([(i, i + 1, w, w, 1.0) for i, w in enumerate(words)], [2], 3)
    expected = kaldi_decoders.best_path(
        system.transitions, fsts.compose(graph, acceptor), lost.log_likelihoods, 0.5
    )
    scores = [
        score
        for score, _, found in readings(0, made.lattice.arcs, made.lattice.finals, 0.5)
        if found == tuple(words)
    ]
    assert scores == pytest.approx([expected.score], abs=1e-3)


def test_an_alignment_cut_off_inside_a_phone_gives_way_to_the_scores(system, make, scores_for):
    lost = job(system, "x ax", "en_x en_a en_x", scores_for, wrong_phones="en_a en_a en_a")
    cut = LatticeJob("u", lost.transcript, lost.alignment[:-3], lost.log_likelihoods[:-3])
    made = make().make([cut])[0]
    assert words_in(made.lattice, system.languages["en"].words.ids(["x", "ax"]))


@pytest.mark.parametrize(
    ("words", "phones", "changes", "reason"),
    [
        ("a zebra", "en_a en_x", {}, "'zebra' is not in the lexicon"),
        ("a x", "en_a en_x", {"max_frames": 11}, "12 frames, more than lattices.max_frames=11"),
        ("ax ax ax ax ax", "en_a", {}, "no path reached the end of its 6 frames"),
    ],
)
def test_what_has_no_lattice_says_why(system, make, scores_for, words, phones, changes, reason):
    made = make(**changes).make([job(system, words, phones, scores_for)])[0]
    assert made.lattice is None and made.facts is None and reason in made.reason


def test_a_lattice_of_too_many_arcs_is_narrowed(system, make, scores_for):
    one = job(system, "a x", "en_a en_x", scores_for)
    wide = make(lattice_beam=25.0).make([one])[0]
    few = make(lattice_beam=25.0, max_arcs_per_frame=2).make([one])[0]
    assert not wide.facts.narrowed and few.facts.narrowed
    assert wide.facts.arcs > 24
    assert few.facts.arcs <= max(24, len(best_path(few.lattice, 0.5).arcs))
    few.lattice.check(system.transitions.num_transition_ids)


def test_labels_map_to_pdfs_and_silence_is_known(system):
    labels = label_map(system)
    assert [system.phones.symbols[p] for p in labels.silence_phones] == ["sil"]
    assert len(labels.pdf_of) == system.transitions.num_transition_ids + 1
