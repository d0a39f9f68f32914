"""Lattices against enumeration of their paths, and against the best-path decoder."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.hmm.alignment.align import Transcript
from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.lattice.lattice_paths import (
    arc_scores,
    best_path,
    log_paths,
    oracle_errors,
    prune,
    slack,
)
from asr_hf.hmm.lattice.lattices import LatticeJob, LatticeMaker, LatticeOptions, label_map
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.search.lattice_decoder import LatticeDecoder
from asr_hf.hmm.search.raw_lattice import NoPathError, RawLattice, to_lattice
from asr_hf.hmm.search.search import BestPathDecoder
from asr_hf.hmm.system import HmmSystem


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


@given(small_lattices(), st.floats(0.05, 2), st.floats(0, 4))
def test_best_path_slack_count_and_pruning_agree_with_enumeration(both, scale, beam):
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
    narrow = prune(lattice, scale, beam, max_arcs=10**6)
    narrow.check(num_labels=4)
    assert len(narrow.arcs) == (best - np.array(through) <= beam + 1e-6).sum()


@given(small_lattices(), st.integers(1, 12))
def test_pruning_to_a_number_of_arcs_keeps_the_best_path(both, most):
    lattice = both[1]
    narrow = prune(lattice, 1.0, 100.0, most)
    narrow.check(num_labels=4)
    assert len(narrow.arcs) <= max(most, len(best_path(lattice, 1.0).arcs))
    every, kept = (readings(0, x.arcs, x.finals, 1.0) for x in (lattice, narrow))
    assert kept[-1] == every[-1]
    assert set(kept) <= set(every)


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


@pytest.fixture
def graph(system: HmmSystem, arpa: Path):
    return system.languages["en"].decoding_graph(arpa, system.transitions)


def random_scores(system: HmmSystem, frames: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(0, 4, (frames, system.transitions.num_pdfs)).astype(np.float32)


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


@pytest.fixture
def make(system: HmmSystem, arpa: Path, tmp_path: Path):
    system.make_graphs(tmp_path, {"en": arpa})

    def maker(**changes) -> LatticeMaker:
        options = {
            "beam": 30.0,
            "lattice_beam": 2.0,
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
    made = make().make(job(system, "a x", "en_a en_x", scores_for))
    assert made.facts.oracle_errors == 0 and not made.facts.merged
    assert made.facts.arcs == len(made.lattice.arcs)
    assert made.facts.words == 2


def test_a_lost_reference_is_merged_along_its_alignment(system, make, scores_for):
    lost = job(system, "x ax", "en_x en_a en_x", scores_for, wrong_phones="en_a en_a en_a")
    made = make().make(lost)
    assert made.facts.merged and made.facts.oracle_errors > 0
    made.lattice.check(system.transitions.num_transition_ids)
    words = system.languages["en"].words.ids(["x", "ax"])
    assert words_in(made.lattice, words)
    plain = make().make(job(system, "a a a", "en_a en_a en_a", scores_for)).lattice
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
    made = make().make(lost)
    words = system.languages["en"].words.ids(["x", "ax"])
    only = scores_for(lost.alignment, system.transitions.num_pdfs, -1e4)
    wide = LatticeDecoder(system.transitions, graph, 1000.0, 50.0).decode(only, 1.0, "u")
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
    assert used.make(lost).facts.merged
    assert graph.to_str(show_weight_one=True) == before


def test_an_alignment_that_the_graph_cannot_follow_gives_way_to_the_scores(
    system, graph, make, scores_for
):
    lost = job(system, "x ax", "en_x en_a en_x", scores_for, wrong_phones="en_a en_a en_a")
    lost.alignment[0] = system.transitions.num_pdfs - 1  # In the middle of a phone.
    lost.log_likelihoods[:] += random_scores(system, 18, 0)
    made = make(lattice_beam=0.5).make(lost)
    assert made.facts.merged
    words = system.languages["en"].words.ids(["x", "ax"])
    acceptor = fsts.build([(i, i + 1, w, w, 1.0) for i, w in enumerate(words)], [2], 3)
    only = BestPathDecoder(system.transitions, fsts.compose(graph, acceptor), 1e4, 100_000)
    expected = only.decode(lost.log_likelihoods, 0.5, "u")
    scores = [
        score
        for score, _, found in readings(0, made.lattice.arcs, made.lattice.finals, 0.5)
        if found == tuple(words)
    ]
    assert scores == pytest.approx([expected.score], abs=1e-3)


def test_an_alignment_cut_off_inside_a_phone_gives_way_to_the_scores(system, make, scores_for):
    lost = job(system, "x ax", "en_x en_a en_x", scores_for, wrong_phones="en_a en_a en_a")
    cut = LatticeJob("u", lost.transcript, lost.alignment[:-3], lost.log_likelihoods[:-3])
    made = make().make(cut)
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
    made = make(**changes).make(job(system, words, phones, scores_for))
    assert made.lattice is None and made.facts is None and reason in made.reason


def test_a_lattice_of_too_many_arcs_is_narrowed(system, make, scores_for):
    one = job(system, "a x", "en_a en_x", scores_for)
    wide = make(lattice_beam=25.0).make(one)
    few = make(lattice_beam=25.0, max_arcs_per_frame=2).make(one)
    assert not wide.facts.narrowed and few.facts.narrowed
    assert wide.facts.arcs > 24
    assert few.facts.arcs <= max(24, len(best_path(few.lattice, 0.5).arcs))
    few.lattice.check(system.transitions.num_transition_ids)


def test_labels_map_to_pdfs_and_silence_is_known(system):
    labels = label_map(system)
    assert [system.phones.symbols[p] for p in labels.silence_phones] == ["sil"]
    assert len(labels.pdf_of) == system.transitions.num_transition_ids + 1
