"""Spoken lines, the pieces that commands part them into, and the recordings of these."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

AUDIO = ".SB"
# A star and two characters; only *XY has more, where somebody stands.
_COMMAND = re.compile(r"\*(?:XY\d\d\(\d{1,4},\d{1,4}\)|.{0,2})", re.DOTALL)
_LONGEST_KEY = 7


@dataclass(frozen=True)
class Line:
    """What somebody says.

    Args:
        key: name of its recordings without the number of the piece.
        speaker: the character.
        text: its text with commands.
        doubt: reason to leave it out whatever is recorded; empty for most.
    """

    key: str
    speaker: str
    text: str
    doubt: str = ""


@dataclass(frozen=True)
class Piece:
    """What one recording holds.

    Args:
        entry: name of the recording in the container.
        speaker: the character.
        text: its text without commands.
    """

    entry: str
    speaker: str
    text: str


@dataclass
class Matched:
    """Lines and recordings that belong together, and what was left over.

    Args:
        pieces: pieces in the order of the lines.
        dropped: lines without a recording, recordings without a line, and lines in doubt, each
            with the reason.
        faults: lines whose pieces are not those recorded, each with the reason.
        total: number of lines that are recorded.
    """

    pieces: list[Piece] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    total: int = 0


def pieces_of(text: str) -> dict[int, str]:
    """Part a text at its commands into the pieces that hold more than blanks, numbered from 1.

    Each command ends a piece, so that a text that begins with one begins with piece 2.

    Returns:
        Number -> piece, without blanks at its ends.
    """
    parts = enumerate(_COMMAND.split(text), start=1)
    return {number: part.strip() for number, part in parts if part.strip()}


def entry_name(key: str, number: int) -> str:
    """Return the name of a piece's recording."""
    return f"{key}{number:X}{AUDIO}"


def match(lines: Sequence[Line], entries: Collection[str]) -> Matched:
    """Match lines with recordings.

    A line is taken when its pieces have just the numbers that are recorded under its key, and no
    other line has this key.

    Args:
        lines: all lines.
        entries: names of the container's entries.

    Returns:
        Pieces with their recordings, and what was left over.
    """
    recorded: dict[str, set[str]] = {}
    for name in entries:
        if name.endswith(AUDIO):
            recorded.setdefault(name[:_LONGEST_KEY], set()).add(name)
    matched = Matched()
    times = Counter(line.key for line in lines if pieces_of(line.text))
    for line in lines:
        parts = {entry_name(line.key, n): text for n, text in pieces_of(line.text).items()}
        names = recorded.get(line.key, set())
        if not parts or line.key in matched.faults:
            continue
        if not names:
            matched.dropped[line.key] = "text without recording"
            continue
        matched.total += 1
        if times[line.key] > 1:
            matched.faults[line.key] = f"{times[line.key]} texts for one recording"
        elif names != parts.keys():
            matched.faults[line.key] = f"{len(parts)} pieces of text, {len(names)} recorded"
        elif line.doubt:
            matched.dropped[line.key] = line.doubt
        else:
            matched.pieces += [Piece(name, line.speaker, text) for name, text in parts.items()]
    known = {line.key for line in lines if pieces_of(line.text)}
    matched.dropped |= {
        name: "recording without text"
        for key, names in sorted(recorded.items())
        if key not in known
        for name in sorted(names)
    }
    return matched
