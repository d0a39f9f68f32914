"""Reads the Mississippi State transcripts of Switchboard-1."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from asr_hf.data.fields import words_of
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.progress import progress

from .acronyms import Acronyms
from .text_files import numbered_lines, parse_times
from .tokens import Compat, drop_marks, map_token

TRANSCRIPTS = "*/*/*-trans.text"
_SEGMENT = re.compile(r"sw(\d{4})([AB])")


@dataclass(frozen=True)
class Segment:
    """A stretch of one side of a conversation.

    Args:
        recording: name of the side, as sw02001-A.
        start: start in centiseconds.
        end: end in centiseconds.
        words: tokens of the transcript, or words.
    """

    recording: str
    start: int
    end: int
    words: tuple[str, ...]

    @property
    def id(self) -> str:
        """Name of the utterance, as sw02001-A_000098-001156."""
        return f"{self.recording}_{self.start:06d}-{self.end:06d}"


@dataclass
class Transcripts:
    """The transcripts of the whole corpus.

    Args:
        segments: segments with words, sorted by id as in the C locale.
        lines: number of segments in the files.
        empty: number of segments that have no words.
        dropped: counts of the tokens left out.
        mapped: number of tokens that a rule changed.
        skipped: reason by utterance that cannot be used.
    """

    segments: list[Segment] = field(default_factory=list)
    lines: int = 0
    empty: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    mapped: int = 0
    skipped: dict[str, str] = field(default_factory=dict)


def read_transcripts(folder: Path, acronyms: Acronyms, compat: Compat) -> Transcripts:
    """Read every transcript below a folder and write it in the words of the lexicon.

    Args:
        folder: the folder swb_ms98_transcriptions.
        acronyms: acronyms of the dictionary.
        compat: rules of the token map.

    Returns:
        The transcripts.

    Raises:
        InputError: a line is malformed, two segments have one name, or no word is left.
    """
    transcripts = Transcripts()
    places: dict[str, str] = {}
    for path in progress(sorted(folder.glob(TRANSCRIPTS)), desc="transcripts", unit="file"):
        for place, line in numbered_lines(path):
            transcripts.lines += 1
            segment = parse_segment(place, line)
            words = _words(segment, acronyms, compat, transcripts)
            if not words:
                transcripts.empty += 1
                continue
            if segment.start == segment.end:
                transcripts.skipped[segment.id] = f"{place}: lasts no centisecond"
                continue
            if other := places.get(segment.id):
                raise InputError(
                    f"{place}: {segment.id} is in {other} already",
                    expected="each segment once",
                    remedy="remove one of them, or unpack the transcripts afresh",
                )
            places[segment.id] = place
            transcripts.segments.append(
                Segment(segment.recording, segment.start, segment.end, words)
            )
    if not transcripts.segments:
        raise InputError(
            f"{folder}: {transcripts.lines} segments and no word", expected="transcripts"
        )
    transcripts.segments.sort(key=lambda kept: kept.id.encode())
    return transcripts


def parse_segment(place: str, line: str) -> Segment:
    """Parse `sw2001A-ms98-a-0002 0.977625 11.561375 hi um yeah`.

    Centiseconds are rounded half up in the arithmetic of awk. So utterances have the same names as
    in Kaldi's directories, also where a half is not exact in binary.

    Returns:
        The segment, with its tokens.

    Raises:
        InputError: the line is malformed.
    """
    name, *fields = words_of(line)
    match = _SEGMENT.match(name)
    if match is None or len(fields) < 2:
        raise InputError(
            f"{place}: {line[:80]!r}",
            expected="segment start end word ..., as sw2001A-ms98-a-0001 0.0 0.98 [silence]",
        )
    start, end = parse_times(place, fields[0], fields[1])
    return Segment(
        f"sw0{match[1]}-{match[2]}", int(100 * start + 0.5), int(100 * end + 0.5), tuple(fields[2:])
    )


def _words(
    segment: Segment, acronyms: Acronyms, compat: Compat, transcripts: Transcripts
) -> tuple[str, ...]:
    tokens = drop_marks(segment.words, transcripts.dropped)
    words = [map_token(token, compat) for token in tokens]
    transcripts.mapped += sum(a != b for a, b in zip(tokens, words, strict=True))
    return tuple(acronyms.apply(words))
