"""HMMs for every k-th frame: labels, counts, graphs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_hf.hmm.alignment.align import AlignedSet
from asr_hf.hmm.alignment.segments import Segment, phone_spans, word_segments
from asr_hf.hmm.alignment.spoken_path import Transcript, TranscriptGraphs
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.search.search import align
from asr_hf.hmm.system import HmmSystem
from asr_hf.hmm.tree import sampled
from asr_hf.hmm.tree.sampled_states import CHAIN, EDGES
from asr_hf.kaldi.tree import PDF_CLASS, ContextDependency, Leaf, Node, Split, Table
from asr_hf.runtime.errors import InputError

from .. import kaldi_decoders

SIL, A, X = 1, 2, 3
PHONES = (SIL, A, X)
SETTINGS = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def tree() -> ContextDependency:
    """What comes before `a` matters for its first frame, what follows `x` for its last."""
    kinds: dict[int, tuple[Node, ...]] = {SIL: (Leaf(0), Leaf(7), Leaf(9))}
    kinds[A] = Split(0, (0, SIL), Leaf(5), Leaf(2)), Leaf(6), Split(2, (X,), Leaf(1), Leaf(10))
    kinds[X] = Leaf(3), Leaf(11), Split(2, (A,), Leaf(4), Leaf(8))
    tables = [Table(PDF_CLASS, kinds[phone]) for phone in PHONES]
    return ContextDependency(3, 1, Table(1, (None, *tables)))


@pytest.fixture
def every_third(system, tree) -> HmmSystem:
    transitions = TransitionModel(EDGES.topology(system.phones), tree=tree)
    return HmmSystem(system.phones, transitions, system.languages, subsampling=3)


SPOKEN = st.lists(st.tuples(st.sampled_from(PHONES), st.integers(1, 5)), min_size=1, max_size=6)


def path_of(system: HmmSystem, phones: list[tuple[int, int]]) -> np.ndarray:
    """The transition ids of phones with their numbers of emitted frames."""
    tree, transitions, ids = system.transitions.tree, system.transitions, []
    padded = [0, *(p for p, _ in phones), 0]
    for n, (phone, frames) in enumerate(phones):
        window = padded[n : n + 3]
        states = [0, *[1] * (frames - 2), 2][:frames]
        for state, target in zip(states, [*states[1:], 3], strict=True):
            pdf = tree.pdf(window, state)
            (number,) = (
                i
                for i in np.flatnonzero(
                    (transitions.phone_of == phone) & (transitions.pdf_of == pdf)
                )
                if goal(transitions, i) == (state, target)
            )
            ids.append(number)
    return np.array(ids, np.int32)


def goal(transitions: TransitionModel, number: int) -> tuple[int, int]:
    """State and next state of a transition id, as the topology's text lists them."""
    place = {(0, 0): 1, (0, 1): 2, (0, 2): 3, (1, 0): 1, (1, 1): 2, (2, 0): 3}
    first = int(np.flatnonzero(transitions.state_of == transitions.state_of[number])[0])
    state = transitions.states[int(transitions.state_of[number]) - 1][1]
    return state, place[state, number - first]


@given(SPOKEN)
@SETTINGS
def test_phones_are_found_on_paths(every_third, phones):
    path = path_of(every_third, phones)
    found = [(phone, frames) for phone, _, frames in phone_spans(path, every_third.transitions)]
    assert found == phones


@given(SPOKEN, st.integers(0, 2))
@SETTINGS
def test_whichever_third_frames_are_taken_labels_follow_the_path(every_third, phones, phase):
    """The labels at the full rate, of which every third makes a path of the sampled HMMs."""
    names = every_third.phones.symbols
    lengths = [frames + 2 for _, frames in phones]
    starts = np.cumsum([0, *lengths])
    segments = [
        Segment(names[phone], int(start), length)
        for (phone, _), start, length in zip(phones, starts, lengths, strict=False)
    ]
    aligned = AlignedSet(phones={"u": segments}, words={"u": []})
    sampled.label_frames(aligned, every_third, 1, lambda _: 0)
    labels = aligned.pdfs["u"]
    assert len(labels) == starts[-1]
    taken = [
        (phone, len(range(start + (phase - start) % 3, start + length, 3)))
        for (phone, _), start, length in zip(phones, starts.tolist(), lengths, strict=False)
    ]
    assert all(count > 0 for _, count in taken)
    path = path_of(every_third, taken)
    np.testing.assert_array_equal(labels[phase::3], every_third.transitions.pdf_of[path])


@given(SPOKEN, st.integers(0, 2))
@SETTINGS
def test_labels_of_first_and_other_frames_follow_the_path_too(system, phones, phase):
    """The states of lattice-free MMI: whichever third frames are taken, one is a phone's first."""
    kinds = {phone: (Leaf(2 * phone - 2), Leaf(2 * phone - 1)) for phone in PHONES}
    tables = [Table(PDF_CLASS, kinds[phone]) for phone in PHONES]
    tree = ContextDependency(2, 1, Table(1, (None, *tables)))
    transitions = TransitionModel(CHAIN.topology(system.phones), tree=tree)
    chain = HmmSystem(system.phones, transitions, system.languages, subsampling=3)
    lengths = [frames + 2 for _, frames in phones]
    starts = np.cumsum([0, *lengths]).tolist()
    segments = [
        Segment(system.phones.symbols[phone], start, length)
        for (phone, _), start, length in zip(phones, starts, lengths, strict=False)
    ]
    aligned = AlignedSet(phones={"u": segments}, words={"u": []})
    sampled.label_frames(aligned, chain, 1, lambda _: 0)
    expected = []
    for (phone, _), start, length in zip(phones, starts, lengths, strict=False):
        taken = len(range(start + (phase - start) % 3, start + length, 3))
        expected += [2 * phone - 2, *[2 * phone - 1] * (taken - 1)]
    assert aligned.pdfs["u"][phase::3].tolist() == expected


@given(SPOKEN)
@SETTINGS
def test_counts_are_those_of_the_paths_of_all_phases(every_third, phones):
    lengths = [frames + 2 for _, frames in phones]
    starts = np.cumsum([0, *lengths]).tolist()
    padded = [0, *(p for p, _ in phones), 0]
    placed = [
        (*padded[n : n + 3], start, length)
        for n, (start, length) in enumerate(zip(starts, lengths, strict=False))
    ]
    transitions = every_third.transitions
    found = sampled._counts([placed], transitions, transitions.tree, 3)
    expected = np.zeros_like(found)
    for phase in range(3):
        taken = [
            (phone, len(range(start + (phase - start) % 3, start + length, 3)))
            for (phone, _), start, length in zip(phones, starts, lengths, strict=False)
        ]
        np.add.at(expected, path_of(every_third, taken), 1)
    np.testing.assert_array_equal(found, expected)


def test_alignments_of_every_third_frame_are_labelled_at_the_full_rate(every_third):
    segments = [Segment("sil", 0, 2), Segment("en_a", 2, 1), Segment("en_x", 3, 2)]
    words = [Segment("ax", 2, 3)]
    aligned = AlignedSet(phones={"u": segments}, words={"u": words})
    sampled.label_frames(aligned, every_third, 3, lambda _: 13)
    assert aligned.phones["u"][-1] == Segment("en_x", 9, 4)
    assert aligned.words["u"] == [Segment("ax", 6, 7)]
    assert aligned.pdfs["u"].tolist() == [0, 0, 0, 9, 9, 9, 5, 5, 5, 3, 3, 3, 8]


@pytest.mark.parametrize("words", [["ax"], ["x", "a"], ["ax", "ax"], ["x", "x", "eh"]])
def test_search_and_forced_alignment_find_the_path(every_third, arpa, scores_for, words):
    """By our own search and by Kaldi's, phones of one frame and of several."""
    transitions = every_third.transitions
    transitions.update(np.random.default_rng(3).integers(1, 99, transitions.num_transition_ids + 1))
    language = every_third.languages["en"]
    graph = language.decoding_graph(arpa, transitions)
    for seed in range(4):
        random = np.random.default_rng(seed)
        phones = [
            (every_third.phones.id(p), int(random.integers(1, 4)))
            for word in words
            for p in (*random.choice(language.lexicon.pronunciations[word][:1]), "sil")
        ]
        path = path_of(every_third, phones)
        scores = scores_for(transitions.pdf_of[path], transitions.num_pdfs)
        spoken = TranscriptGraphs(every_third).graph("u", Transcript(words, "en"))
        beams = (1000.0, 2000.0)
        found = align(transitions, spoken, scores, "u", acoustic_scale=1.0, beams=beams)
        np.testing.assert_array_equal(found.transition_ids, path)
        decoded = kaldi_decoders.best_path(transitions, graph, scores)
        np.testing.assert_array_equal(decoded.transition_ids, path)
        assert [language.words.symbols[w] for w in found.words] == words
        spans = [
            Segment(every_third.phones.symbols[p], start, count)
            for p, start, count in phone_spans(found.transition_ids, transitions)
        ]
        assert word_segments(spans, words, language.lexicon.pronunciations) is not None


def test_the_system_on_disk_is_the_same(every_third, tmp_path):
    transitions = every_third.transitions
    transitions.update(np.random.default_rng(3).integers(1, 99, transitions.num_transition_ids + 1))
    every_third.save(tmp_path)
    read = HmmSystem.load(tmp_path)
    assert read.subsampling == 3
    np.testing.assert_array_equal(read.transitions.log_probs, transitions.log_probs)
    np.testing.assert_array_equal(read.transitions.pdf_of, transitions.pdf_of)
    text = (tmp_path / "hmm.json").read_text().replace('"subsampling": 3', '"subsampling": 7')
    (tmp_path / "hmm.json").write_text(text)
    with pytest.raises(InputError, match=r"hmm.json: subsampling 7"):
        HmmSystem.load(tmp_path)
