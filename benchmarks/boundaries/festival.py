"""Speech by festival from Debian's packages, with the exact times of its phones."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from asr_hf.runtime.files import write_json, write_text
from recipes.debian import fetched

# Diphone voices, whose phones last exactly as long as festival says, to a pitch period, and one by
# HMMs, whose phones end with frames of 5 ms.
VOICES = {
    "kal": "voice_kal_diphone",
    "ked": "voice_ked_diphone",
    "slt": "voice_cmu_us_slt_arctic_hts",
}
_SPEECH = (
    *("festival", "libestools2.5", "festlex-cmu", "festlex-poslex"),
    *("festvox-kallpc16k", "festvox-kdlpc16k", "festvox-us-slt-hts"),
    *("libpulse0", "libasyncns0", "libsndfile1", "libflac12", "libvorbis0a", "libvorbisenc2"),
    *("libogg0", "libopus0", "libmpg123-0", "libmp3lame0"),
)
_TEXT = ("fortunes",)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
# Sentences of common words alone: festival reads names, numbers and signs in ways of its own.
_PLAIN = re.compile(r"[A-Z][a-z]*(?:,? [a-z]+){4,13}[.!?]")
# Times that differ by less are one (seconds).
_SAME = 1e-4
# A process speaks so many sentences.
_AT_ONCE = 25

_TELL = """\
(Parameter.set 'Audio_Method 'none)
(define (tell utt file)
  (let ((out (fopen file "w")))
    (mapcar
      (lambda (word)
        (format out "W %s %f\\n" (item.name word) (item.feat word 'word_start)))
      (utt.relation.items utt 'Word))
    (mapcar
      (lambda (phone)
        (format out "P %s %f %f\\n" (item.name phone)
                (item.feat phone 'segment_start) (item.feat phone 'segment_end)))
      (utt.relation.items utt 'Segment))
    (fclose out)))
(define (speak text name)
  (let ((utt (utt.synth (eval (list 'Utterance 'Text text)))))
    (utt.save.wave utt (string-append name ".wav") 'riff)
    (tell utt (string-append name ".txt"))))
"""


@dataclass(frozen=True)
class Phone:
    """A phone of festival's between its exact times (seconds)."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Spoken:
    """A sentence that festival spoke.

    Args:
        name: name of its files.
        voice: name of the voice.
        words: each word with its phones.
    """

    name: str
    voice: str
    words: tuple[tuple[str, tuple[Phone, ...]], ...]


def sentences(folder: Path, count: int) -> list[str]:
    """Return so many plain sentences of Debian's fortunes, in an order drawn by their digests.

    Args:
        folder: folder of downloads.
        count: number of sentences.
    """
    texts = fetched(_TEXT, folder / "fortunes") / "usr" / "share" / "games" / "fortunes"
    found: set[str] = set()
    for path in sorted(texts.iterdir()):
        if path.suffix or path.is_symlink():
            continue
        for cookie in path.read_text(encoding="utf-8", errors="replace").split("\n%\n"):
            pieces = _SENTENCE.split(" ".join(cookie.split()))
            found.update(piece for piece in pieces if _PLAIN.fullmatch(piece))
    ordered = sorted(found, key=lambda text: hashlib.sha256(text.encode()).hexdigest())
    return ordered[:count]


def speak(folder: Path, texts: Sequence[str]) -> list[Spoken]:
    """Speak sentences, the voices by turns, into <folder>/spoken.

    Args:
        folder: folder of downloads and speech.
        texts: sentences.

    Returns:
        What was spoken, now or by the command before.
    """
    done, goal = folder / "spoken.json", folder / "spoken"
    if not done.exists():
        root = fetched(_SPEECH, folder / "festival")
        goal.mkdir(exist_ok=True)
        voices = list(VOICES)
        for voice in voices:
            mine = [(n, t) for n, t in enumerate(texts) if voices[n % len(voices)] == voice]
            for first in range(0, len(mine), _AT_ONCE):
                _speak(root, voice, goal, mine[first : first + _AT_ONCE])
        told = [_told(goal, n, voices[n % len(voices)]) for n in range(len(texts))]
        write_json(done, [asdict(one) for one in told])
    return list(_read(done))


def _speak(root: Path, voice: str, goal: Path, texts: Sequence[tuple[int, str]]) -> None:
    calls = [f"(speak {json.dumps(text)} {json.dumps(_name(n, voice))})" for n, text in texts]
    script = goal / "speak.scm"
    write_text(script, "\n".join([_TELL, f"({VOICES[voice]})", *calls]) + "\n")
    libraries = root / "usr" / "lib" / f"{os.uname().machine}-linux-gnu"
    subprocess.run(
        [
            root / "usr" / "bin" / "festival",
            *("--datadir", root / "usr" / "share" / "festival"),
            *("-b", script.name),
        ],
        cwd=goal,
        env={**os.environ, "LD_LIBRARY_PATH": f"{libraries}:{libraries / 'pulseaudio'}"},
        check=True,
    )


def _name(number: int, voice: str) -> str:
    return f"{voice}{number:04d}"


def _told(goal: Path, number: int, voice: str) -> Spoken:
    """Read what was spoken; phones that a voice adds belong to the word before them."""
    words: list[str] = []
    starts: list[float] = []
    phones: list[list[Phone]] = []
    for line in (goal / f"{_name(number, voice)}.txt").read_text().splitlines():
        kind, label, start, *end = line.split()
        if kind == "W":
            words.append(label.lower())
            starts.append(float(start))
            phones.append([])
        elif label != "pau":
            place = bisect_right(starts, float(start) + _SAME) - 1
            phones[place].append(Phone(label, float(start), float(end[0])))
    spoken = zip(words, map(tuple, phones), strict=True)
    return Spoken(_name(number, voice), voice, tuple(spoken))


def _read(done: Path) -> Iterator[Spoken]:
    for one in json.loads(done.read_text()):
        words = tuple(
            (word, tuple(Phone(**phone) for phone in phones)) for word, phones in one["words"]
        )
        yield Spoken(one["name"], one["voice"], words)
