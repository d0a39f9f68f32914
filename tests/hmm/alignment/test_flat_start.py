"""Flat start on features drawn from an HMM with known means."""

from __future__ import annotations

import numpy as np
import pytest

from asr_hf.hmm.alignment import training_set
from asr_hf.hmm.alignment.align import align_set
from asr_hf.hmm.alignment.flat_start import FlatStartOptions, equal_alignment, flat_start
from asr_hf.hmm.alignment.spoken_path import AlignOptions, Transcript
from asr_hf.hmm.alignment.training_set import open_training_set
from asr_hf.hmm.graph.lexicon import Lexicon
from asr_hf.hmm.system import HmmSystem
from asr_hf.runtime.skips import SkipList

WORDS = {f"w{a}{b}": ((f"en_{a}", f"en_{b}"),) for a in "pqr" for b in "pqr" if a != b}


@pytest.fixture(scope="module")
def corpus():
    """Utterances of three words between pauses; three Gaussian states a phone."""
    random = np.random.default_rng(0)
    system = HmmSystem.create([Lexicon("en", WORDS)])
    means = random.normal(0, 3, (system.transitions.num_pdfs, 6))
    features, transcripts, truth = {}, {}, {}
    for number in range(60):
        words = list(random.choice(sorted(WORDS), 3))
        phones = ["sil", *(p for w in words for p in WORDS[w][0]), "sil"]
        pdfs = np.concatenate(
            [system.transitions.pdfs_of_phone(system.phones.id(phone)) for phone in phones]
        )
        labels = np.repeat(pdfs, random.integers(2, 7, len(pdfs)))
        name = f"u{number:02d}"
        features[name] = (means[labels] + random.normal(size=(len(labels), 6))).astype(np.float32)
        transcripts[name], truth[name] = Transcript(words, "en"), labels
    return features, transcripts, truth


def train(corpus, seed=0, extra=None, jobs=1):
    features, transcripts, _ = corpus
    features, transcripts = {**features, **(extra or {})}, dict(transcripts)
    for name in extra or {}:
        transcripts[name] = Transcript(sorted(WORDS), "en")
    system, skips = HmmSystem.create([Lexicon("en", WORDS)]), SkipList("flat start", 0.5)
    options = FlatStartOptions(iterations=15, gaussians=40, seed=seed)
    with open_training_set(system, features, transcripts, skips, jobs) as training:
        system.gmm = flat_start(training, options, skips)
    return system, skips


@pytest.fixture(scope="module")
def trained(corpus):
    return train(corpus)[0]


def test_segmentation_is_recovered(corpus, trained):
    features, transcripts, truth = corpus
    scorer = trained.gmm.scorer()
    found = align_set(
        trained,
        [(name, scorer.log_likelihoods(x)) for name, x in features.items()],
        transcripts,
        AlignOptions(acoustic_scale=1.0),
        SkipList("alignment"),
    )
    phone_of = dict(
        zip(trained.transitions.pdf_of[1:], trained.transitions.phone_of[1:], strict=True)
    )
    right = total = 0
    for name, labels in truth.items():
        same = [phone_of[a] == phone_of[b] for a, b in zip(found.pdfs[name], labels, strict=True)]
        right, total = right + sum(same), total + len(same)
    assert right / total > 0.9


def test_two_runs_agree_bit_for_bit_and_another_seed_does_not(corpus, trained):
    again, _ = train(corpus)
    for field in ("starts", "weights", "means", "variances"):
        assert getattr(again.gmm, field).tobytes() == getattr(trained.gmm, field).tobytes()
    assert again.transitions.log_probs.tobytes() == trained.transitions.log_probs.tobytes()
    other, _ = train(corpus, seed=1)
    assert other.gmm.means.tobytes() != trained.gmm.means.tobytes()


def test_several_processes_make_the_same_system_and_alignment(corpus, trained, monkeypatch):
    monkeypatch.setattr(training_set, "_WORTH_A_PROCESS", 100)
    outliers = {f"short{i}": np.full((35, 6), 60.0, np.float32) for i in range(8)}
    (one, left), (three, also_left) = (train(corpus, extra=outliers, jobs=n) for n in (1, 3))
    assert three.gmm.means.tobytes() == one.gmm.means.tobytes()
    assert three.transitions.log_probs.tobytes() == one.transitions.log_probs.tobytes()
    assert also_left.reasons == left.reasons and list(left.reasons) == list(outliers)
    features, transcripts, _ = corpus
    found = [
        align_set(
            trained,
            features.items(),
            transcripts,
            AlignOptions(),
            SkipList("alignment"),
            by_gmm=True,
            jobs=jobs,
        )
        for jobs in (1, 2)
    ]
    assert list(found[1].pdfs) == list(found[0].pdfs) == list(features)
    for name in features:
        np.testing.assert_array_equal(found[1].pdfs[name], found[0].pdfs[name])
    assert found[1].phones == found[0].phones and found[1].words == found[0].words


def test_utterances_too_short_for_their_words_are_reported_and_left_out(corpus):
    outliers = {f"short{i}": np.full((35, 6), 60.0, np.float32) for i in range(8)}
    system, skips = train(corpus, extra=outliers)
    assert list(skips.reasons) == list(outliers)
    assert np.abs(system.gmm.means).max() < 15


def test_first_alignment_is_even(trained):
    phones = trained.phones.ids(["sil", "en_p"])
    pdfs = equal_alignment(trained.transitions, phones, 16)
    expected = np.concatenate([trained.transitions.pdfs_of_phone(p) for p in phones])
    np.testing.assert_array_equal(pdfs, np.repeat(expected, 2))
