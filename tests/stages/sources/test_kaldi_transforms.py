"""Transforms and options in the folders that Kaldi's scripts leave."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from asr_hf.stages.sources.external import pack_external

from ...kaldi.fixture_experiment import assert_packed, config_of, refusal, stored
from ...kaldi.kaldi_text import FIXTURES, matrices
from ...typed import typed


@pytest.mark.parametrize(
    ("system", "folder"),
    [("mono", "exp/mono"), ("lda", "exp/lda/decode"), ("lda", "exp/lda/decode_raw")],
)
def test_transforms_of_one_folder(s5: Path, system: str, folder: str) -> None:
    pack_external(
        typed(config_of(f"alignment.from_kaldi=exp/{system}", f"features.transforms={folder}"))
    )
    assert_packed(s5, s5 / folder / "feats.txt")


def split_jobs(source: Path, *names: str) -> None:
    """The jobs of a folder of transforms as folders of one job each."""
    for job, name in enumerate(names, start=1):
        (source.parent / name).mkdir()
        (source.parent / name / "num_jobs").write_text("1\n")
        for path in source.glob(f"*trans.{job}"):
            shutil.copy(path, source.parent / name / f"{path.name[:-2]}.1")


@pytest.mark.parametrize("folder", ["decode", "decode_raw"])
def test_transforms_of_several_folders(s5: Path, folder: str) -> None:
    split_jobs(s5 / "exp/lda" / folder, "train", "dev")
    pack_external(typed(config_of("features.transforms=[exp/lda/train,exp/lda/dev]")))
    assert_packed(s5, s5 / "exp/lda" / folder / "feats.txt")


def test_transforms_of_several_archives(s5: Path) -> None:
    """They have no folder that says what goes before; here nothing does."""
    for name, speakers in (("one", ["anna"]), ("two", ["ben", "cora"])):
        (s5 / name).write_text("".join(f"{s}  [\n 0 0 0 0 1 7 ]\n" for s in speakers))
    pack_external(typed(config_of("features.transforms=[one,two]", "features.cmvn=none")))
    raw = matrices(FIXTURES / "feats/method2.txt")
    for name, frames in stored(s5).items():
        np.testing.assert_allclose(frames, raw[name][:, 4:] + 7, atol=1e-4)


def test_transforms_that_do_not_belong_together(s5: Path) -> None:
    split_jobs(s5 / "exp/lda/decode", "one", "two")
    named = "features.transforms=[exp/lda/one,exp/lda/two]"
    assert "no transform of speaker" in refusal("features.transforms=[exp/lda/one]")
    (s5 / "exp/lda/two/trans.1").write_text("anna  [\n 1 0 0 0 0\n 0 1 0 0 0 ]\n")
    said = refusal(named)
    assert "exp/lda/two/trans.1: the transform of anna" in said and "exp/lda/one/trans.1" in said
    text = (s5 / "exp/lda/splice_opts").read_text()
    (s5 / "exp/lda/two/splice_opts").write_text(text.replace("2", "1"))
    assert "exp/lda/two: splice_opts" in refusal(named)
    shutil.copy(s5 / "exp/lda/final.mat", s5 / "exp/lda/one/final.mat")
    (s5 / "exp/lda/two/final.mat").write_text(" [\n 1 0\n 0 1 ]\n")
    assert "exp/lda/two: another final.mat" in refusal(named)
    assert "exp/mono: another final.mat, or none" in refusal(
        "features.transforms=[exp/lda/decode,exp/mono]"
    )
    shutil.copy(s5 / "exp/lda/decode_raw/raw_trans.1", s5 / "exp/lda/two/raw_trans.1")
    for path in ("one/final.mat", "two/final.mat", "two/splice_opts"):
        (s5 / "exp/lda" / path).unlink()
    assert "exp/lda/two: speakers are transformed otherwise" in refusal(named)


def test_what_alignments_have_for_features_is_said_where_it_is_left_out(s5: Path, caplog) -> None:
    with caplog.at_level("INFO"):
        pack_external(typed(config_of()))
    assert "exp/lda: its final.mat, splice_opts change nothing here" in caplog.text
    caplog.clear()
    with caplog.at_level("INFO"):
        pack_external(typed(config_of("features.transforms=exp/lda/decode")))
    assert "change nothing" not in caplog.text


def test_a_decoding_folder_whose_transforms_were_removed(s5: Path) -> None:
    for path in (s5 / "exp/lda/decode").glob("trans.*"):
        path.unlink()
    assert "exp/lda/decode: no transforms" in refusal("features.transforms=exp/lda/decode")
    # That of a system without speakers' transforms is another matter: LDA alone.
    pack_external(typed(config_of("features.transforms=exp/lda")))
    assert stored(s5)["anna-1"].shape[1] == 4


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("splice_opts", "--left-context=1 --rite-context=2", "splice_opts: --rite-context=2"),
        ("splice_opts", "--left-context=x", "splice_opts: --left-context=x"),
        ("splice_opts", "left-context=1", "splice_opts: left-context=1"),
        ("cmvn_opts", "--norm-vars=maybe", "cmvn_opts: --norm-vars=maybe"),
        ("cmvn_opts", "--cmn-window=300", "cmvn_opts: --cmn-window=300"),
        ("cmvn_opts", "--skip-dims=1,2", "cmvn_opts: --skip-dims=1,2"),
        ("cmvn_opts", "--skip-dims=5", "--skip-dims=5"),
        ("cmvn_opts", "--norm-vars --norm-means=f", "--norm-vars=true with --norm-means=false"),
    ],
)
def test_options_that_cannot_be_obeyed_are_named(
    s5: Path, file: str, text: str, message: str
) -> None:
    (s5 / "exp/lda" / file).write_text(f"{text}\n")
    assert message in refusal("features.transforms=exp/lda/decode")


@pytest.mark.parametrize(
    "text", ["--delta-order=1 --delta-window=0", "--delta-order=0", "--truncate=5", "--delta-order"]
)
def test_differences_that_cannot_be_made_are_named(s5: Path, text: str) -> None:
    (s5 / "exp/mono/delta_opts").write_text(text)
    said = refusal("alignment.from_kaldi=exp/mono", "features.transforms=exp/mono")
    # Order 0 leaves the features as they are, to which these transforms do not belong.
    assert ("exp/mono/trans.1: the transform" if "=0" in text[:16] else "delta_opts: --") in said


# CMVN.


@pytest.mark.parametrize("number", range(1, 8))
def test_cmvn_opts_of_the_alignments_are_obeyed(s5: Path, number: int) -> None:
    shutil.copy(FIXTURES / f"cmvn/{number}.opts", s5 / "exp/lda/cmvn_opts")
    pack_external(typed(config_of()))
    assert_packed(s5, FIXTURES / f"cmvn/{number}.txt")


def test_the_configuration_chooses_where_no_transforms_bind_it(s5: Path) -> None:
    pack_external(typed(config_of("corpus.norm_vars=true")))
    assert_packed(s5, FIXTURES / "cmvn/2.txt")
    (s5 / "exp/lda/cmvn_opts").unlink()
    pack_external(typed(config_of()))
    assert_packed(s5, FIXTURES / "cmvn/1.txt")
    pack_external(typed(config_of("features.cmvn=none")))
    assert_packed(s5, FIXTURES / "cmvn/3.txt")


def test_cmvn_opts_that_contradict(s5: Path) -> None:
    said = refusal("features.transforms=exp/lda/decode", "corpus.norm_vars=true")
    assert "corpus.norm_vars=true" in said and "exp/lda/cmvn_opts" in said
    (s5 / "exp/mono/cmvn_opts").write_text("--norm-vars=true\n")
    said = refusal("alignment.from_kaldi=[exp/lda,exp/mono]")
    assert "exp/mono/cmvn_opts: other options than in exp/lda/cmvn_opts" in said
    # A decoding folder's own options come before those of its system.
    (s5 / "exp/lda/decode/cmvn_opts").write_text("--norm-means=false\n")
    said = refusal("features.transforms=[exp/lda/decode,exp/lda/decode_raw]")
    assert "exp/lda/cmvn_opts: other options than in exp/lda/decode/cmvn_opts" in said
