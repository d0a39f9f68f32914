"""Reads NIST's evaluation sets: pem and stm files, segments and their padding."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from asr_hf.data.fields import BLANK, words_of
from asr_hf.runtime.errors import InputError

from .text_files import numbered_lines, parse_times

log = logging.getLogger("asr_hf.recipes.switchboard")

_PADDING = 0.1
_IGNORED = "IGNORE_TIME_SEGMENT_"
_GAP = "inter_segment_gap"
_SIDES = {"A": "A", "B": "B", "1": "A", "2": "B"}
_ASIDE = re.compile(r"<[be]_aside>", re.IGNORECASE)


@dataclass(frozen=True)
class Turn:
    """A stretch of one side of an evaluation conversation.

    Args:
        id: name of the turn, as en_4156-A_030185-030248.
        recording: name of the side, as en_4156-A.
        start: start in seconds.
        end: end in seconds.
        words: words of the reference; None where they are not known.
        ignored: whether the turn is left out of scoring.
    """

    id: str
    recording: str
    start: float
    end: float
    words: tuple[str, ...] | None = None
    ignored: bool = False


def read_pem(path: Path) -> list[Turn]:
    """Read the partitioned evaluation map: `file side speaker start end` lines.

    Returns:
        The segments, without words.

    Raises:
        InputError: a line is malformed.
    """
    return [
        _turn(place, words_of(line), "file side speaker start end")
        for place, line in numbered_lines(path, comment=";;")
    ]


def read_stm(path: Path) -> list[Turn]:
    """Read references: `file side speaker start end <label> word ...` lines.

    Stretches between segments, which RT-03 lists, are left out.

    Returns:
        The segments with their words.

    Raises:
        InputError: a line is malformed.
    """
    turns = []
    for place, line in numbered_lines(path, comment=";;"):
        if _GAP in line:
            continue
        fields = words_of(line)
        turn = _turn(place, fields, "file side speaker start end <label> word ...")
        spoken = fields[6:] if fields[5:6] and fields[5].startswith("<") else fields[5:]
        ignored = any(_IGNORED in word.upper() for word in spoken)
        turns.append(replace(turn, words=reference_words(spoken), ignored=ignored))
    return turns


def _turn(place: str, fields: list[str], expected: str) -> Turn:
    if len(fields) < 5 or fields[1].upper() not in _SIDES:
        raise InputError(f"{place}: {' '.join(fields)[:80]!r}", expected=expected)
    start, end = parse_times(place, fields[3], fields[4])
    recording = f"{fields[0].lower()}-{_SIDES[fields[1].upper()]}"
    # Truncated in the arithmetic of awk, for the same names as in Kaldi's directories.
    name = f"{recording}_{int(start * 100):06d}-{int(end * 100):06d}"
    return Turn(name, recording, start, end)


def reference_words(tokens: Iterable[str]) -> tuple[str, ...]:
    """Write the words of a reference as in the lexicon; sclite reads the stm itself.

    Optional words lose their parentheses, the first of alternatives `{ a / b }` is taken, and all
    hesitations in one class of the glm become `uh`.

    Returns:
        The words.
    """
    words: list[str] = []
    skipping = False
    for token in words_of(_ASIDE.sub(" ", " ".join(tokens)).lower()):
        if token in ("{", "}", "/", "@"):
            skipping = token == "/" or (skipping and token == "@")
            continue
        word = token.strip("()")
        if word and not skipping:
            words.append("uh" if word == "%hesitation" else word)
    return tuple(words)


def pad(turns: Iterable[Turn]) -> list[Turn]:
    """Lengthen turns by 0.1 s at both ends, each at most to the middle of the gap between two.

    No turn begins before 0. Turns that overlap keep their ends in the overlap.

    Returns:
        The padded turns.
    """
    sides: dict[str, list[Turn]] = {}
    for turn in turns:
        sides.setdefault(turn.recording, []).append(turn)
    return [padded for side in sides.values() for padded in _pad_side(side)]


def _pad_side(turns: list[Turn]) -> list[Turn]:
    ordered = sorted(turns, key=lambda turn: turn.start)
    between = [
        max(0.0, min(_PADDING, (after.start - before.end) / 2))
        for before, after in pairwise(ordered)
    ]
    padded = zip(ordered, [_PADDING, *between], [*between, _PADDING], strict=True)
    return [
        replace(
            turn,
            start=max(0.0, round(turn.start - before_start, 6)),
            end=round(turn.end + after_end, 6),
        )
        for turn, before_start, after_end in padded
    ]


def match_turns(segments: list[Turn], references: list[Turn], where: str) -> list[Turn]:
    """Give segments the words of their references; segments that are not scored are left out.

    Returns:
        The scored segments.

    Raises:
        InputError: the segments of the two are not the same.
    """
    by_id = {turn.id: turn for turn in references}
    lacking = {turn.id for turn in segments} ^ by_id.keys()
    if lacking:
        raise InputError(
            f"{where}: {len(lacking)} segments are not in both, the first {min(lacking)}",
            expected="the same segments in the pem and the stm",
            remedy="check that audio and references are of one release",
        )
    return [
        replace(turn, words=by_id[turn.id].words)
        for turn in dict.fromkeys(segments)
        if not by_id[turn.id].ignored
    ]


def cleaned_stm(path: Path) -> str:
    """Read an stm file without doubled parentheses and marks of asides, at which scoring fails.

    Segments that are not to be scored stay: sclite knows them. Numbers of sides in RT-03 become
    letters, and stretches between segments are dropped.

    Returns:
        The text.
    """
    lines = []
    for line in path.read_text(encoding="latin-1").split("\n"):
        if not line.strip(BLANK) or _GAP in line:
            continue
        if not line.startswith(";;"):
            line = re.sub(r"\(\(+", "(", _ASIDE.sub("", line))
            line = re.sub(r"^(\S+\s+)([12])(?=\s)", lambda m: m[1] + _SIDES[m[2]], line)
        lines.append(line.rstrip(BLANK))
    return "".join(f"{line}\n" for line in lines)
