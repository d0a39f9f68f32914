"""Packs: moved, damaged, and made by strangers."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import soundfile

from asr_hf import Recogniser
from asr_hf.cli.main import main

from ..once import once
from .conftest import TONES, paths
from .test_transcribe import adapted, decoded, run, tones, wavs

__all__ = ["adapted", "run", "tones", "wavs"]


def make(root: Path, run: Path, data: Path) -> None:
    given = ["--config-dir", TONES[1], f"paths.data={data}", "decode.beam=14.0"]
    for name in ("model.asrhf", "folder"):
        assert main(["pack", str(run), str(root / name), *given]) == 0


@pytest.fixture(scope="session")
def packs(tones, tmp_path_factory) -> Path:
    """A folder with a pack as a file and one as a folder."""
    run, data = tones / "exp" / "first", tones / "data"
    return once(tmp_path_factory, "packs", lambda root: make(root, run, data))


@pytest.fixture
def transcribe(capsys):
    def call(pack: Path, *given: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["transcribe", str(pack), *map(str, given), "decode.jobs=1"])
        return code, *capsys.readouterr()

    return call


@pytest.mark.parametrize("name", ["model.asrhf", "folder"])
def test_a_pack_gives_the_words_of_its_run_without_the_corpus(
    packs, transcribe, run, wavs, tmp_path, monkeypatch, name
):
    moved = tmp_path / "elsewhere" / name
    moved.parent.mkdir()
    (shutil.copytree if name == "folder" else shutil.copy)(packs / name, moved)
    monkeypatch.chdir(tmp_path)
    code, out, err = transcribe(moved, *wavs)
    assert code == 0, err
    found = dict(line.split("\t") for line in out.splitlines())
    assert {Path(key).stem: words for key, words in found.items()} == decoded(run)
    samples, rate = soundfile.read(wavs[0])
    recogniser = Recogniser.load(moved)
    assert recogniser.transcribe(samples, rate).text == decoded(run)[wavs[0].stem]


def test_both_forms_hold_the_same_and_bring_their_search_along(packs):
    manifest = json.loads((packs / "folder" / "pack.json").read_text())
    assert manifest["decode"]["beam"] == 14.0 and manifest["languages"] == ["xx"]
    with zipfile.ZipFile(packs / "model.asrhf") as zipped:
        names = zipped.namelist()
        assert json.loads(zipped.read("pack.json"))["files"] == manifest["files"]
    assert sorted(names) == sorted([*manifest["files"], "pack.json"])
    assert not any("gmm" in name for name in names)


@pytest.fixture
def copy(packs, tmp_path) -> Path:
    return Path(shutil.copytree(packs / "folder", tmp_path / "copy"))


def change(pack: Path, **values: object) -> None:
    """Change a manifest."""
    path = pack / "pack.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


FILES = ["model.safetensors", "hmm/hmm.json", "hmm/topo", "hmm/graph/xx/HCLG.fst", "pack.json"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_damaged_or_missing_is_named(copy, transcribe, wavs, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    code, _, err = transcribe(copy, wavs[0])
    assert code == 2 and "Traceback" not in err
    assert name == "pack.json" or f"{name} has another content" in err
    (copy / name).unlink()
    code, _, err = transcribe(copy, wavs[0])
    assert code == 2 and ("no run there" if name == "pack.json" else f"{name} is missing") in err


FBANK = {
    **{"sample_rate": 8000, "num_mel_bins": 41, "low_freq": 20.0, "high_freq": 0.0},
    **{"window": "hamming", "frame_length": 25.0, "frame_shift": 10.0, "preemphasis": 0.97},
}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"format": 2}, "a pack of format 2"),
        ({"fbank": FBANK}, "41 features"),
        ({"fbank": FBANK | {"window": "evil"}}, "features.window=evil"),
        ({"fbank": {}}, "options of the filterbank are {}"),
        ({"fbank": None}, "damaged, or no pack"),
        ({"normalisation": {}}, "damaged, or no pack"),
        ({"weights": {"acoustic_scale": "0.1"}}, "decoding weights are"),
        ({"decode": {"beam": "${oc.env:HOME}"}}, "settings of decoding are"),
        ({"files": {"../../evil": {}}}, "is missing, or not of it"),
        ({"files": []}, "names no files"),
    ],
)
def test_a_manifest_that_says_otherwise_is_refused(copy, transcribe, wavs, values, said):
    change(copy, **values)
    code, _, err = transcribe(copy, wavs[0])
    assert code == 2 and said in err and "Traceback" not in err, err


def test_statistics_that_are_none_are_refused(copy, transcribe, wavs):
    normalisation = json.loads((copy / "pack.json").read_text())["normalisation"]
    for bad in ([[1.0] * 41], [[0.0] * 41] * 2, "x"):
        change(copy, normalisation=normalisation | {"training": bad})
        assert transcribe(copy, wavs[0])[0] == 2


def test_a_file_that_belongs_to_no_pack_is_refused(copy, transcribe, wavs):
    (copy / "hmm" / "more.txt").write_text("x")
    code, _, err = transcribe(copy, wavs[0])
    assert code == 2 and "hmm/more.txt is missing, or not of it" in err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("../../evil", b"x", "belongs to no pack"),
        ("/tmp/evil", b"x", "belongs to no pack"),
        ("hmm/../evil", b"x", "belongs to no pack"),
        ("hmm/bomb", bytes(200 << 20), "unzips to"),
    ],
    ids=["above", "absolute", "inside", "bomb"],
)
def test_a_zip_file_puts_nothing_elsewhere(packs, transcribe, wavs, tmp_path, name, content, said):
    evil = tmp_path / "a" / "b" / "evil.asrhf"
    evil.parent.mkdir(parents=True)
    shutil.copy(packs / "model.asrhf", evil)
    with zipfile.ZipFile(evil, "a", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr(name, content)
    code, _, err = transcribe(evil, wavs[0])
    assert code == 2 and said in err
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["evil.asrhf"]


def test_what_is_no_pack_is_refused_by_name(transcribe, wavs, packs, tmp_path):
    code, _, err = transcribe(wavs[0], wavs[1])
    assert code == 2 and f"{wavs[0]}: damaged, or no pack" in err
    half = tmp_path / "half.asrhf"
    half.write_bytes((packs / "model.asrhf").read_bytes()[:5000])
    code, _, err = transcribe(half, wavs[1])
    assert code == 2 and "cannot be unpacked" in err


def test_nothing_else_is_overwritten(run, tones, tmp_path, capsys):
    given = ["--config-dir", TONES[1], *paths(tones)[:1]]
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("x")
    assert main(["pack", str(run), str(tmp_path / "precious"), *given]) == 2
    assert "is no pack" in capsys.readouterr().err
    assert main(["pack", str(run), *given]) == 2
    assert (tmp_path / "precious" / "thesis.tex").exists()
    for _ in range(2):
        assert main(["pack", str(run), str(tmp_path / "new.asrhf"), *given]) == 0
