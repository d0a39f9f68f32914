"""The forms in which transcriptions are written."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_hf.scoring.ctm import CtmWord, ctm_text
from asr_hf.scoring.transcription import SpokenWord, Transcription

# Subtitles: letters of a cue (two lines of 42), its longest time (seconds), and the pause between
# two words that ends it (seconds).
_MAX_LETTERS, _LINE, _MAX_SECONDS, _PAUSE = 84, 42, 7.0, 0.6


@dataclass(frozen=True)
class TranscriptForm:
    """A form.

    Args:
        suffix: ending of its files.
        write: function that makes the text of transcriptions.
        together: whether one text can hold several recordings.
        about: what it is, for users.
    """

    suffix: str
    write: Callable[[Sequence[Transcription]], str]
    together: bool
    about: str


def as_text(found: Sequence[Transcription]) -> str:
    """Return the words, a line for each recording; with their names if there are several."""
    if len(found) == 1:
        return found[0].text + "\n"
    return "".join(f"{one.name}\t{one.text}\n" for one in found)


def as_json(found: Sequence[Transcription]) -> str:
    """Return all that is known, times in seconds."""
    recordings = [
        {
            "file": one.name,
            "seconds": round(one.seconds, 3),
            "language": one.language,
            "text": one.text,
            "confidence": round(one.confidence, 3),
            "words": [
                {
                    "word": word.word,
                    "start": round(word.start, 3),
                    "end": round(word.end, 3),
                    "confidence": round(word.confidence, 3),
                }
                for word in one.words
            ],
            "unfinished": [round(start, 3) for start in one.unfinished],
        }
        for one in found
    ]
    return json.dumps({"recordings": recordings}, ensure_ascii=False, indent=2) + "\n"


def as_ctm(found: Sequence[Transcription]) -> str:
    """Return NIST's ctm, sorted as sclite wants it."""
    return ctm_text(
        CtmWord(
            Path(one.name).stem.replace(" ", "_"),
            "1",
            word.start,
            word.end - word.start,
            word.word,
            word.confidence,
        )
        for one in found
        for word in one.words
    )


def as_srt(found: Sequence[Transcription]) -> str:
    """Return SubRip subtitles of one recording."""
    blocks = [
        f"{number}\n{_time(cue[0].start, ',')} --> {_time(cue[-1].end, ',')}\n{_lines(cue)}\n"
        for number, cue in enumerate(cues(found[0].words), start=1)
    ]
    return "\n".join(blocks)


def as_vtt(found: Sequence[Transcription]) -> str:
    """Return WebVTT subtitles of one recording."""
    blocks = [
        f"{_time(cue[0].start, '.')} --> {_time(cue[-1].end, '.')}\n{_lines(cue)}\n"
        for cue in cues(found[0].words)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def cues(words: Sequence[SpokenWord]) -> list[list[SpokenWord]]:
    """Part words into subtitles: at pauses, and where one would be too long to read."""
    found: list[list[SpokenWord]] = []
    for word in words:
        cue = found[-1] if found else []
        letters = sum(len(one.word) + 1 for one in cue) + len(word.word)
        if (
            cue
            and letters <= _MAX_LETTERS
            and word.start - cue[-1].end < _PAUSE
            and word.end - cue[0].start <= _MAX_SECONDS
        ):
            cue.append(word)
        else:
            found.append([word])
    return found


def _lines(cue: Sequence[SpokenWord]) -> str:
    """Put the words of a cue in one line, or in two that are about as long."""
    words = [word.word for word in cue]
    if len(" ".join(words)) <= _LINE or len(words) == 1:
        return " ".join(words)
    halves = [(" ".join(words[:n]), " ".join(words[n:])) for n in range(1, len(words))]
    return "\n".join(min(halves, key=lambda lines: max(map(len, lines))))


def _time(seconds: float, mark: str) -> str:
    minutes, thousandths = divmod(round(1000 * seconds), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{thousandths // 1000:02d}{mark}{thousandths % 1000:03d}"


TRANSCRIPT_FORMS = {
    "text": TranscriptForm(".txt", as_text, True, "the words, a line for each recording"),
    "json": TranscriptForm(".json", as_json, True, "words with times (s) and confidences"),
    "ctm": TranscriptForm(".ctm", as_ctm, True, "NIST's form of the same, for sclite"),
    "srt": TranscriptForm(".srt", as_srt, False, "SubRip subtitles"),
    "vtt": TranscriptForm(".vtt", as_vtt, False, "WebVTT subtitles"),
}
