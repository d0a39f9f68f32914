"""A small package of prompts, laid out as Debian's packages or the project's tarballs are."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import soundfile

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

# Enough of them that the recipe finds its sets of development and test, and no two alike.
_WORDS = (
    *("act", "ask", "big", "can", "did", "end", "his", "key"),
    *("not", "off", "one", "our", "six", "ten", "two", "yes"),
)
_DRAWN = np.random.default_rng(0)
SENTENCES = {f"say-{n}": " ".join(_DRAWN.permutation(_WORDS)[:6]) for n in range(140)}


def noise(text: str, rate: int) -> np.ndarray:
    """Noise that lasts as long as the text might."""
    size = int(rate * (0.2 + 0.08 * len(text)))
    return np.random.default_rng(list(text.encode())).normal(scale=0.1, size=size)


def tones(text: str, rate: int) -> np.ndarray:
    """A tone for each letter, between pauses."""
    times = np.arange(rate // 20) / rate
    pitches = [140 * (ord(letter) % 32) for letter in text if letter.isalpha()]
    pause = np.zeros(rate // 10)
    pieces = [pause, *(0.3 * np.sin(2 * np.pi * pitch * times) for pitch in pitches), pause]
    samples = np.concatenate(pieces)
    return samples + 0.01 * np.random.default_rng(len(text)).normal(size=len(samples))


def write_package(
    root: Path,
    debian: bool = True,
    transcripts: Mapping[str, str] = TRANSCRIPTS,
    rate: int = 8000,
    sound: Callable[[str, int], np.ndarray] = noise,
) -> Path:
    """Write recordings and their list; returns the folder of recordings."""
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
    for name, text in transcripts.items():
        wav = sounds / f"{name}.wav"
        wav.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(wav, sound(text, rate), rate, subtype="PCM_16")
    return sounds
