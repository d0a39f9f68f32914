"""Verbs beside train in several processes: rank 0 does them, the others help."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_hf.cli.main import main

SETTINGS = ["+recipe=prompts", "corpus.sets=[train]", "features.allow_pipes=true"]
FBANK = Path("data/prompts/fbank/train")


@pytest.fixture
def recordings(tmp_path, monkeypatch) -> Path:
    """Twelve recordings; the last is ready when the file `gate` is there."""
    folder = tmp_path / "data" / "prompts" / "train"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    names, wavs = [f"u{n:02d}" for n in range(12)], []
    for name in names:
        wav = tmp_path / f"{name}.wav"
        soundfile.write(wav, 0.1 * random.normal(size=4000 + random.integers(4000)), 8000)
        wavs.append(f"{name} {wav}\n")
    gate = tmp_path / "gate"
    waiting = f"{names[-1]} until [ -e {gate} ]; do sleep 0.05; done; cat {tmp_path / 'u11.wav'} |"
    (folder / "wav.scp").write_text("".join([*wavs[:-1], waiting + "\n"]))
    (folder / "utt2spk").write_text("".join(f"{name} {name}\n" for name in names))
    (folder / "text").write_text("".join(f"{name} yes\n" for name in names))
    monkeypatch.chdir(tmp_path)
    return gate


def start(rank: int, port: int, *arguments: str) -> subprocess.Popen[str]:
    placed = {"RANK": rank, "WORLD_SIZE": 3, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return subprocess.Popen(
        [sys.executable, "-m", "asr_hf", "features", *SETTINGS, *arguments],
        env=os.environ | {name: str(value) for name, value in placed.items()},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def start_three(*arguments: str) -> list[subprocess.Popen[str]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return [start(rank, port, *arguments) for rank in range(3)]


def ends_of(ranks: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    errors = [rank.communicate(timeout=60)[1] for rank in ranks]
    return [(rank.returncode, error) for rank, error in zip(ranks, errors, strict=True)]


def test_the_first_writes_what_the_others_compute(recordings):
    recordings.touch()
    assert [code for code, _ in ends_of(start_three())] == [0, 0, 0]
    found = (FBANK / "feats.ark").read_bytes()
    (FBANK / "feats.ark").unlink()
    assert main(["features", *SETTINGS]) == 0
    assert (FBANK / "feats.ark").read_bytes() == found


def waits(rank: subprocess.Popen[str], gate: Path) -> bool:
    """Whether a rank runs the command that waits for the gate; libraries start some, too."""
    for child in Path(f"/proc/{rank.pid}/task/{rank.pid}/children").read_text().split():
        with suppress(OSError):
            if str(gate).encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                return True
    return False


def helper_at_work(ranks: list[subprocess.Popen[str]], gate: Path) -> int:
    """The rank whose command waits for the gate."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for number, rank in enumerate(ranks):
            if waits(rank, gate):
                return number
        time.sleep(0.05)
    raise AssertionError("none came to the last recording")


def test_a_killed_helper_ends_the_verb_by_name_and_the_same_command_continues(recordings):
    ranks = start_three()
    number = helper_at_work(ranks, recordings)
    assert number > 0
    os.kill(ranks[number].pid, signal.SIGKILL)
    recordings.touch()
    ends = ends_of(ranks)
    assert ends[0][0] == 1 and ranks[number].returncode == -signal.SIGKILL
    assert ranks[3 - number].returncode == 0
    assert f"features of train: rank {number} is gone" in ends[0][1]
    assert [error for _, error in ends[1:]] == ["", ""]
    assert not (FBANK / "fbank.json").exists()
    assert [code for code, _ in ends_of(start_three())] == [0, 0, 0]


def test_an_error_is_told_by_the_first_alone(recordings):
    recordings.touch()
    (code, error), *others = ends_of(start_three("features.num_mel_bins=-3"))
    assert code == 2
    assert error.count("asr-hf: error:") == 1
    assert others == [(0, ""), (0, "")]
