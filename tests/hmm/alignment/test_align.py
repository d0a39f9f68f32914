"""Forced alignment of scores whose segmentation is known."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_hf.hmm.alignment.align import align_set, fit_outliers
from asr_hf.hmm.alignment.segments import Segment
from asr_hf.hmm.alignment.spoken_path import AlignOptions, Transcript, TranscriptGraphs
from asr_hf.hmm.graph.lexicon import Lexicon
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.system import HmmSystem
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.skips import SkipList

OPTIONS = AlignOptions(acoustic_scale=1.0, beam=50.0, retry_beam=200.0)


def spoken(system, phones, durations):
    """pdf of each frame when each state of each phone lasts as long as given."""
    pdfs = np.concatenate(
        [system.transitions.pdfs_of_phone(system.phones.id(phone)) for phone in phones]
    )
    return np.repeat(pdfs, durations)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.sampled_from(["ax", "a", "eh"]), min_size=1, max_size=4),
    st.integers(0, 2**32),
    st.booleans(),
)
def test_known_segmentation_is_found_exactly(system, scores_for, words, seed, pauses):
    random = np.random.default_rng(seed)
    phones, spans = [], []
    for word in words:
        if pauses and random.random() < 0.5:
            phones.append("sil")
        pronunciation = system.languages["en"].lexicon.pronunciations[word][0]
        spans.append((len(phones), len(phones) + len(pronunciation)))
        phones += pronunciation
    counts = [5 if p == "sil" else 3 for p in phones]
    durations = random.integers(1, 6, sum(counts))
    truth = spoken(system, phones, durations)
    ends = np.cumsum([d.sum() for d in np.split(durations, np.cumsum(counts)[:-1])])
    starts = np.concatenate([[0], ends])
    skips = SkipList("test")
    scores = scores_for(truth, system.transitions.num_pdfs)
    found = align_set(system, [("u", scores)], {"u": Transcript(words, "en")}, OPTIONS, skips)
    assert not skips.reasons
    np.testing.assert_array_equal(found.pdfs["u"], truth)
    assert [s.label for s in found.phones["u"]] == phones
    assert [s.start for s in found.phones["u"]] == starts[:-1].tolist()
    assert found.words["u"] == [
        Segment(word, int(starts[first]), int(starts[last] - starts[first]))
        for word, (first, last) in zip(words, spans, strict=True)
    ]


def test_the_second_pronunciation_is_chosen_when_it_was_spoken(system, scores_for):
    truth = spoken(system, ["en_x", "en_a"], [2] * 6)
    scores = scores_for(truth, system.transitions.num_pdfs)
    found = align_set(
        system,
        [("u", scores)],
        {"u": Transcript(["x"], "en")},
        OPTIONS,
        SkipList("test"),
    )
    assert [s.label for s in found.phones["u"]] == ["en_x", "en_a"]
    assert found.words["u"] == [Segment("x", 0, 12)]


def align_one(system, scores, words, language="en"):
    skips = SkipList("test")
    align_set(
        system,
        [("utt7", scores)],
        {"utt7": Transcript(words, language)},
        OPTIONS,
        skips,
    )
    return skips.reasons


def test_what_cannot_be_aligned_is_skipped_by_name_and_reason(system, scores_for):
    pdfs = system.transitions.num_pdfs
    good = scores_for(np.zeros(30, int), pdfs)
    bad = good.copy()
    bad[4, 2] = np.nan
    assert (
        "no path through its transcript in 5 frames" in align_one(system, good[:5], ["ax"])["utt7"]
    )
    assert "empty transcript" in align_one(system, good, [])["utt7"]
    assert "NaN or infinite score in frame 4" in align_one(system, bad, ["ax"])["utt7"]
    assert "shape [30, 10]" in align_one(system, good[:, :-1], ["ax"])["utt7"]
    assert "no frames" in align_one(system, good[:0], ["ax"])["utt7"]
    assert "'zebra' is not in the lexicon of en" in align_one(system, good, ["zebra"])["utt7"]
    assert align_one(system, good, ["ax"]) == {}


def test_a_language_without_lexicon_stops(system, scores_for):
    with pytest.raises(InputError, match="utt7: its language 'fr' has no lexicon"):
        align_one(system, scores_for(np.zeros(30, int), system.transitions.num_pdfs), ["a"], "fr")


def test_unknown_words_are_spoken_noise_and_counted(lexicon, scores_for, caplog):
    system = HmmSystem.create([lexicon.with_unknown()])
    truth = spoken(system, ["en_a", "spn"], [2] * 8)
    scores = scores_for(truth, system.transitions.num_pdfs)
    with caplog.at_level(logging.WARNING):
        found = align_set(
            system,
            [("u", scores), ("v", scores)],
            {"u": Transcript(["a", "zebra"], "en"), "v": Transcript(["a", "zebra"], "en")},
            OPTIONS,
            SkipList("test"),
        )
    assert found.unknown == {"zebra": 2}
    assert [s.label for s in found.words["u"]] == ["a", "<unk>"]
    np.testing.assert_array_equal(found.pdfs["u"], truth)
    assert "2 words outside the lexicon became <unk>: zebra" in caplog.text


def test_each_utterance_uses_its_own_language(scores_for):
    system = HmmSystem.create(
        [Lexicon("en", {"do": (("en_d", "en_u"),)}), Lexicon("fr", {"do": (("fr_d", "fr_o"),)})]
    )
    truths = {
        "e": spoken(system, ["en_d", "en_u"], [2] * 6),
        "f": spoken(system, ["fr_d", "fr_o"], [2] * 6),
    }
    found = align_set(
        system,
        [(u, scores_for(t, system.transitions.num_pdfs)) for u, t in truths.items()],
        {"e": Transcript(["do"], "en"), "f": Transcript(["do"], "fr")},
        OPTIONS,
        SkipList("test"),
    )
    for utterance, truth in truths.items():
        np.testing.assert_array_equal(found.pdfs[utterance], truth)


def test_error_is_an_input_error_with_a_remedy(system):
    with pytest.raises(AlignmentError) as caught:
        TranscriptGraphs(system).graph("utt7", Transcript(["zebra"], "en"))
    assert caught.value.exit_code == 2
    assert "zebra" in caught.value.remedy


def test_a_wrong_transcript_fits_worst(system, scores_for):
    """The scores' own words, and in one utterance others of as many states."""
    truth = spoken(system, ["en_a", "en_x"], [3] * 6)
    scores = scores_for(truth, system.transitions.num_pdfs)
    transcripts = {f"u{n}": Transcript(["ax"], "en") for n in range(5)}
    transcripts["wrong"] = Transcript(["a", "a"], "en")
    skips = SkipList("test")
    every = [(name, scores) for name in transcripts]
    fits = align_set(system, every, transcripts, OPTIONS, skips).fits
    assert not skips.reasons and min(fits, key=fits.__getitem__) == "wrong"
    assert fit_outliers(fits) == ["wrong"]


@given(st.lists(st.floats(-500, -300), max_size=30), st.integers(1, 3))
def test_fit_outliers_are_few_and_the_worst(values, far):
    fits = {f"u{n}": value for n, value in enumerate(values)}
    found = fit_outliers(fits)
    # Less than half, whatever the values are: half of them lie at the median or above.
    assert len(found) <= len(fits) / 2
    others = [fit for name, fit in fits.items() if name not in found]
    assert all(fits[name] < min(others) for name in found)
    assert [fits[name] for name in found] == sorted(fits[name] for name in found)
    spread = {f"good{n}": -300.0 - n for n in range(20)}
    lost = {f"bad{n}": -1000.0 - n for n in range(far)}
    assert fit_outliers(spread | lost) == [f"bad{n}" for n in reversed(range(far))]
