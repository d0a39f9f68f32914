"""Reads and writes time-marked words: NIST's ctm (hypotheses) and stm (references)."""

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
        channel: name of the channel, such as "1" or "A".
        start: begin of the word in the recording (seconds).
        duration: duration of the word (seconds).
        word: the word.
        confidence: confidence of the recogniser, in [0, 1]; None if unknown.
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
        channel: name of the channel, such as "1" or "A".
        speaker: name of the speaker.
        start: begin of the stretch in the recording (seconds).
        end: end of the stretch in the recording (seconds).
        words: words that were spoken.
        label: sclite's label of a subset, such as "O" or "O,EN"; "" for none.
    """

    recording: str
    channel: str
    speaker: str
    start: float
    end: float
    words: tuple[str, ...]
    label: str = ""


def read_ctm(path: Path) -> list[CtmWord]:
    """Read a ctm file; lines that start with `;;` are comments.

    Args:
        path: the file.

    Returns:
        The words, in the order of the file.

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
    """Write a ctm file, sorted by recording, channel and start, with times in 1/100 s.

    Args:
        path: the file.
        words: words, in any order.

    Raises:
        InputError: a time is negative or not finite, or a field is empty or holds a space.
    """
    write_text(path, ctm_text(words))


def ctm_text(words: Iterable[CtmWord], digits: int = 2) -> str:
    """Return the text of a ctm file, with so many digits of a second; see `write_ctm`."""
    ordered = sorted(words, key=lambda word: (word.recording, word.channel, word.start))
    return "".join(_ctm_line(word, digits) + "\n" for word in ordered)


def write_stm(path: Path, segments: Iterable[StmSegment]) -> None:
    """Write an stm file, sorted by recording, channel and start.

    Args:
        path: the file.
        segments: stretches of speech, in any order.

    Raises:
        InputError: a segment ends before it starts, or a field is empty or holds a space.
    """
    ordered = sorted(segments, key=lambda s: (s.recording, s.channel, s.start))
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


def _ctm_line(word: CtmWord, digits: int) -> str:
    place = f"word {word.word!r} of {word.recording}"
    _check_times(place, word.start, word.duration)
    _check_fields(place, word.recording, word.channel, word.word)
    start, duration = (f"{seconds:.{digits}f}" for seconds in (word.start, word.duration))
    line = f"{word.recording} {word.channel} {start} {duration} {word.word}"
    return line if word.confidence is None else f"{line} {word.confidence:.3f}"


def _stm_line(segment: StmSegment) -> str:
    place = f"segment of {segment.recording} at {segment.start} s"
    _check_times(place, segment.start, segment.end - segment.start)
    names = [segment.recording, segment.channel, segment.speaker]
    _check_fields(place, *names, *segment.words)
    times = [f"{segment.start:.2f}", f"{segment.end:.2f}"]
    label = [f"<{segment.label}>"] if segment.label else []
    return " ".join([*names, *times, *label, *segment.words])


def _check_times(place: str, start: float, duration: float) -> None:
    if not (math.isfinite(start) and math.isfinite(duration) and start >= 0 and duration >= 0):
        raise InputError(
            f"{place}: starts at {start} s and lasts {duration} s",
            expected="finite times that are not negative",
        )


def _check_fields(place: str, *fields: str) -> None:
    for text in fields:
        if "\n" in text or words_of(text) != [text]:
            raise InputError(f"{place}: {text!r} is not one word", expected="no spaces, not empty")
