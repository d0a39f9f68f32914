"""Triphones trained on features drawn from an HMM whose states depend on their context."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asr_hf.data.ark import ArkReader, ArkWriter
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.hmm.alignment.align import align_set
from asr_hf.hmm.alignment.corpus import speaker_features, train_system
from asr_hf.hmm.alignment.flat_start import FlatStartOptions
from asr_hf.hmm.alignment.spoken_path import AlignOptions, Transcript
from asr_hf.hmm.gmm.cepstra import cepstra
from asr_hf.hmm.graph.lexicon import Lexicon
from asr_hf.hmm.tree.triphones import TyingOptions, evenly_spaced, train_triphones
from asr_hf.runtime.skips import SkipList

WORDS = {f"w{a}{b}": ((f"en_{a}", f"en_{b}"),) for a in "pqrs" for b in "pqrs" if a != b}
BINS = 20
OPTIONS = TyingOptions(states=20, gaussians=40, passes=8, max_utterances=None, seed=0)


def special(phone: str, state: int, before: str) -> bool:
    """The first state of `q` sounds otherwise after `p`, and that of `s` after `r`."""
    return (phone, before) in (("en_q", "en_p"), ("en_s", "en_r")) and state == 0


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Data, filterbanks, transcripts, and each frame's phone and whether it is a special one."""
    root = tmp_path_factory.mktemp("triphones")
    random = np.random.default_rng(0)
    phones = ["sil", *(f"en_{p}" for p in "pqrs"), "special"]
    shapes = {n: random.normal(0, 3, (5 if n == "sil" else 3, BINS)) for n in phones}
    utterances, transcripts, truth = [], {}, {}
    with ArkWriter(root / "fbank", "feats") as feats:
        for number in range(120):
            words = list(random.choice(sorted(WORDS), 4))
            spoken = ["sil", *(p for w in words for p in WORDS[w][0]), "sil"]
            means, labels = [], []
            for index, phone in enumerate(spoken):
                for state in range(len(shapes[phone])):
                    other = special(phone, state, spoken[index - 1] if index else "")
                    count = random.integers(2, 6)
                    means += [shapes["special" if other else phone][state]] * count
                    labels += [(phone, other)] * count
            key = f"u{number:03d}"
            frames = np.stack(means) + random.normal(size=(len(means), BINS))
            feats.write(key, frames.astype(np.float32))
            transcripts[key], truth[key] = Transcript(words, "en"), labels
            utterances.append(Utterance(key, "s", key, text=" ".join(words), language="en"))
    data = DataDir(root / "train", utterances, {u.id: f"{u.id}.wav" for u in utterances})
    return data, root / "fbank" / "feats.scp", transcripts, truth


def monophones(drawn):
    data, scp, transcripts, _ = drawn
    flat = FlatStartOptions(iterations=12, gaussians=40)
    with_words = [Lexicon("en", WORDS)]
    skips = SkipList("flat start")
    return train_system(with_words, data, ArkReader(scp), transcripts, flat, None, skips)


def tied(drawn, options=OPTIONS, skips=None):
    data, scp, transcripts, _ = drawn
    skips = SkipList("tying", 0.2) if skips is None else skips
    return train_triphones(monophones(drawn), data, ArkReader(scp), transcripts, options, skips)


@pytest.fixture(scope="module")
def system(drawn):
    return tied(drawn)


def aligned(drawn, system) -> dict[str, np.ndarray]:
    data, scp, transcripts, _ = drawn
    features = speaker_features(data, ArkReader(scp))
    options, skips = AlignOptions(acoustic_scale=1.0), SkipList("alignment")
    return align_set(system, features, transcripts, options, skips, by_gmm=True).pdfs


def test_the_contexts_that_differ_have_pdfs_of_their_own(drawn, system):
    ids = {name: system.phones.id(name) for name in system.phones.symbols}
    tree = system.transitions.tree
    for phone, cause in (("en_q", "en_p"), ("en_s", "en_r")):
        found = {b: tree.pdf([ids[b], ids[phone], ids["sil"]], 0) for b in ids if b != "<eps>"}
        others = {pdf for before, pdf in found.items() if before != cause}
        assert found[cause] not in others
    assert tree.num_pdfs <= 20
    for phone in ("en_p", "en_r"):
        assert len(system.transitions.pdfs_of_phone(ids[phone])) == 3


def test_segmentation_and_special_states_are_recovered(drawn, system):
    truth, found = drawn[3], aligned(drawn, system)
    phone_of = dict(
        zip(system.transitions.pdf_of[1:], system.transitions.phone_of[1:], strict=True)
    )
    right = total = 0
    flags_of: dict[int, list[bool]] = {}
    for name, labels in truth.items():
        for pdf, (phone, is_special) in zip(found[name], labels, strict=True):
            right += system.phones.symbols[phone_of[pdf]] == phone
            total += 1
            flags_of.setdefault(int(pdf), []).append(is_special)
    assert right / total > 0.9
    caught = sum(sum(flags) for flags in flags_of.values() if np.mean(flags) > 0.8)
    assert caught / sum(sum(flags) for flags in flags_of.values()) > 0.8


def test_two_runs_agree_bit_for_bit(drawn, system):
    again = tied(drawn)
    assert again.transitions.tree == system.transitions.tree
    assert again.transitions.log_probs.tobytes() == system.transitions.log_probs.tobytes()
    for field in ("starts", "weights", "means", "variances"):
        assert getattr(again.gmm, field).tobytes() == getattr(system.gmm, field).tobytes()


def test_utterances_without_an_alignment_are_reported_and_left_out(drawn, tmp_path: Path):
    data, scp, transcripts, _ = drawn
    fbank, short = ArkReader(scp), "u000"
    with ArkWriter(tmp_path, "feats") as feats:
        for one in data.utterances:
            feats.write(one.id, fbank[one.id][: 9 if one.id == short else None])
    skips = SkipList("tying", 0.2)
    train_triphones(
        monophones(drawn), data, ArkReader(tmp_path / "feats.scp"), transcripts, OPTIONS, skips
    )
    assert list(skips.reasons) == [short]


def test_a_part_of_the_utterances_is_spread_over_all():
    names = [f"u{n}" for n in range(10)]
    assert evenly_spaced(names, 4) == ["u0", "u2", "u5", "u7"]
    assert (
        evenly_spaced(names, 10) == evenly_spaced(names, None) == evenly_spaced(names, 99) == names
    )


def test_features_are_those_of_the_flat_start(drawn, system):
    data, scp, _, _ = drawn
    dim = cepstra(ArkReader(scp)[data.utterances[0].id]).shape[1]
    assert system.gmm.means.shape[1] == dim
