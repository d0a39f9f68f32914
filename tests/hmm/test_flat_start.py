"""Flat start on features drawn from an HMM with known means."""

from __future__ import annotations

import numpy as np
import pytest

from asr_hf.hmm.align import AlignOptions, Transcript, TranscriptGraphs, align_set
from asr_hf.hmm.flat_start import FlatStartOptions, equal_alignment, flat_start
from asr_hf.hmm.lexicon import Lexicon
from asr_hf.hmm.mixtures import TrainingUtterance
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


def train(corpus, seed=0, extra=None):
    features, transcripts, _ = corpus
    features, transcripts = {**features, **(extra or {})}, dict(transcripts)
    for name in extra or {}:
        transcripts[name] = Transcript(sorted(WORDS), "en")
    system = HmmSystem.create([Lexicon("en", WORDS)])
    graphs, skips = TranscriptGraphs(system), SkipList("flat start", 0.5)
    utterances = {
        name: TrainingUtterance.of(x, graphs.graph(name, transcripts[name]), system.transitions)
        for name, x in features.items()
    }
    system.gmm = flat_start(
        system.transitions,
        utterances,
        {name: graphs.first_phones(name, transcripts[name]) for name in features},
        FlatStartOptions(iterations=15, gaussians=40, seed=seed),
        skips,
    )
    return system, skips


@pytest.fixture(scope="module")
def trained(corpus):
    return train(corpus)[0]


def test_segmentation_is_recovered(corpus, trained):
    features, transcripts, truth = corpus
    scorer = trained.gmm.scorer()
    found = align_set(
        TranscriptGraphs(trained),
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
