"""Probabilities of boundaries, held against all paths of toy graphs one by one."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_hf.hmm.alignment.boundaries import (
    Spread,
    either,
    mean,
    phone_boundaries,
    quantiles,
    within,
)
from asr_hf.hmm.alignment.boundary_graph import boundary_graph
from asr_hf.hmm.alignment.segments import phone_spans
from asr_hf.hmm.alignment.spoken_path import AlignOptions, Transcript, TranscriptGraphs
from asr_hf.hmm.alignment.times import FrameTimes, Timer, TimesOptions, time_set
from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.kaldi import kaldi_hmm_gmm as khg
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.search.search import with_transition_probs
from asr_hf.hmm.system import HmmSystem
from asr_hf.runtime.skips import SkipList

from ..conftest import random_scores

OPTIONS = AlignOptions(acoustic_scale=1.0, beam=50.0, retry_beam=200.0)
SCALE = 0.7


def reordered_graph(system, words):
    """The graph of words in which self-loops follow what leaves their state, as Kaldi makes it."""
    transitions, language = system.transitions, system.languages["en"]
    options = khg.TrainingGraphCompilerOptions(
        transition_scale=0.0, self_loop_scale=0.0, reorder=True
    )
    lexicon = fsts.sort(language.lexicon_fst(), "olabel")
    compiler = khg.TrainingGraphCompiler(
        transitions.kaldi, transitions.monophones, lexicon, [], options
    )
    return compiler.compile_graph_from_text(language.words.ids(words))


def arrays_of(system, words, reordered):
    graph = (
        reordered_graph(system, words)
        if reordered
        else TranscriptGraphs(system).graph("u", Transcript(words, "en"))
    )
    return fsts.arrays(with_transition_probs(system.transitions, graph))


def all_paths(graph, scores, pdf_of):
    """Every path that takes all frames: its transition ids and its log probability."""
    bounds = np.concatenate([[0], np.cumsum(graph.counts)])
    costs = np.ascontiguousarray(graph.arcs[:, 2]).view(np.float32)
    stack = [(graph.start, (), 0.0)]
    while stack:
        state, path, weight = stack.pop()
        if len(path) == len(scores) and np.isfinite(graph.finals[state]):
            yield path, weight - float(graph.finals[state])
        for arc in range(bounds[state], bounds[state + 1]):
            label, _, _, target = graph.arcs[arc].tolist()
            onward = weight - float(costs[arc])
            if not label:
                stack.append((target, path, onward))
            elif len(path) < len(scores):
                onward += SCALE * float(scores[len(path), pdf_of[label]])
                stack.append((target, (*path, label), onward))


def expected(system, graph, scores, spoken):
    """Probabilities of begins and ends by frame, from all paths that say the phones."""
    transitions, silence = system.transitions, system.phones.id("sil")
    begins = [defaultdict(list) for _ in spoken]
    ends = [defaultdict(list) for _ in spoken]
    for path, weight in all_paths(graph, scores, transitions.pdf_of):
        spans = phone_spans(np.asarray(path, np.int32), transitions)
        said = [span for span in spans if span[0] != silence]
        if [span[0] for span in said] == spoken:
            for number, (_, start, count) in enumerate(said):
                begins[number][start].append(math.exp(weight))
                ends[number][start + count].append(math.exp(weight))
    whole = math.fsum(value for values in begins[0].values() for value in values)
    return [
        [{f: math.fsum(v) / whole for f, v in sorted(one.items())} for one in found]
        for found in (begins, ends)
    ]


@pytest.mark.parametrize("reordered", [False, True])
@pytest.mark.parametrize(("phones", "frames"), [("en_a en_x", 11), ("en_a en_x en_a", 11)])
def test_probabilities_are_those_of_all_paths_that_say_the_phones(
    system, phones, frames, reordered
):
    graph, scores = arrays_of(system, ["a", "x"], reordered), random_scores(system, frames, 3)
    spoken = system.phones.ids(phones.split())
    pauses = [system.phones.id("sil")]
    paths = boundary_graph(graph, system.transitions, spoken, pauses)
    found = phone_boundaries(paths, scores, system.transitions.pdf_of, SCALE, "u")
    begins, ends = expected(system, graph, scores, spoken)
    for spreads, oracle in ((found.begins, begins), (found.ends, ends)):
        for spread, probabilities in zip(spreads, oracle, strict=True):
            dense = np.zeros(len(scores) + 1)
            dense[spread.frames] = spread.masses
            for frame, probability in probabilities.items():
                assert dense[frame] == pytest.approx(probability, rel=1e-6, abs=2e-9)
            assert math.fsum(probabilities.values()) == pytest.approx(1)
            assert dense.sum() == pytest.approx(1)
    # There is something to be unsure of: several frames, and pauses where there is time for them.
    assert len(ends[0]) > 2 and (begins[1] != ends[0]) == (len(spoken) == 2)


def test_phones_that_the_transcript_does_not_have_have_no_paths(system):
    graph = arrays_of(system, ["a", "x"], reordered=False)
    phones = system.phones.ids(["en_x", "en_x"])
    assert boundary_graph(graph, system.transitions, phones, [system.phones.id("sil")]) is None


@pytest.mark.parametrize("frames", [5, 1])
def test_too_few_frames_are_an_error_that_names_the_utterance(system, frames):
    graph, spoken = arrays_of(system, ["a", "x"], False), system.phones.ids(["en_a", "en_x"])
    paths = boundary_graph(graph, system.transitions, spoken, [system.phones.id("sil")])
    with pytest.raises(AlignmentError, match=f"utt9: no path through its phones in {frames}"):
        phone_boundaries(
            paths, random_scores(system, frames), system.transitions.pdf_of, 1.0, "utt9"
        )


def spoken_scores(system, phones, durations, wrong):
    """Scores of an utterance whose states last so long each, and the first frame of each phone."""
    pdfs = [system.transitions.pdfs_of_phone(system.phones.id(phone)) for phone in phones]
    truth = np.repeat(np.concatenate(pdfs), durations)
    scores = np.full((len(truth), system.transitions.num_pdfs), wrong, np.float32)
    scores[np.arange(len(truth)), truth] = 0
    ends = np.cumsum(durations)[np.cumsum([len(p) for p in pdfs]) - 1]
    return scores, np.concatenate([[0], ends])


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.sampled_from(["ax", "a", "x", "sil"]), min_size=1, max_size=5), st.integers(0, 9)
)
def test_boundaries_of_clear_speech_are_exact_and_sure(system, said, seed):
    words = [word for word in said if word != "sil"] or ["a"]
    lexicon = system.languages["en"].lexicon.pronunciations
    phones, pause = [], False
    for word in said if any(word != "sil" for word in said) else words:
        # There is at most one pause between words.
        phones += ["sil"] * (not pause) if word == "sil" else lexicon[word][0]
        pause = word == "sil"
    states = sum(5 if phone == "sil" else 3 for phone in phones)
    durations = np.random.default_rng(seed).integers(1, 6, states)
    scores, bounds = spoken_scores(system, phones, durations, -60.0)
    found = Timer(system, OPTIONS, 1.0, by_gmm=False).words("u", Transcript(words, "en"), scores)
    assert [word for word, _ in found] == words
    timed = [phone for _, parts in found for phone in parts]
    kept = [number for number, phone in enumerate(phones) if phone != "sil"]
    assert [phone.segment.label for phone in timed] == [phones[number] for number in kept]
    for phone, number in zip(timed, kept, strict=True):
        assert quantiles(phone.begin, [0.5])[0] == pytest.approx(bounds[number], abs=1e-3)
        assert quantiles(phone.end, [0.5])[0] == pytest.approx(bounds[number + 1], abs=1e-3)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**32), st.integers(20, 40), st.floats(0.02, 1.0))
def test_phones_follow_one_another_and_last_a_frame_at_least(system, seed, frames, scale):
    scores = random_scores(system, frames, seed)
    timer = Timer(system, OPTIONS, scale, by_gmm=False)
    found = timer.words("u", Transcript(["ax", "x", "a"], "en"), scores)
    at = -0.5
    for _, phones in found:
        for phone in phones:
            for share in (0.05, 0.5, 0.95):
                begin, end = (quantiles(s, [share])[0] for s in (phone.begin, phone.end))
                assert begin + 1 <= end + 1e-6
            begin, end = (quantiles(s, [0.5])[0] for s in (phone.begin, phone.end))
            assert at <= begin + 1e-6
            at = end
    assert at <= frames + 0.5


def test_unknown_words_keep_their_spelling(lexicon):
    system = HmmSystem.create([lexicon.with_unknown()])
    scores, bounds = spoken_scores(system, ["en_a", "spn"], np.full(8, 3), -60.0)
    timer = Timer(system, OPTIONS, 1.0, by_gmm=False)
    (_, (word, (noise,))) = timer.words("u", Transcript(["a", "zebra"], "en"), scores)
    assert (word, noise.segment.label) == ("zebra", "spn")
    assert quantiles(noise.begin, [0.5])[0] == pytest.approx(bounds[1], abs=1e-3)


def test_a_weaker_scale_is_less_sure(system):
    durations = np.random.default_rng(1).integers(2, 6, 9)
    scores, _ = spoken_scores(system, ["en_a", "en_x", "en_a"], durations, -4.0)
    widths = []
    for scale in (1.0, 0.3, 0.1):
        timer = Timer(system, OPTIONS, scale, by_gmm=False)
        ((_, first), _) = timer.words("u", Transcript(["ax", "a"], "en"), scores)
        low, high = quantiles(first[0].end, [0.05, 0.95])
        widths.append(high - low)
    assert widths == sorted(widths) and widths[0] < widths[2] / 2


def test_quantiles_lie_within_frames_and_two_spreads_make_one():
    spread = Spread(np.array([3, 4]), np.array([0.25, 0.75]))
    np.testing.assert_allclose(quantiles(spread, [0, 0.125, 0.25, 0.625, 1]), [2.5, 3, 3.5, 4, 4.5])
    assert mean(spread) == 3.75
    assert within(spread, 3, 4) == pytest.approx(0.5) and within(spread, 0, 9) == 1
    both = either(spread, Spread(np.array([4, 6]), np.array([0.5, 0.5])))
    assert both.frames.tolist() == [3, 4, 6]
    np.testing.assert_allclose(both.masses, [0.125, 0.625, 0.25])


def test_boundaries_lie_before_the_middle_between_windows_and_at_the_ends_of_the_utterance():
    times = FrameTimes(shift=0.01, window=0.025)
    places = np.array([-0.5, 0.0, 1.0, 5.5, 9.0, 10.0, 10.5])
    expected = [0, 0, 0.0075, 0.0525, 0.0875, 0.115, 0.115]
    np.testing.assert_allclose(times.of(places, 10), expected, atol=1e-12)
    # A network that emits every third frame.
    thirds = FrameTimes(shift=0.03, window=0.025)
    np.testing.assert_allclose(thirds.of(np.array([0.0, 2.0]), 10), [0.0, 0.0475], atol=1e-12)


def test_a_set_is_timed_and_what_cannot_be_is_skipped_by_name(system):
    scores, bounds = spoken_scores(system, ["en_a", "en_x"], np.full(6, 3), -60.0)
    options = TimesOptions(OPTIONS, 1.0, FrameTimes(0.01, 0.025))
    transcripts = {name: Transcript(["a", "x"], "en") for name in ("u", "short")}
    skips = SkipList("test")
    matrices = [("u", scores), ("short", scores[:4])]
    ((name, (first, second)),) = time_set(system, matrices, transcripts, options, skips)
    assert name == "u" and list(skips.reasons) == ["short"]
    assert (first.label, second.label) == ("a", "x")
    assert first.begin.time == pytest.approx(0, abs=1e-4)
    assert first.end == second.begin
    assert first.end.time == pytest.approx(bounds[1] * 0.01 - 0.0025, abs=1e-4)
    assert first.end.low < first.end.time < first.end.high and first.confidence > 0.99
    assert second.end.time == pytest.approx(17 * 0.01 + 0.025, abs=1e-4)
    in_recording = second.later(2.0)
    assert in_recording.begin.time == pytest.approx(second.begin.time + 2)
    assert in_recording.end == replace(
        second.end,
        time=second.end.time + 2,
        low=second.end.low + 2,
        high=second.end.high + 2,
    )
