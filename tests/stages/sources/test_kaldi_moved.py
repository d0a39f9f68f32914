"""Experiments that were moved: their scp files name archives that are elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from asr_hf.stages.sources.external import pack_external

from ...kaldi.fixture_experiment import assert_packed, config_of, refusal
from ...kaldi.kaldi_text import FIXTURES
from ...typed import typed


def absolute(s5: Path, root: str) -> None:
    for name in ("feats", "cmvn"):
        scp = s5 / f"data/train/{name}.scp"
        scp.write_text(scp.read_text().replace(" mfcc/", f" {root}/mfcc/"))


@pytest.mark.parametrize("root", ["/old/home/s5", "/old/home/s5/../s5", "gone", "../other/s5"])
def test_a_moved_experiment_is_found_and_said(s5: Path, caplog, root: str) -> None:
    absolute(s5, root)
    pack_external(typed(config_of()))
    assert_packed(s5, FIXTURES / "cmvn/1.txt")
    said = [r.message for r in caplog.records if "was moved" in r.message]
    assert len(said) == 2
    assert said[0].startswith("data/train/feats.scp: 6 entries name 1 archives that are not there")
    assert f"{root}/mfcc/raw.1.ark is taken from {s5}/mfcc/raw.1.ark" in said[0]


def test_a_moved_experiment_is_found_from_anywhere(s5: Path, monkeypatch, tmp_path: Path) -> None:
    absolute(s5, "/old/s5")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    pack_external(
        typed(config_of(f"corpus.train_data={s5}/data/train", f"alignment.from_kaldi={s5}/exp/lda"))
    )
    assert_packed(tmp_path / "elsewhere", FIXTURES / "cmvn/1.txt")


def test_archives_beside_the_scp_are_found_by_their_names(s5: Path) -> None:
    absolute(s5, "/old/s5")
    for path in (s5 / "mfcc").glob("*.ark"):
        path.rename(s5 / "data/train" / path.name)
    pack_external(typed(config_of()))
    assert_packed(s5, FIXTURES / "cmvn/1.txt")


def test_two_places_that_an_archive_may_have_moved_to(s5: Path) -> None:
    absolute(s5, "/old/tri")
    (s5 / "data/mfcc").symlink_to(s5 / "mfcc")
    # The same file by two ways is one.
    pack_external(typed(config_of()))
    (s5 / "data/mfcc").unlink()
    shutil.copytree(s5 / "mfcc", s5 / "data/mfcc")
    said = refusal()
    for path in ("/old/tri/mfcc/raw.1.ark", f"{s5}/mfcc/raw.1.ark", f"{s5}/data/mfcc/raw.1.ark"):
        assert path in said
    # A longer part of the path tells them apart.
    (s5 / "tri").symlink_to(s5)
    pack_external(typed(config_of()))


def test_an_archive_that_is_nowhere(s5: Path) -> None:
    absolute(s5, "/old/s5")
    shutil.rmtree(s5 / "mfcc")
    said = refusal()
    assert "data/train/feats.scp: there is no archive /old/s5/mfcc/raw.1.ark" in said
    assert str(s5) in said
