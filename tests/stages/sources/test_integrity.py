"""`asr-hf validate` on stores and runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

ONE = "trainer.stopping.max_iterations=1"


def flip(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


@pytest.fixture
def run(asr_hf, corpus, tmp_path) -> Path:
    assert asr_hf("train", *corpus, ONE).code == 0
    return tmp_path / "exp" / "prompts"


def test_a_run_is_checked_with_its_checkpoints_and_model(asr_hf, run):
    assert asr_hf("validate", str(run)).out == f"{run}: valid, 2 checkpoints\n"
    flip(run / "checkpoints" / "best-000001.ckpt", -9)
    flip(run / "model.safetensors", -1)
    outcome = asr_hf("validate", str(run))
    assert outcome.code == 2 and "2 problems found" in outcome.err
    for name in ("best-000001.ckpt: damaged checkpoint", "model.safetensors: damaged model"):
        assert name in outcome.out


def test_a_store_without_checksums_is_opened_and_said_to_have_none(asr_hf, corpus, tmp_path):
    folder = tmp_path / "data" / "prompts" / "store" / "train"
    outcome = asr_hf("validate", str(folder))
    assert outcome.code == 0 and "without checksums" in outcome.out
    with open(folder / "frames.bin", "ab") as file:
        file.write(b"more")
    assert asr_hf("validate", str(folder)).code == 2


def test_another_folder_is_taken_for_a_data_directory(asr_hf, tmp_path):
    outcome = asr_hf("validate", str(tmp_path))
    assert outcome.code == 2 and "utt2spk" in outcome.out


def test_directories_that_share_utterances_are_told_of(asr_hf, tmp_path):
    from scipy.io import wavfile

    wavfile.write(tmp_path / "a.wav", 8000, np.zeros(8000, np.int16))
    for name, utterances in {"train": ("u1", "u2"), "dev": ("u2",), "other": ("u3",)}.items():
        folder = tmp_path / name
        folder.mkdir()
        for file, value in (
            ("wav.scp", str(tmp_path / f"{name}.wav")),
            ("utt2spk", "s"),
            ("text", "word"),
        ):
            (folder / file).write_text("".join(f"{u} {value}\n" for u in utterances))
        (folder / "spk2utt").write_text(f"s {' '.join(utterances)}\n")
        (tmp_path / f"{name}.wav").symlink_to(tmp_path / "a.wav")
    outcome = asr_hf("validate", "train", "dev", "other")
    assert outcome.code == 0, outcome.out
    assert "1 of 1 utterances of dev are in train too (1 by name" in outcome.out
    assert outcome.out.count("warning") == 1
