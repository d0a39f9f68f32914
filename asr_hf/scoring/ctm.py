"""Time-marked words: NIST ctm (hypotheses) and stm (references)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.fields import read_lines, words_of
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text


@dataclass(frozen=True)
class CtmWord:
    """One recognised word.

    Args:
        recording: name of the recording.
        channel: "1", "A", ...
        start: seconds from the recording's start.
        duration: seconds.
        word: the word.
        confidence: in [0, 1]; None when unknown.
    """

    recording: str
    channel: str
    start: float
    duration: float
    word: str
    confidence: float | None = None


@dataclass(frozen=True)
class StmSegment:
    """One stretch of reference speech.

    Args:
        recording: name of the recording.
        channel: "1", "A", ...
        speaker: who speaks.
        start: seconds from the recording's start.
        end: seconds from the recording's start.
        words: what was said.
        label: sclite's subset label, such as "O" or "O,EN"; "" for none.
    """

    recording: str
    channel: str
    speaker: str
    start: float
    end: float
    words: tuple[str, ...]
    label: str = ""


def read_ctm(path: Path) -> list[CtmWord]:
    """Read a ctm; lines starting with `;;` are comments.

    Raises:
        InputError: the file cannot be read, or a line is malformed.
    """
    words = []
    for number, line in enumerate(read_lines(path, "the ctm"), start=1):
        fields = words_of(line)
        if fields and not line.startswith(";;"):
            words.append(_parse(fields, f"{path}, line {number}"))
    return words


def write_ctm(path: Path, words: Iterable[CtmWord]) -> None:
    """Write a ctm sorted by recording, channel and start, times in hundredths of a second.

    Raises:
        InputError: a word has a time that is negative or not finite, or an empty or broken field.
    """
    ordered = sorted(words, key=lambda word: (word.recording, word.channel, word.start))
    write_text(path, "".join(_ctm_line(word) + "\n" for word in ordered))


def write_stm(path: Path, segments: Iterable[StmSegment]) -> None:
    """Write an stm sorted by recording, channel and start.

    Raises:
        InputError: a segment does not end after it starts, or has an empty or broken field.
    """
    ordered = sorted(segments, key=lambda one: (one.recording, one.channel, one.start))
    write_text(path, "".join(_stm_line(segment) + "\n" for segment in ordered))


def _parse(fields: list[str], place: str) -> CtmWord:
    expected = "recording channel start duration word [confidence]"
    if len(fields) not in (5, 6):
        raise InputError(f"{place}: {len(fields)} fields", expected=expected)
    try:
        start, duration = float(fields[2]), float(fields[3])
        confidence = float(fields[5]) if len(fields) == 6 else None
    except ValueError as error:
        raise InputError(f"{place}: {error}", expected=expected) from error
    word = CtmWord(fields[0], fields[1], start, duration, fields[4], confidence)
    _check_times(place, word.start, word.duration)
    return word


def _ctm_line(word: CtmWord) -> str:
    place = f"word {word.word!r} of {word.recording}"
    _check_times(place, word.start, word.duration)
    _check_fields(place, word.recording, word.channel, word.word)
    line = f"{word.recording} {word.channel} {word.start:.2f} {word.duration:.2f} {word.word}"
    return line if word.confidence is None else f"{line} {word.confidence:.3f}"


def _stm_line(one: StmSegment) -> str:
    place = f"segment of {one.recording} at {one.start} s"
    _check_times(place, one.start, one.end - one.start)
    _check_fields(place, one.recording, one.channel, one.speaker, *one.words)
    label = [f"<{one.label}>"] if one.label else []
    head = [one.recording, one.channel, one.speaker, f"{one.start:.2f}", f"{one.end:.2f}"]
    return " ".join([*head, *label, *one.words])


def _check_times(place: str, start: float, duration: float) -> None:
    if not (math.isfinite(start) and math.isfinite(duration) and start >= 0 and duration >= 0):
        raise InputError(
            f"{place}: starts at {start} s and lasts {duration} s",
            expected="finite times that are not negative",
        )


def _check_fields(place: str, *fields: str) -> None:
    for one in fields:
        if "\n" in one or words_of(one) != [one]:
            raise InputError(f"{place}: {one!r} is not one word", expected="no spaces, not empty")
