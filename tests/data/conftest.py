"""Small corpora of speech-like audio, arks, and limits on what can be written."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_hf.data.ark import ArkWriter
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.runtime.files import read_json, write_json


def speech(seconds: float, seed: int = 0, rate: int = 8000) -> np.ndarray:
    """16-bit samples with a pitch, formants, pauses and breath, as in speech."""
    random = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    pitch = 110 + 30 * np.sin(2 * np.pi * 0.9 * t + seed)
    voiced = sum(
        np.sin(k * 2 * np.pi * np.cumsum(pitch) / rate) / k
        for k in range(1, 25)
        if k * 140 < rate / 2
    )
    envelope = np.clip(np.sin(2 * np.pi * 2.3 * t + seed), 0, None)
    wave = 4000 * envelope * voiced + random.normal(0, 60, len(t))
    return np.clip(wave, -32768, 32767).astype(np.int16)


def write_wav(path: Path, samples: np.ndarray, rate: int = 8000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_16", format="WAV")
    return path


def make_corpus(root: Path, count: int = 6, **changes: float) -> DataDir:
    """A data directory of `count` recordings of two speakers."""
    utterances, wavs = [], {}
    for number in range(count):
        name = f"s{number % 2}-u{number:02d}"
        seconds = changes.get(f"seconds_{number}", 0.5 + 0.1 * number)
        wavs[name] = str(write_wav(root / "wav" / f"{name}.wav", speech(seconds, number)))
        utterances.append(Utterance(name, name[:2], name, text=f"word {number}", language="en"))
    folder = root / "set"
    DataDir(folder, utterances, wavs).write()
    return DataDir.read(folder)


def make_features(folder: Path, matrices: dict[str, np.ndarray], cmvn: str = "none") -> Path:
    """A feature folder as extract_features leaves it."""
    with ArkWriter(folder, "feats") as ark:
        for name, matrix in matrices.items():
            ark.write(name, matrix.astype(np.float32))
    write_json(folder / "fbank.json", {"cmvn": cmvn, "options": {}})
    return folder


def bare_data(names: list[str]) -> DataDir:
    """Utterances without audio."""
    utterances = [Utterance(name, f"speaker-{name[0]}", name) for name in sorted(names)]
    return DataDir(Path("bare"), utterances, {})


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Writing a file beyond `size` bytes fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def corpus(tmp_path: Path) -> DataDir:
    return make_corpus(tmp_path)


def files_in(folder: Path) -> list[str]:
    """Every file below a folder, hidden ones too."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def unsealed(folder: Path, name: str = "store.json") -> Path:
    """The store in `folder` without checksums, as other tools may make one."""
    (folder / "checksums.npy").unlink()
    about = read_json(folder / name)
    write_json(folder / name, {k: about[k] for k in about if k not in ("checksum", "files")})
    return folder


def _helper(function: Callable[..., object]) -> object:
    return pytest.fixture(name=function.__name__, scope="session")(lambda: function)


# Test modules cannot import this one, so they ask for its functions by name.
give_speech, give_write_wav, give_make_corpus, give_make_features, give_bare_data = map(
    _helper, (speech, write_wav, make_corpus, make_features, bare_data)
)
give_files_in, give_file_size_limit, give_unsealed = map(
    _helper, (files_in, file_size_limit, unsealed)
)
