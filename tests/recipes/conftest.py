"""A small package of prompts, laid out as Debian's packages or the project's tarballs are."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from omegaconf import DictConfig

from asr_hf.cli.compose import load_config

# Words of the toy prompts stand in several sentences, so that some may be held out.
_VERBS = ("press", "dial", "enter", "record", "delete", "save", "repeat", "play")
_THINGS = ("your message", "the number", "a new extension", "your password", "the conference")
TRANSCRIPTS = {
    "beep": "[this is a simple beep tone]",
    "digits/1": "one",
    "digits/2": "two",
    "letters/at": "at [@]",
    "vm-goodbye": "Goodbye",
    **{
        f"vm-{verb}{i}": f"Please {verb} {thing}."
        for verb in _VERBS
        for i, thing in enumerate(_THINGS)
    },
    **{f"to-{verb}": f"To {verb} it, dial {i}." for i, verb in enumerate(_VERBS, start=1)},
}


def write_package(
    root: Path,
    debian: bool = True,
    transcripts: dict[str, str] = TRANSCRIPTS,
    rate: int = 8000,
) -> Path:
    """Write recordings of plausible length and their list; returns the folder of recordings."""
    sounds = root / "usr/share/asterisk/sounds/en_US_f_Allison" if debian else root
    doc = root / "usr/share/doc/asterisk-core-sounds-en" if debian else root
    listed = "\ufeff; Core Asterisk Sounds\n\n" + "".join(
        f"{name}: {text}\n" for name, text in transcripts.items()
    )
    doc.mkdir(parents=True, exist_ok=True)
    if debian:
        (doc / "core-sounds-en.txt.gz").write_bytes(gzip.compress(listed.encode()))
    else:
        (doc / "core-sounds-en.txt").write_text(listed, encoding="utf-8")
    noise = np.random.default_rng(0)
    for name, text in transcripts.items():
        wav = sounds / f"{name}.wav"
        wav.parent.mkdir(parents=True, exist_ok=True)
        samples = noise.normal(scale=0.1, size=int(rate * (0.2 + 0.08 * len(text))))
        soundfile.write(wav, samples, rate, subtype="PCM_16")
    return sounds


@pytest.fixture(scope="session")
def package() -> Callable[..., Path]:
    return write_package


@pytest.fixture
def toy_transcripts() -> dict[str, str]:
    return dict(TRANSCRIPTS)


@pytest.fixture
def config_for(tmp_path: Path) -> Callable[..., DictConfig]:
    """The configuration of a recipe whose data and cache are in the test's folder."""

    def make(recipe: str, *overrides: str) -> DictConfig:
        return load_config(
            [
                f"+recipe={recipe}",
                f"paths.data={tmp_path / 'data'}",
                f"paths.cache={tmp_path / 'cache'}",
                *overrides,
            ]
        )

    return make
