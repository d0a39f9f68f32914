"""What a line of a data directory's file may hold after its key."""

from __future__ import annotations

import math
import re

BLANK = " \t\r\n"
SEGMENT = "recording, start and end in seconds, 0 <= start < end (-1: to the end)"
CHANNEL = "the recording's file name and its channel: A, B or a number from 1"


def words_of(line: str, splits: int = 0) -> list[str]:
    """A line's words as Kaldi parts them: only by ASCII blanks."""
    return re.split(r"[ \t]+", line.strip(BLANK), maxsplit=splits)


def parse_segment(text: str) -> tuple[str, float, float | None] | None:
    """(recording, start, end) of a line of segments; None when it is malformed."""
    try:
        recording, start, end = words_of(text)
        first, last = float(start), float(end)
    except ValueError:
        return None
    if last == -1 and 0 <= first < math.inf:
        return recording, first, None
    return (recording, first, last) if 0 <= first < last < math.inf else None


def parse_channel(text: str) -> int | None:
    """0-based channel of a line of reco2file_and_channel; None when it is malformed."""
    _, *names = words_of(text)
    if len(names) != 1:
        return None
    named = {"A": 1, "B": 2}.get(names[0])
    number = named or (int(names[0]) if re.fullmatch(r"[0-9]{1,4}", names[0]) else 0)
    return number - 1 if number else None


def expected_of(file: str, value: str) -> str:
    """What `file` should hold in place of a malformed value; nothing when it is well formed."""
    match file:
        case "utt2spk":
            return "" if len(words_of(value)) == 1 else "one speaker"
        case "utt2lang":
            return "" if len(words_of(value)) == 1 else "one language"
        case "segments":
            return "" if parse_segment(value) else SEGMENT
        case "reco2file_and_channel":
            return "" if parse_channel(value) is not None else CHANNEL
    return ""
