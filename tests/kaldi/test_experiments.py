"""A small experiment of Kaldi's own programs (fixtures/README.md) as users meet such."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig

from asr_hf.cli.compose import load_config
from asr_hf.cli.main import main
from asr_hf.data.lattice_store import LatticeStore
from asr_hf.data.store import FrameStore
from asr_hf.kaldi.graph import KaldiGraph, read_symbols
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json
from asr_hf.stages import lattices
from asr_hf.stages.external import pack_decode_data, pack_external

from .conftest import TINY
from .kaldi_text import FIXTURES, integers, matrices

WORDS = ["<eps>", "ja", "nein", "d'ac\u00a0cord", "so\u3000so"]


@pytest.fixture
def s5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "s5"
    shutil.copytree(FIXTURES / "s5", root)
    monkeypatch.chdir(root)
    return root


def arguments(*more: str) -> list[str]:
    named = ["corpus.train_data=data/train", "alignment.from_kaldi=exp/lda", "paths.data=stores"]
    return ["+recipe=kaldi", *named, "corpus.heldout_share=0.3", *TINY, *more]


def config_of(*more: str) -> DictConfig:
    return load_config(arguments(*more))


def stored(root: Path) -> dict[str, np.ndarray]:
    """Frames of all utterances that were packed for training."""
    found = {}
    for name in ("train", "dev"):
        store = FrameStore.open(root / "stores/kaldi/store" / name)
        for unit, utterance in enumerate(store.utterances):
            found[utterance] = store.read(np.array([unit])).frames.numpy()
    return found


def assert_packed(root: Path, right: Path) -> None:
    found, wanted = stored(root), matrices(right)
    assert found.keys() == wanted.keys()
    for name, frames in found.items():
        np.testing.assert_allclose(frames, wanted[name], rtol=1e-4, atol=2e-4)


def refusal(*more: str) -> str:
    with pytest.raises(InputError) as caught:
        pack_external(config_of(*more))
    return str(caught.value)


# Sets that are named after training.


def other_set(folder: Path, name: str, utterances: int = 6) -> Path:
    """The training data under another name, relative paths and all."""
    shutil.copytree("data/train", folder / name)
    for file in ("utt2spk", "text"):
        lines = (folder / name / file).read_text().splitlines(keepends=True)
        (folder / name / file).write_text("".join(lines[:utterances]))
    return folder / name


def test_sets_named_after_training_are_packed_and_decoded(s5: Path) -> None:
    assert main(["train", *arguments()]) == 0
    near, far = other_set(s5 / "data", "eval", 4), other_set(s5.parent / "elsewhere", "other")
    more = ["decode.graph=exp/lda/graph", "decode.acoustic_scales=[0.1]", "decode.lm_scales=[1]"]
    more += [f"+corpus.decode_data.eval={near}", f"+corpus.decode_data.other={far}"]
    assert main(["decode", *arguments(*more, "decode.sets=[dev,eval,other]")]) == 0
    for name, count in (("eval", 4), ("other", 6)):
        store = FrameStore.open(s5 / "stores/kaldi/store" / name)
        assert store.num_units == count and store.num_pdfs == 0
        lines = (s5 / "exp/kaldi/decode" / name / "ref.txt").read_text().splitlines()
        words = {line.split(" ", 1)[0]: line.split(" ")[1:] for line in lines}
        assert words["anna-2"] == ["d'ac\u00a0cord"] and words["ben-1"] == ["nein", "so\u3000so"]
        hypotheses = (s5 / "exp/kaldi/decode" / name / "hyp.txt").read_text().splitlines()
        assert {w for line in hypotheses for w in line.split(" ")[1:]} <= set(WORDS)
    assert read_json(s5 / "exp/kaldi/decode/other/result.json")["words"] == 10


def test_a_set_for_decoding_is_kept_until_its_features_change(s5: Path) -> None:
    config = config_of(f"+corpus.decode_data.eval={other_set(s5 / 'data', 'eval')}")
    config.alignment.from_kaldi = None
    pack_decode_data(config, ["eval", "dev"])
    mark = s5 / "stores/kaldi/store/eval/store.json"
    before = mark.stat().st_mtime_ns
    pack_decode_data(config, ["eval"])
    assert mark.stat().st_mtime_ns == before
    lines = (s5 / "data/eval/feats.scp").read_text().splitlines()
    (s5 / "data/eval/feats.scp").write_text("\n".join(f"{line}[0:4]" for line in lines) + "\n")
    pack_decode_data(config, ["eval"])
    assert FrameStore.open(mark.parent).num_frames == 30


def test_training_and_decoding_agree_on_what_a_set_is_made_from(s5: Path) -> None:
    config = config_of(f"+corpus.decode_data.eval={other_set(s5 / 'data', 'eval')}")
    pack_external(config)
    mark = s5 / "stores/kaldi/store/eval/store.json"
    before = mark.stat().st_mtime_ns
    pack_decode_data(config, ["eval"])
    assert mark.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("dev=data/train", "corpus.decode_data.dev: there is a set of this name already"),
        ("eval=data/nowhere", "data/nowhere/utt2spk: there is no such file"),
        ("eval=data/bare", "data/bare/feats.scp: there is no such file"),
    ],
)
def test_sets_that_cannot_be_decoded(s5: Path, given: str, message: str) -> None:
    (s5 / "data/bare").mkdir()
    (s5 / "data/bare/utt2spk").write_text("a a\n")
    config = config_of(f"+corpus.decode_data.{given}")
    with pytest.raises(InputError, match=message):
        pack_decode_data(config, ["dev", "eval"])


# Transforms.


@pytest.mark.parametrize(
    ("system", "folder"),
    [("mono", "exp/mono"), ("lda", "exp/lda/decode"), ("lda", "exp/lda/decode_raw")],
)
def test_transforms_of_one_folder(s5: Path, system: str, folder: str) -> None:
    pack_external(config_of(f"alignment.from_kaldi=exp/{system}", f"features.transforms={folder}"))
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
    pack_external(config_of("features.transforms=[exp/lda/train,exp/lda/dev]"))
    assert_packed(s5, s5 / "exp/lda" / folder / "feats.txt")


def test_transforms_of_several_archives(s5: Path) -> None:
    """They have no folder that says what goes before; here nothing does."""
    for name, speakers in (("one", ["anna"]), ("two", ["ben", "cora"])):
        (s5 / name).write_text("".join(f"{s}  [\n 0 0 0 0 1 7 ]\n" for s in speakers))
    pack_external(config_of("features.transforms=[one,two]", "features.cmvn=none"))
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


def test_a_decoding_folder_whose_transforms_were_removed(s5: Path) -> None:
    for path in (s5 / "exp/lda/decode").glob("trans.*"):
        path.unlink()
    assert "exp/lda/decode: no transforms" in refusal("features.transforms=exp/lda/decode")
    # That of a system without speakers' transforms is another matter: LDA alone.
    pack_external(config_of("features.transforms=exp/lda"))
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
    pack_external(config_of())
    assert_packed(s5, FIXTURES / f"cmvn/{number}.txt")


def test_the_configuration_chooses_where_no_transforms_bind_it(s5: Path) -> None:
    pack_external(config_of("corpus.norm_vars=true"))
    assert_packed(s5, FIXTURES / "cmvn/2.txt")
    (s5 / "exp/lda/cmvn_opts").unlink()
    pack_external(config_of())
    assert_packed(s5, FIXTURES / "cmvn/1.txt")
    pack_external(config_of("features.cmvn=none"))
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


# Experiments that were moved.


def absolute(s5: Path, root: str) -> None:
    for name in ("feats", "cmvn"):
        scp = s5 / f"data/train/{name}.scp"
        scp.write_text(scp.read_text().replace(" mfcc/", f" {root}/mfcc/"))


@pytest.mark.parametrize("root", ["/old/home/s5", "/old/home/s5/../s5", "gone", "../other/s5"])
def test_a_moved_experiment_is_found_and_said(s5: Path, caplog, root: str) -> None:
    absolute(s5, root)
    pack_external(config_of())
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
        config_of(f"corpus.train_data={s5}/data/train", f"alignment.from_kaldi={s5}/exp/lda")
    )
    assert_packed(tmp_path / "elsewhere", FIXTURES / "cmvn/1.txt")


def test_archives_beside_the_scp_are_found_by_their_names(s5: Path) -> None:
    absolute(s5, "/old/s5")
    for path in (s5 / "mfcc").glob("*.ark"):
        path.rename(s5 / "data/train" / path.name)
    pack_external(config_of())
    assert_packed(s5, FIXTURES / "cmvn/1.txt")


def test_two_places_that_an_archive_may_have_moved_to(s5: Path) -> None:
    absolute(s5, "/old/tri")
    (s5 / "data/mfcc").symlink_to(s5 / "mfcc")
    # The same file by two ways is one.
    pack_external(config_of())
    (s5 / "data/mfcc").unlink()
    shutil.copytree(s5 / "mfcc", s5 / "data/mfcc")
    said = refusal()
    for path in ("/old/tri/mfcc/raw.1.ark", f"{s5}/mfcc/raw.1.ark", f"{s5}/data/mfcc/raw.1.ark"):
        assert path in said
    # A longer part of the path tells them apart.
    (s5 / "tri").symlink_to(s5)
    pack_external(config_of())


def test_an_archive_that_is_nowhere(s5: Path) -> None:
    absolute(s5, "/old/s5")
    shutil.rmtree(s5 / "mfcc")
    said = refusal()
    assert "data/train/feats.scp: there is no archive /old/s5/mfcc/raw.1.ark" in said
    assert str(s5) in said


# Alignments in jobs, and of chain models.


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
    pack_external(config_of())
    (s5 / "exp/lda_denlats/lat.2.gz").unlink()
    with pytest.raises(InputError, match=r"lat\.2\.gz is missing"):
        lattices.run(config_of(*DENLATS))


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
    pack_external(config_of())
    (s5 / "exp/lda_denlats/frame_subsampling_factor").write_text("3\n")
    with pytest.raises(InputError, match=r"lda_denlats/frame_subsampling_factor: 3"):
        lattices.run(config_of(*DENLATS))


# Lattices.

DENLATS = ["lattices.from_kaldi=exp/lda_denlats", "lattices.silence_phones=[SIL]"]


@pytest.mark.parametrize("place", ["alignments", "above", "inside"])
def test_denominator_lattices_find_their_model(s5: Path, place: str, caplog) -> None:
    config = config_of(*DENLATS)
    pack_external(config)
    if place == "inside":
        shutil.copy(s5 / "exp/lda/final.mdl", s5 / "exp/lda_denlats")
    if place == "above":
        shutil.move(s5 / "exp/lda_denlats", s5 / "exp/lda/denlats")
        config.lattices.from_kaldi = "exp/lda/denlats"
    with caplog.at_level("INFO"):
        assert lattices.run(config)["train"]["utterances"] >= 3
    assert ("exp/lda/final.mdl is taken" in caplog.text) == (place == "alignments")
    store = LatticeStore.open(s5 / "stores/kaldi/lattices/train")
    assert store.silence_phones == [1]
    frames = integers(s5 / "exp/lda/ali.txt")
    assert {u: store.num_frames(u) for u in store.utterances} == {
        u: len(frames[u]) for u in store.utterances
    }


def test_lattices_without_any_model(s5: Path) -> None:
    config = config_of(*DENLATS)
    pack_external(config)
    config.alignment.from_kaldi = None
    with pytest.raises(InputError, match=r"lda_denlats: no final\.mdl") as caught:
        lattices.run(config)
    assert "alignment.from_kaldi" in caught.value.remedy


# Words.


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
