"""Make a folder of recordings with a messy table, like those of users, from public recordings.

usage: python scripts/make_messy_table.py FOLDER [--languages en es] [--each 50] [--cache .cache]

Takes the voice prompts of the Asterisk project from this machine or fetches them, as
`asr-hf prepare +recipe=prompts` does, and writes altered copies: six voices a language (the reader
at several speeds), in turn as WAV of 8000, 11025, 16000 and 44100 Hz, with PCM, mu-law and GSM,
with one and two channels, as MP3 and Ogg Vorbis. Names of files and transcripts are in composed or
decomposed Unicode, numbers are in digits, noises are marked, every tenth transcript belongs to
another recording, and a few rows cannot be used at all. FOLDER/spoilt.tsv says what was done to
which row.
"""

from __future__ import annotations

import argparse
import random
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from num2words import num2words
from numpy.typing import NDArray

from asr_hf.data.resampling import resample
from asr_hf.runtime.files import atomic_path
from asr_hf.runtime.resources import load_recipe

# Numbers of words that a prompt may have.
_WORDS = (2, 8)
# Voices of each language: name, set, and speed relative to the reader.
_VOICES = (
    (("Zoë", "train"), 1.0),
    (("Íñigo", "train"), 0.9),
    (("Begoña", "train"), 1.05),
    (("Bob", "train"), 0.94),
    (("André", "dev"), 0.97),
    (("Ann", "test"), 1.02),
)
# One in so many rows has the transcript of another; one in so many has a marked noise.
_WRONG, _NOISY = 10, 17
_NOISE_SECONDS = 0.3


@dataclass(frozen=True)
class Form:
    """Format of a recording's file."""

    suffix: str
    rate: int
    kind: str
    subtype: str
    channels: int = 1


FORMS = (
    Form("wav", 8000, "WAV", "PCM_16"),
    Form("wav", 11025, "WAV", "PCM_U8"),
    Form("mp3", 22050, "MP3", "MPEG_LAYER_III"),
    Form("wav", 16000, "WAV", "PCM_24"),
    Form("wav", 8000, "WAV", "GSM610"),
    Form("ogg", 16000, "OGG", "VORBIS"),
    Form("wav", 44100, "WAV", "PCM_16", channels=2),
    Form("wav", 8000, "WAV", "ULAW"),
)


@dataclass(frozen=True)
class Line:
    """A row of the table, and what was done to it."""

    audio: str
    text: str
    speaker: str
    language: str
    split: str
    channel: str = ""
    spoilt: str = ""


def make(folder: Path, languages: list[str], each: int, cache: Path, seed: int = 0) -> Counter[str]:
    """Write the folder.

    Args:
        folder: folder to write.
        languages: languages of the prompts.
        each: number of prompts of each language; each is read by three voices.
        cache: folder that prompts are fetched to.
        seed: seed of everything that is drawn.

    Returns:
        Number of rows by what was done to them.
    """
    draw = random.Random(seed)
    lines = [line for name in languages for line in _written(folder, name, each, cache, draw)]
    draw.shuffle(lines)
    lines = _with_wrong_transcripts(lines)
    for line in _unusable(folder, lines):
        lines.insert(draw.randrange(len(lines) // 2, len(lines)), line)
    # The first of two equal rows is good; the second is the duplicate.
    lines.append(replace(next(line for line in lines if not line.spoilt), spoilt="duplicate"))
    titles = ("audio", "text", "speaker", "language", "split", "channel")
    rows = ["\t".join(titles), *("\t".join(getattr(x, t) for t in titles) for x in lines)]
    spoilt = [f"{n}\t{x.spoilt}" for n, x in enumerate(lines, start=2) if x.spoilt]
    for name, content in (("table.tsv", rows), ("spoilt.tsv", spoilt)):
        with atomic_path(folder / name) as temporary:
            temporary.write_text("\n".join(content) + "\n", encoding="utf-8")
    return Counter(line.spoilt or "good" for line in lines)


def _written(
    folder: Path, language: str, each: int, cache: Path, draw: random.Random
) -> list[Line]:
    """Write recordings of one language in each form in turn, and make their rows."""
    prompts = load_recipe("prompts")
    recordings = prompts.find_recordings(language, None, cache)
    texts = _short(prompts.parse_transcripts(recordings.transcripts), recordings.folder)
    texts = draw.sample(texts, each)
    lines: list[Line] = []
    # Every sentence is read by half of the voices.
    readings = [(v, t) for t in range(each) for v in range(t % 2, len(_VOICES), 2)]
    for number, (voice, text_number) in enumerate(readings):
        (speaker, split), speed = _VOICES[voice]
        name, text = texts[text_number]
        samples, rate = soundfile.read(recordings.folder / f"{name}.wav", dtype="float32")
        form = FORMS[number % len(FORMS)]
        sentence = _with_digits(" ".join(text.split()), language) if number % 3 == 0 else text
        samples = _resampled(samples, round(rate * speed), form.rate)
        if number % _NOISY == 0:
            sentence, samples = f"[noise] {sentence}", _after_noise(samples, form.rate, number)
        # Names of files as users type them, with blanks and accents.
        title = " ".join(_words(text)[:3])
        path = f"wavs/{language}/{title} {number}.{form.suffix}"
        _write(folder / _form_of(path, number), samples, form)
        channel = str(1 + number % 2) if form.channels == 2 else ""
        written = _form_of(sentence, number // 2)
        audio, speaker = _form_of(path, number + 1), f"{language}-{speaker}"
        lines.append(Line(audio, written, speaker, language, split, channel))
    return lines


def _short(texts: dict[str, str], folder: Path) -> list[tuple[str, str]]:
    """Find prompts of a few words, without digits and comments."""
    return [
        (name, text)
        for name, text in sorted(texts.items())
        if re.fullmatch(r"([^\W\d_]|[\s.,;:!?¡¿'’])+", text)
        and _WORDS[0] <= len(text.split()) <= _WORDS[1]
        and (folder / f"{name}.wav").is_file()
    ]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _form_of(text: str, number: int) -> str:
    """Write a text in composed or decomposed Unicode in turn."""
    return unicodedata.normalize(("NFC", "NFD")[number % 2], text)


def _with_digits(text: str, language: str) -> str:
    """Write number words as digits."""
    digits = {num2words(n, lang=language): str(n) for n in range(2, 13)}
    return re.sub(r"\w+", lambda match: digits.get(match[0].lower(), match[0]), text)


def _resampled(samples: NDArray[Any], rate: int, target: int) -> NDArray[Any]:
    resampled = resample(torch.from_numpy(samples), rate, target)
    return np.asarray(resampled.clamp(-1.0, 1.0))


def _after_noise(samples: NDArray[Any], rate: int, seed: int) -> NDArray[Any]:
    noise = np.random.default_rng(seed).normal(0.0, 0.1, round(_NOISE_SECONDS * rate))
    return np.concatenate([noise.clip(-1.0, 1.0).astype(np.float32), samples])


def _write(path: Path, samples: NDArray[Any], form: Form) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if form.channels == 2:
        # Both sides hear the same, at other distances.
        samples = np.stack([samples, 0.7 * samples], axis=1)
    soundfile.write(path, samples, form.rate, subtype=form.subtype, format=form.kind)


def _with_wrong_transcripts(lines: list[Line]) -> list[Line]:
    """Give every tenth row the transcript of an unchanged row of its language."""
    changed = list(lines)
    for number in range(0, len(lines), _WRONG):
        line = lines[number]
        other = next(
            x
            for x in lines[number + 1 :] + lines
            if x.language == line.language and x.text.split() != line.text.split()
        )
        changed[number] = replace(line, text=other.text, spoilt="wrong transcript")
    return changed


def _unusable(folder: Path, lines: list[Line]) -> list[Line]:
    """Make rows that cannot be used, each for another reason."""
    good = [line for line in lines if not line.spoilt]

    def cut(suffix: str, share: float, what: str) -> Line:
        line = next(x for x in good if x.audio.endswith(suffix) and not x.channel)
        disk = next(folder / _form_of(line.audio, n) for n in (0, 1) if _is_there(folder, line, n))
        content = disk.read_bytes()
        name = f"wavs/{what}.{suffix}"
        (folder / name).write_bytes(content[: int(len(content) * share)])
        return replace(line, audio=name, spoilt=what)

    stereo = next(line for line in good if line.channel)
    first = good[0]
    return [
        replace(first, audio="wavs/never sent.wav", spoilt="missing"),
        cut("wav", 0.0, "empty"),
        cut("wav", 0.6, "truncated WAV"),
        cut("mp3", 0.6, "truncated MP3"),
        cut("ogg", 0.6, "truncated Ogg"),
        replace(stereo, channel="", spoilt="two channels"),
        replace(first, text="[beep]", spoilt="no words"),
        replace(first, text="1990, 12:30", spoilt="number of several readings"),
    ]


def _is_there(folder: Path, line: Line, number: int) -> bool:
    return (folder / _form_of(line.audio, number)).is_file()


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--languages", nargs="+", default=["en", "es"])
    parser.add_argument("--each", type=int, default=50)
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    options = parser.parse_args()
    counts = make(options.folder, options.languages, options.each, options.cache)
    print(f"{options.folder}: {counts.total()} rows")
    for what, count in counts.most_common():
        print(f"  {count} {what}")


if __name__ == "__main__":
    main()
