"""Alignments, lattices and words in the folders that Kaldi's scripts leave."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from asr_hf.data.lattice_store import LatticeStore
from asr_hf.kaldi.graph import KaldiGraph, read_symbols
from asr_hf.runtime.errors import InputError
from asr_hf.stages import lattices
from asr_hf.stages.sources.external import pack_external

from ...kaldi.fixture_experiment import WORDS, config_of, refusal
from ...kaldi.kaldi_text import integers
from ...typed import typed

DENLATS = ["lattices.from_kaldi=exp/lda_denlats", "lattices.silence_phones=[SIL]"]


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ("3", "exp/lda: ali.3.gz is missing (1 of 3 files)"),
        ("9", "exp/lda: ali.3.gz, ali.4.gz, ali.5.gz, ali.6.gz, ali.7.gz ... are missing (7 of 9"),
        ("1", "exp/lda: ali.2.gz is more than num_jobs (1 of 2 files)"),
        ("two", "exp/lda/num_jobs: 'two'"),
        ("", "exp/lda/num_jobs: ''"),
    ],
)
def test_alignments_are_those_of_num_jobs(s5: Path, jobs: str, message: str) -> None:
    (s5 / "exp/lda/num_jobs").write_text(f"{jobs}\n")
    assert message in refusal()


def test_the_jobs_of_transforms_and_lattices_are_counted_too(s5: Path) -> None:
    (s5 / "exp/lda/decode/num_jobs").write_text("3\n")
    said = refusal("features.transforms=exp/lda/decode")
    assert "exp/lda/decode: trans.3 is missing" in said
    pack_external(typed(config_of()))
    (s5 / "exp/lda_denlats/lat.2.gz").unlink()
    with pytest.raises(InputError, match=r"lat\.2\.gz is missing"):
        lattices.run(typed(config_of(*DENLATS)))


def test_chain_alignments_are_named_as_such(s5: Path) -> None:
    third = "".join(
        f"{name} {' '.join(map(str, ids[::3]))}\n"
        for name, ids in integers(s5 / "exp/lda/pdfs.txt").items()
    )
    (s5 / "third.ark").write_text(third)
    said = refusal("alignment.from_kaldi=null", "alignment.from_ark=third.ark")
    assert "one label for 3 frames, as chain models align" in said
    (s5 / "exp/lda/frame_subsampling_factor").write_text("3\n")
    assert "exp/lda/frame_subsampling_factor: 3: one label for 3 frames" in refusal()
    (s5 / "exp/lda/frame_subsampling_factor").write_text("1\n")
    pack_external(typed(config_of()))
    (s5 / "exp/lda/graph/final.mdl").symlink_to(s5 / "exp/lda/final.mdl")
    (s5 / "exp/lda/graph/frame_subsampling_factor").write_text("3\n")
    with pytest.raises(InputError, match=r"graph/frame_subsampling_factor: 3"):
        KaldiGraph.open(s5 / "exp/lda/graph")
    (s5 / "exp/lda_denlats/frame_subsampling_factor").write_text("3\n")
    with pytest.raises(InputError, match=r"lda_denlats/frame_subsampling_factor: 3"):
        lattices.run(typed(config_of(*DENLATS)))


@pytest.mark.parametrize("place", ["alignments", "above", "inside"])
def test_denominator_lattices_find_their_model(s5: Path, place: str, caplog) -> None:
    config = config_of(*DENLATS)
    pack_external(typed(config))
    if place == "inside":
        shutil.copy(s5 / "exp/lda/final.mdl", s5 / "exp/lda_denlats")
    if place == "above":
        shutil.move(s5 / "exp/lda_denlats", s5 / "exp/lda/denlats")
        config.lattices.from_kaldi = "exp/lda/denlats"
    with caplog.at_level("INFO"):
        assert lattices.run(typed(config))["train"]["utterances"] >= 3
    assert ("exp/lda/final.mdl is taken" in caplog.text) == (place == "alignments")
    store = LatticeStore.open(s5 / "stores/kaldi/lattices/train")
    assert store.silence_phones == [1]
    frames = integers(s5 / "exp/lda/ali.txt")
    assert {u: store.num_frames(u) for u in store.utterances} == {
        u: len(frames[u]) for u in store.utterances
    }


def test_lattices_without_any_model(s5: Path) -> None:
    config = config_of(*DENLATS)
    pack_external(typed(config))
    config.alignment.from_kaldi = None
    with pytest.raises(InputError, match=r"lda_denlats: no final\.mdl") as caught:
        lattices.run(typed(config))
    assert "alignment.from_kaldi" in caught.value.remedy


@pytest.mark.parametrize("blank", ["\u00a0", "\u3000", "\u2028", "\u0085", "\x0c", "\u200b"])
def test_words_hold_blanks_that_are_not_ascii(s5: Path, blank: str) -> None:
    path = s5 / "words.txt"
    path.write_text(f"<eps> 0\nein{blank}haus 1\n{blank} \t2\n", newline="")
    assert read_symbols(path) == ["<eps>", f"ein{blank}haus", blank]


def test_words_of_a_graph_of_kaldi_s(s5: Path) -> None:
    assert KaldiGraph.open(s5 / "exp/lda/graph").words == WORDS


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"<eps> 0\nna\xefve 1\n", r"words\.txt:2: not UTF-8: b'na\\xefve 1'"),
        (b"<eps> 0\nein haus 1\n", r"words\.txt:2: 'ein haus 1'"),
        (b"<eps> 0\n\nja 1\n", r"words\.txt:2: ''"),
    ],
)
def test_words_that_cannot_be_read_are_named_by_line(s5: Path, raw: bytes, message: str) -> None:
    (s5 / "words.txt").write_bytes(raw)
    with pytest.raises(InputError, match=message):
        read_symbols(s5 / "words.txt")
