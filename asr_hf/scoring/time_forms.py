"""The forms in which times of words and phones are written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from asr_hf.data.times import Boundary, TimedPhone, TimedRecording, TimedUtterance, TimedWord
from asr_hf.runtime.errors import InputError
from asr_hf.scoring.ctm import CtmWord, ctm_text
from asr_hf.scoring.textgrid import Interval, Tier, textgrid

# Digits behind the point of a second.
_DIGITS = 3

# Names and texts of files.
Files = Iterator[tuple[str, str]]


@dataclass(frozen=True)
class TimeForm:
    """A form.

    Args:
        write: function that makes the files of recordings.
        measured: whether it needs the duration of recordings.
        about: what it is, for users.
    """

    write: Callable[[Iterable[TimedRecording]], Files]
    measured: bool
    about: str


def as_textgrids(recordings: Iterable[TimedRecording]) -> Files:
    """Make a TextGrid for each recording.

    Its tiers are words and phones. With several speakers, and where utterances overlap, there are
    several pairs of tiers, each with its speaker's name in front.

    Yields:
        Name and text of each file.
    """
    for recording in recordings:
        assert recording.seconds is not None
        tiers: list[Tier] = []
        for title, utterances in _lanes(recording.utterances):
            words = [word for utterance in utterances for word in utterance.words]
            phones = [phone for word in words for phone in word.phones]
            for name, spans in (("words", words), ("phones", phones)):
                tiers.append(Tier(title + name, _intervals(spans, recording.seconds)))
        yield _file_name(recording) + ".TextGrid", textgrid(tiers, recording.seconds)


def _intervals(spans: Iterable[TimedWord | TimedPhone], seconds: float) -> list[Interval]:
    """Return words or phones as intervals; what ends behind the audio ends with it."""
    cut = [Interval(s.begin.time, min(s.end.time, seconds), s.label) for s in spans]
    return [interval for interval in cut if interval.start < interval.end]


def _lanes(
    utterances: Sequence[TimedUtterance],
) -> list[tuple[str, list[TimedUtterance]]]:
    """Deal utterances to pairs of tiers so that none overlap in one, and name these."""
    lanes: list[tuple[str, list[TimedUtterance]]] = []
    for utterance in utterances:
        for speaker, lane in lanes:
            last = lane[-1].words[-1].end.time if lane[-1].words else lane[-1].start
            first = utterance.words[0].begin.time if utterance.words else utterance.start
            if speaker == utterance.speaker and last <= first:
                lane.append(utterance)
                break
        else:
            lanes.append((utterance.speaker, [utterance]))
    if len(lanes) == 1:
        return [("", lanes[0][1])]
    number: Counter[str] = Counter()
    named = []
    for speaker, lane in lanes:
        number[speaker] += 1
        again = f" {number[speaker]}" if number[speaker] > 1 else ""
        named.append((f"{speaker}{again} - ", lane))
    return named


def as_ctms(recordings: Iterable[TimedRecording]) -> Files:
    """Make NIST's ctm of the words of all recordings, and that of their phones.

    Yields:
        Name and text of each file.
    """
    found = list(recordings)
    for name in ("words", "phones"):
        lines = chain.from_iterable(_ctm_lines(recording, name) for recording in found)
        yield f"{name}.ctm", ctm_text(lines, _DIGITS)


def _ctm_lines(recording: TimedRecording, name: str) -> Iterator[CtmWord]:
    for utterance in recording.utterances:
        for word in utterance.words:
            spans: Sequence[TimedWord | TimedPhone] = [word] if name == "words" else word.phones
            for span in spans:
                start, end = span.begin.time, span.end.time
                yield CtmWord(
                    *(recording.file, recording.channel, start, end - start, span.label),
                    confidence=span.confidence,
                )


def as_jsons(recordings: Iterable[TimedRecording]) -> Files:
    """Make a JSON file for each recording with all that is known, times in seconds.

    Yields:
        Name and text of each file.
    """
    for recording in recordings:
        value = {
            "recording": recording.name,
            "channel": recording.channel,
            "utterances": [
                {
                    "utterance": utterance.name,
                    "speaker": utterance.speaker,
                    "words": [_word(word) for word in utterance.words],
                }
                for utterance in recording.utterances
            ],
        }
        text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
        yield _file_name(recording) + ".json", text


def _word(word: TimedWord) -> dict[str, Any]:
    return {"word": word.label, **_span(word), "phones": [_phone(p) for p in word.phones]}


def _phone(phone: TimedPhone) -> dict[str, Any]:
    return {"phone": phone.label, **_span(phone)}


def _span(span: TimedWord | TimedPhone) -> dict[str, Any]:
    return {
        "start": round(span.begin.time, _DIGITS),
        "end": round(span.end.time, _DIGITS),
        "start_interval": _interval(span.begin),
        "end_interval": _interval(span.end),
        "start_confidence": round(span.begin.confidence, 3),
        "end_confidence": round(span.end.confidence, 3),
    }


def _interval(boundary: Boundary) -> list[float]:
    return [round(boundary.low, _DIGITS), round(boundary.high, _DIGITS)]


def _file_name(recording: TimedRecording) -> str:
    return recording.name.replace("/", "_")


def check_names(recordings: Iterable[str]) -> None:
    """Refuse recordings whose files would have one name.

    Raises:
        InputError: there are such; two of them are named.
    """
    seen: dict[str, str] = {}
    for name in recordings:
        other = seen.setdefault(name.replace("/", "_"), name)
        if other != name:
            raise InputError(
                f"recordings {other} and {name}: both would be written as {name.replace('/', '_')}",
                expected="names that differ by more than / and _",
                remedy="rename one in wav.scp, or --format ctm",
            )


TIME_FORMS = {
    "textgrid": TimeForm(as_textgrids, True, "Praat's TextGrid of each recording"),
    "ctm": TimeForm(as_ctms, False, "NIST's words.ctm and phones.ctm, with confidences"),
    "json": TimeForm(as_jsons, False, "each recording's, with an interval for each boundary"),
}
