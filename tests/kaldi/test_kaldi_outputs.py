"""Files of Kaldi's own programs, read as those programs read them (fixtures/README.md)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asr_hf.data.ark import ArkReader, read_ark
from asr_hf.data.cmvn import CmvnMode
from asr_hf.data.store import FrameStore
from asr_hf.data.store_writer import build_store
from asr_hf.hmm.lattice.kaldi_lattices import checked_lattice, read_lattices
from asr_hf.hmm.search.raw_lattice import RawLattice
from asr_hf.kaldi.alignments import read_alignments, read_transitions
from asr_hf.kaldi.data_dir import read_kaldi_dir
from asr_hf.kaldi.features import link_features
from asr_hf.kaldi.options import read_cmvn_options
from asr_hf.kaldi.reader import KaldiReader
from asr_hf.kaldi.transforms import FeatureTransforms
from asr_hf.kaldi.transition_model import KaldiTransitionModel, read_transition_model
from asr_hf.kaldi.tree import read_tree
from asr_hf.kaldi.writer import KaldiWriter

from .kaldi_text import FIXTURES, integers, matrices

FEATS, CMVN, S5 = FIXTURES / "feats", FIXTURES / "cmvn", FIXTURES / "s5"
LDA, DENLATS = S5 / "exp/lda", S5 / "exp/lda_denlats"
# Kaldi prints six or seven digits.
CLOSE = {"rtol": 2e-5, "atol": 2e-5}


def same(found: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> None:
    assert list(found) == list(right)
    for name, matrix in right.items():
        np.testing.assert_allclose(found[name], matrix, err_msg=name, **CLOSE)


@pytest.mark.parametrize("form", ["binary", "text", *(f"method{n}" for n in range(2, 8))])
def test_archives_of_every_form(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.chdir(FIXTURES)
    right = matrices(FEATS / f"{'binary' if form == 'text' else form}.txt")
    reader = ArkReader(Path("feats") / f"{form}.scp")
    same({name: reader[name] for name in reader}, right)
    same(dict(read_ark(FEATS / f"{form}.ark")), right)


@pytest.mark.parametrize(
    ("form", "mark"),
    [(2, b"CM "), (3, b"CM2 "), (4, b"CM2 "), (5, b"CM3 "), (6, b"CM3 "), (7, b"CM3 ")],
)
def test_the_fixtures_hold_every_kind_of_compression(form: int, mark: bytes) -> None:
    assert b"\0B" + mark in (FEATS / f"method{form}.ark").read_bytes()


def test_an_archive_that_was_flushed_after_each_entry() -> None:
    same(dict(read_ark(FEATS / "flush.ark")), matrices(FEATS / "binary.txt"))


def test_ranges_end_where_kaldi_s_do(monkeypatch, caplog) -> None:
    monkeypatch.chdir(FIXTURES)
    reader = ArkReader("feats/ranges.scp")
    assert list(reader) == ["beyond0", "beyond1", "beyond2", "beyond3", "columns"]
    same({name: reader[name] for name in reader}, matrices(FEATS / "ranges.txt"))
    assert caplog.text.count("its range ends") == 1


@pytest.mark.parametrize("number", range(1, 8))
def test_features_normalised_as_apply_cmvn_does(tmp_path: Path, number: int) -> None:
    told = read_cmvn_options(CMVN / f"{number}.opts")
    mode = CmvnMode.SPEAKER if told.norm_means else CmvnMode.NONE
    link_features(S5 / "data/train", [tmp_path / "fbank"], mode, told.options)
    data = read_kaldi_dir(S5 / "data/train")
    build_store(tmp_path / "store", data, tmp_path / "fbank", None, "float32")
    same(stored(tmp_path / "store"), matrices(CMVN / f"{number}.txt"))


def stored(folder: Path) -> dict[str, np.ndarray]:
    store = FrameStore.open(folder)
    return {u: store.read(np.array([n])).features.numpy() for n, u in enumerate(store.utterances)}


@pytest.mark.parametrize("folder", ["exp/mono", "exp/lda/decode", "exp/lda/decode_raw"])
def test_transforms_of_the_folders_of_kaldi_s_scripts(tmp_path: Path, folder: str) -> None:
    """fMLLR of differences; of LDA one folder up; raw fMLLR before and fMLLR after LDA."""
    options = read_cmvn_options(LDA / "cmvn_opts").options
    link_features(S5 / "data/train", [tmp_path / "fbank"], CmvnMode.SPEAKER, options)
    transforms = FeatureTransforms.open([S5 / folder])
    data = read_kaldi_dir(S5 / "data/train")
    build_store(
        tmp_path / "store", data, tmp_path / "fbank", None, "float32", transform=transforms.apply
    )
    right = matrices(S5 / folder / "feats.txt")
    for name, frames in stored(tmp_path / "store").items():
        np.testing.assert_allclose(frames, right[name], rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("system", ["mono", "lda"])
def test_alignments_and_their_pdfs_and_phones(system: str) -> None:
    folder = S5 / "exp" / system
    ids, model = read_transitions([folder])
    assert {name: one.tolist() for name, one in ids.items()} == integers(folder / "ali.txt")
    pdfs = read_alignments([folder]).pdfs
    assert {name: one.tolist() for name, one in pdfs.items()} == integers(folder / "pdfs.txt")
    phones = {name: model.phone_of[one].tolist() for name, one in ids.items()}
    assert phones == integers(folder / "phones.ali.txt")


@pytest.mark.parametrize("file", ["final.mdl", "binary.trans", "text.trans"])
def test_transition_models_binary_and_text(file: str) -> None:
    right = (S5 / "exp/mono/binary.trans").read_bytes()
    model = read_transition_model(S5 / "exp/mono" / file)
    writer = KaldiWriter(binary=True)
    model.write(writer)
    # Seven digits of text lose the last bits of the log probabilities, which stand at the end.
    kept = right.index(b"<LogProbs>") - 2 if file == "text.trans" else len(right)
    assert writer.contents()[:kept] == right[2:][:kept]
    exact = KaldiReader.open(S5 / "exp/mono/binary.trans")
    log_probs = KaldiTransitionModel.read(exact).log_probs
    np.testing.assert_allclose(model.log_probs, log_probs, rtol=1e-5, atol=1e-6)


def test_trees_binary_and_text() -> None:
    binary, text = (read_tree(S5 / "exp/mono" / name) for name in ("tree", "tree.txt"))
    assert binary == text
    assert binary.num_pdfs == read_transition_model(S5 / "exp/mono/final.mdl").num_pdfs


def readings(raw: RawLattice) -> list[tuple[list[int], list[int], float, float]]:
    """Transition ids, words, graph and acoustic score of every path, sorted."""
    lattice = checked_lattice(raw, "u", 10**6)
    finals = {int(f["state"]): float(f["graph"]) for f in lattice.finals}
    found = []

    def walk(state: int, ids: list[int], words: list[int], graph: float, acoustic: float) -> None:
        if state in finals:
            found.append((ids, words, graph + finals[state], acoustic))
        for arc in lattice.arcs[lattice.arcs["source"] == state]:
            one, word = int(arc["label"]), int(arc["word"])
            more = ids + [one] * (one > 0), words + [word] * (word > 0)
            walk(int(arc["target"]), *more, graph + arc["graph"], acoustic + arc["acoustic"])

    walk(0, [], [], 0.0, 0.0)
    return sorted(found)


def test_lattices_in_every_form_hold_the_same_readings() -> None:
    """Compact binary, compact text and plain binary; lattice-copy's text of each is the oracle."""
    forms = [
        {},
        dict(read_lattices(DENLATS / "compact.txt")),
        dict(read_lattices(DENLATS / "plain.txt")),
    ]
    for part in (1, 2, 3):
        forms[0] |= dict(read_lattices(DENLATS / f"lat.{part}.gz"))
    best, words = integers(DENLATS / "best.txt"), integers(DENLATS / "words.txt")
    assert [list(form) for form in forms] == [list(best)] * 3
    assert sum(len(readings(raw)) for raw in forms[0].values()) > 12
    for name in best:
        first, *others = [readings(form[name]) for form in forms]
        for other in others:
            assert [r[:2] for r in other] == [r[:2] for r in first]
            np.testing.assert_allclose([r[2:] for r in other], [r[2:] for r in first], rtol=1e-4)
        top = max(first, key=lambda reading: reading[2] + 0.1 * reading[3])
        assert (top[0], top[1]) == (best[name], words[name])
